/* See fs/supervisor_files.h. */
#include "fs/supervisor_files.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

struct complaint {
    const char *path;
    inifile_report *report;
    void *context;
};

_printf_(3, 4) static int complain(const struct complaint *complaint, int r, const char *format,
                                   ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    complaint->report(complaint->context, complaint->path, 0, text);
    return r;
}

static int open_regular(const struct complaint *complaint, int flags, struct stat *ret_status,
                        int *ret_fd)
{
    _cleanup_close_ int fd =
        open(complaint->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
    if (fd < 0 && errno == ELOOP)
        return complain(complaint, -ELOOP, "is a symbolic link");
    if (fd < 0 || fstat(fd, ret_status) < 0)
        return complain(complaint, -errno, "cannot be opened: %s", strerror(errno));
    if (!S_ISREG(ret_status->st_mode))
        return complain(complaint, -EINVAL, "is not a regular file");
    if (ret_status->st_size == 0)
        return complain(complaint, -EINVAL, "is empty");
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int check_owner(const struct complaint *complaint, const struct stat *status,
                       mode_t forbidden)
{
    if (status->st_uid != 0 && status->st_uid != geteuid())
        return complain(complaint, -EPERM, "belongs to uid %u; it must belong to root%s",
                        status->st_uid, geteuid() == 0 ? "" : " or to you");
    if ((status->st_mode & forbidden) != 0)
        return complain(complaint, -EPERM, "has mode %04o; %s", status->st_mode & 07777,
                        (forbidden & S_IRGRP) ? "group and others must have no access (chmod 0400)"
                                              : "group and others must not be able to write");
    return 0;
}

int supervisor_open_key(const char *path, size_t size, inifile_report *report, void *context,
                        int *ret_fd)
{
    struct complaint complaint = {.path = path, .report = report, .context = context};
    struct stat status;
    _cleanup_close_ int fd = -1;
    int r = open_regular(&complaint, O_NOFOLLOW, &status, &fd);
    if (r == 0)
        r = check_owner(&complaint, &status, S_IRWXG | S_IRWXO);
    if (r < 0)
        return r;
    if (size > 0 && status.st_size != (off_t)size)
        return complain(&complaint, -EINVAL,
                        "has %jd bytes; the key has exactly %zu (head -c %zu /dev/urandom)",
                        (intmax_t)status.st_size, size, size);
    if (status.st_size > SUPERVISOR_KEY_MAX)
        return complain(&complaint, -EFBIG, "is larger than %d bytes", SUPERVISOR_KEY_MAX);
    *ret_fd = steal_fd(&fd);
    return 0;
}

int supervisor_check_directory(const char *path, inifile_report *report, void *context)
{
    struct complaint complaint = {.path = path, .report = report, .context = context};
    struct stat status;
    if (stat(path, &status) < 0)
        return complain(&complaint, -errno, "cannot be opened: %s", strerror(errno));
    return check_owner(&complaint, &status, S_IWGRP | S_IWOTH);
}

int supervisor_read_file(const char *path, size_t size_max, bool guarded, inifile_report *report,
                         void *context, struct buffer *ret_content)
{
    struct complaint complaint = {.path = path, .report = report, .context = context};
    struct stat status;
    _cleanup_close_ int fd = -1;
    int r = open_regular(&complaint, 0, &status, &fd);
    if (r == 0 && guarded)
        r = check_owner(&complaint, &status, S_IWGRP | S_IWOTH);
    if (r < 0)
        return r;

    _cleanup_buffer_ struct buffer content;
    buffer_init(&content, size_max);
    uint8_t part[16384];
    for (;;) {
        ssize_t size = read(fd, part, sizeof part);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return complain(&complaint, -errno, "cannot be read: %s", strerror(errno));
        if (size == 0)
            break;
        r = buffer_append(&content, part, (size_t)size);
        if (r == -EMSGSIZE)
            return complain(&complaint, -EFBIG, "is larger than %zu bytes", size_max);
        if (r < 0)
            return complain(&complaint, r, "cannot be read: %s", strerror(-r));
    }
    *ret_content = content;
    content.data = NULL;
    return 0;
}
