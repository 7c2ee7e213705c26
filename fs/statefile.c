#include "fs/statefile.h"

#include "base/write_all.h"

#include <fcntl.h>
#include <sys/stat.h>

int statefile_write(int state_fd, const char *name, struct bytes content)
{
    char beside[64];
    if (snprintf(beside, sizeof beside, "%s.new", name) >= (int)sizeof beside)
        return -ENAMETOOLONG;
    _cleanup_close_ int fd =
        openat(state_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, content.data, content.size);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(state_fd, beside, state_fd, name) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(state_fd, beside, 0);
        return r;
    }
    return fsync(state_fd) < 0 ? -errno : 0;
}

int statefile_read(int state_fd, const char *name, struct buffer *out)
{
    _cleanup_close_ int fd = openat(state_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    uint8_t block[8192];
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        int r = buffer_append(out, block, (size_t)got);
        if (r < 0)
            return r;
    }
}
