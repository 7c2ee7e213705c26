/* A directory in the working directory (the build's) that is removed with its files at the end. */
#ifndef TESTS_UNIT_FS_SCRATCH_DIR_H
#define TESTS_UNIT_FS_SCRATCH_DIR_H

#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct scratch_dir {
    char path[64];
    int fd;
};

static inline void scratch_dir_empty(int fd)
{
    DIR *directory = fdopendir(dup(fd));
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int inner = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner >= 0) {
            scratch_dir_empty(inner);
            close(inner);
        }
        unlinkat(fd, entry->d_name, inner >= 0 ? AT_REMOVEDIR : 0);
    }
    if (directory)
        closedir(directory);
}

static inline int scratch_dir_open(struct scratch_dir *dir)
{
    memcpy(dir->path, "scratch-XXXXXX", sizeof "scratch-XXXXXX");
    dir->fd = -1;
    if (!mkdtemp(dir->path))
        return -errno;
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir->fd < 0 ? -errno : 0;
}

static inline void scratch_dir_close(struct scratch_dir *dir)
{
    if (dir->fd < 0)
        return;
    lseek(dir->fd, 0, SEEK_SET);
    scratch_dir_empty(dir->fd);
    close(dir->fd);
    rmdir(dir->path);
}

#define _cleanup_scratch_dir_ _cleanup_(scratch_dir_close)

static inline int scratch_write(int dir_fd, const char *name, const void *data, size_t size)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t put = write(fd, data, size);
    close(fd);
    return put == (ssize_t)size ? 0 : -EIO;
}

/* Returns the size, at most `size`. */
static inline ssize_t scratch_read(int dir_fd, const char *name, void *out, size_t size)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, out, size);
    close(fd);
    return got;
}

#endif
