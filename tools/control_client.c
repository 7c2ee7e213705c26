/* See control_client.h. */
#include "tools/control_client.h"

#include "base/bytes.h"
#include "base/json.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { FDS_MAX = 2 };

int control_client_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval wait = {.tv_sec = CONTROL_CLIENT_WAIT_S};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -errno;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int receive_line(int fd, struct buffer *line)
{
    char chunk[65536];
    for (;;) {
        ssize_t got = recv(fd, chunk, sizeof chunk, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -EPROTO;
        int error = buffer_append(line, chunk, (size_t)got);
        if (error < 0)
            return error;
        if (chunk[got - 1] == '\n') {
            line->size--;
            return 0;
        }
    }
}

/* The descriptors go with the first byte. */
static int send_first(int fd, const char *data, const int *fds, unsigned fd_count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = {0};
    struct iovec part = {.iov_base = (char[]){data[0]}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE(fd_count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    return sendmsg(fd, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int control_client_ask(int fd, const struct json *request, struct json **ret_reply)
{
    return control_client_ask_with(fd, request, NULL, 0, ret_reply);
}

int control_client_ask_with(int fd, const struct json *request, const int *fds, unsigned fd_count,
                            struct json **ret_reply)
{
    _cleanup_free_ char *text = json_print(request);
    _cleanup_buffer_ struct buffer line = {0};
    buffer_init(&line, CONTROL_CLIENT_REPLY_MAX);
    if (!text)
        return -ENOMEM;
    int error = fd_count > FDS_MAX ? -EINVAL : 0;
    if (error == 0 && fd_count > 0)
        error = send_first(fd, text, fds, fd_count);
    size_t sent = fd_count > 0;
    if (error == 0)
        error = send_all(fd, text + sent, strlen(text + sent));
    if (error == 0)
        error = send_all(fd, "\n", 1);
    if (error == 0)
        error = receive_line(fd, &line);
    if (error == 0)
        error = json_parse((const char *)line.data, line.size, ret_reply);
    return error == -EBADMSG ? -EPROTO : error;
}
