/*
 * One packet a message. A received packet is taken only if its header says exactly what came: the
 * magic number, the size of the payload and the count of descriptors. Whatever else comes is
 * dropped with its descriptors, so that a peer that was taken over cannot fill our table.
 */
#include "base/ipc.h"

#include "base/clock.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static const uint32_t header_magic = 0x6b736b31; /* "ksk1" */

struct header {
    uint32_t magic;
    uint32_t type;
    uint64_t id;
    uint32_t size;
    uint32_t fd_count;
};

/* Room for one descriptor too many: the surplus arrives and is seen rather than cut off. */
union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int) * (IPC_FD_MAX + 1))];
};

int ipc_pair(int ret_fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
        return -errno;
    return 0;
}

int ipc_send(int fd, uint32_t type, uint64_t id, const void *payload, size_t size, const int *fds,
             unsigned fd_count)
{
    if (size > IPC_PAYLOAD_MAX || fd_count > IPC_FD_MAX)
        return -EMSGSIZE;

    struct header header = {.magic = header_magic,
                            .type = type,
                            .id = id,
                            .size = (uint32_t)size,
                            .fd_count = fd_count};
    struct iovec parts[2] = {{.iov_base = &header, .iov_len = sizeof header}, {.iov_len = size}};
    memcpy(&parts[1].iov_base, &payload, sizeof payload); /* iovec has no const */
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};
    union control control;
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }

    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        cleanup_close(&fds[i]);
}

/* Collects every descriptor of the packet, whatever order and number of control messages. Returns
 * how many came; they fit because the kernel had no more room to deliver. */
static unsigned collect_fds(struct msghdr *message, int fds[IPC_FD_MAX + 1])
{
    unsigned count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        const unsigned char *data = CMSG_DATA(part);
        for (size_t i = 0; i < here; i++) {
            int fd;
            memcpy(&fd, data + i * sizeof fd, sizeof fd);
            if (count <= IPC_FD_MAX)
                fds[count++] = fd;
            else
                cleanup_close(&fd);
        }
    }
    return count;
}

int ipc_receive(int fd, struct ipc_message *ret_message)
{
    struct header header;
    struct iovec parts[2] = {{.iov_base = &header, .iov_len = sizeof header},
                             {.iov_base = ret_message->payload, .iov_len = IPC_PAYLOAD_MAX}};
    union control control;
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    ssize_t received;
    /* A peer that closes with messages unread makes the first receive fail with ECONNRESET; what it
     * sent before, such as why it ends, is still there behind that. */
    do
        received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && (errno == EINTR || errno == ECONNRESET));
    if (received < 0)
        return -errno;

    int fds[IPC_FD_MAX + 1];
    unsigned count = collect_fds(&message, fds);
    /* An empty packet reads like the end of the connection; senders never make one, and taking a
     * hostile one for the end harms only its sender. */
    if (received == 0 && count == 0)
        return IPC_CLOSED;
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || (size_t)received < sizeof header ||
        header.magic != header_magic || header.size != (size_t)received - sizeof header ||
        header.fd_count != count || count > IPC_FD_MAX) {
        close_all(fds, count);
        return -EBADMSG;
    }

    ret_message->type = header.type;
    ret_message->id = header.id;
    ret_message->size = header.size;
    ret_message->fd_count = count;
    for (unsigned i = 0; i < IPC_FD_MAX; i++)
        ret_message->fds[i] = i < count ? fds[i] : -1;
    return 0;
}

int ipc_receive_timeout(int fd, int timeout_ms, struct ipc_message *ret_message)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int count = poll(&ready, 1, left_ms > 0 ? (int)left_ms : 0);
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0)
            return ipc_receive(fd, ret_message);
        if (count == 0 && left_ms <= 0)
            return -ETIMEDOUT;
    }
}

void ipc_message_done(struct ipc_message *message)
{
    for (unsigned i = 0; i < message->fd_count; i++) {
        cleanup_close(&message->fds[i]);
        message->fds[i] = -1;
    }
    message->fd_count = 0;
}

int ipc_message_take(const struct ipc_message *message, void *ret_payload, size_t size,
                     unsigned fd_count)
{
    if (message->size != size || message->fd_count != fd_count)
        return -EBADMSG;
    if (size > 0)
        memcpy(ret_payload, message->payload, size);
    return 0;
}

int ipc_text_ok(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}
