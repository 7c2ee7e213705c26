#include "fs/clamd.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { CHUNK = 64 * 1024, REPLY_MAX = 1024 };

static const char command[] = "zINSTREAM";
static const char prefix[] = "stream: ";

static int wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        struct pollfd poll_fd = {.fd = fd, .events = events};
        if (left_ms <= 0)
            return -ETIMEDOUT;
        int ready = poll(&poll_fd, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return -errno;
    }
}

static int send_all(int fd, const void *data, size_t size, int64_t deadline_ms)
{
    const uint8_t *next = data;
    while (size > 0) {
        ssize_t sent = send(fd, next, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (sent < 0) {
            int error = wait_for(fd, POLLOUT, deadline_ms);
            if (error < 0)
                return error;
            continue;
        }
        next += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int send_stream(int fd, struct bytes content, int64_t deadline_ms)
{
    uint8_t length[4] = {0};
    int error = send_all(fd, command, sizeof command, deadline_ms);
    while (error == 0 && content.size > 0) {
        size_t size = content.size < CHUNK ? content.size : CHUNK;
        be32_put(length, (uint32_t)size);
        error = send_all(fd, length, sizeof length, deadline_ms);
        if (error == 0)
            error = send_all(fd, content.data, size, deadline_ms);
        content = bytes_of(content.data + size, content.size - size);
    }
    be32_put(length, 0);
    return error == 0 ? send_all(fd, length, sizeof length, deadline_ms) : error;
}

/* One text that ends with a zero. */
static int receive_reply(int fd, int64_t deadline_ms, char reply[REPLY_MAX])
{
    size_t used = 0;
    while (used < REPLY_MAX) {
        int error = wait_for(fd, POLLIN, deadline_ms);
        if (error < 0)
            return error;
        ssize_t got = recv(fd, reply + used, REPLY_MAX - used, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -ECONNRESET;
        used += (size_t)got;
        if (memchr(reply, '\0', used))
            return 0;
    }
    return -EPROTO;
}

static void keep_plain(const char *text, size_t size, char out[CLAMD_NAME_SIZE])
{
    if (size >= CLAMD_NAME_SIZE)
        size = CLAMD_NAME_SIZE - 1;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr(" .,:;_-/()", c);
        out[i] = plain && c ? c : '?';
    }
    out[size] = '\0';
}

static int understand(const char *reply, char ret_text[CLAMD_NAME_SIZE])
{
    static const char found[] = " FOUND";
    size_t size = strlen(reply);
    if (strcmp(reply, "stream: OK") == 0)
        return 0;
    if (strncmp(reply, prefix, sizeof prefix - 1) == 0 && size > sizeof prefix + sizeof found - 2 &&
        strcmp(reply + size - (sizeof found - 1), found) == 0) {
        keep_plain(reply + sizeof prefix - 1, size - (sizeof prefix - 1) - (sizeof found - 1),
                   ret_text);
        return CLAMD_FOUND;
    }
    keep_plain(reply, size, ret_text);
    return -EPROTO;
}

int clamd_scan(int fd, struct bytes content, int64_t deadline_ms, char ret_text[CLAMD_NAME_SIZE])
{
    char reply[REPLY_MAX];
    int sent = send_stream(fd, content, deadline_ms);
    /* A clamd that refuses the stream says so before it has read all of it. */
    int error = sent == -ETIMEDOUT ? sent : receive_reply(fd, deadline_ms, reply);
    if (error == 0)
        error = understand(reply, ret_text);
    else
        snprintf(ret_text, CLAMD_NAME_SIZE, "%s", strerror(-error));
    /* "OK" to half a document says nothing of the rest. */
    return error == 0 && sent < 0 ? sent : error;
}
