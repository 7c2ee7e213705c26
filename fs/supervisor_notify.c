/* See fs/supervisor_notify.h. */
#include "fs/supervisor_notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void send_text(const char *text, size_t size, const int *attached)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    strcpy(address.sun_path, path);
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = size};
    struct msghdr message = {.msg_name = &address,
                             .msg_namelen =
                                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)),
                             .msg_iov = &part,
                             .msg_iovlen = 1};
    if (*path == '@')
        address.sun_path[0] = '\0'; /* abstract, unix(7) */
    if (attached) {
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), attached, sizeof(int));
    }
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

_printf_(2, 0) static void format_and_send(const int *attached, const char *format,
                                           va_list arguments)
{
    char text[512];
    int length = vsnprintf(text, sizeof text, format, arguments);
    if (length >= 0)
        send_text(text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1, attached);
}

void supervisor_notify(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_and_send(NULL, format, arguments);
    va_end(arguments);
}

void supervisor_notify_fd(int fd, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_and_send(&fd, format, arguments);
    va_end(arguments);
}
