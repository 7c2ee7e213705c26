/* See tools/anchor_directory.h. Names that begin with a dot are no anchors (fs/trust_files.h). */
#include "tools/anchor_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW ".new"
#define GONE ".gone"

_printf_(3, 4) static int fault(char *ret_text, int r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_text, ANCHOR_DIRECTORY_TEXT, format, arguments);
    va_end(arguments);
    return r;
}

static int clear(int directory, const char *name)
{
    return unlinkat(directory, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int anchor_directory_open(const char *path, struct anchor_directory *ret_directory, char *ret_text)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fault(ret_text, -errno, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return fault(ret_text, -EBUSY, "%s is being changed by somebody else", path);
    int r = faccessat(fd, ".", W_OK, AT_EACCESS) < 0 ? -errno : 0;
    if (r == 0)
        r = clear(fd, NEW);
    if (r == 0)
        r = clear(fd, GONE);
    if (r < 0)
        return fault(ret_text, r, "%s cannot be changed: %s", path, strerror(-r));
    *ret_directory = (struct anchor_directory){.fd = steal_fd(&fd)};
    return 0;
}

static int write_new(int directory, struct bytes content)
{
    size_t done = 0;
    _cleanup_close_ int fd =
        openat(directory, NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
    if (fd < 0 || fchmod(fd, 0444) < 0)
        return -errno;
    while (done < content.size) {
        ssize_t written = write(fd, content.data + done, content.size - done);
        if (written < 0 && errno != EINTR)
            return -errno;
        done += written > 0 ? (size_t)written : 0;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int move(int directory, const char *from, const char *to)
{
    if (renameat2(directory, from, directory, to, RENAME_NOREPLACE) < 0 || fsync(directory) < 0)
        return -errno;
    return 0;
}

int anchor_directory_add(struct anchor_directory *directory, const char *name, struct bytes content,
                         char *ret_text)
{
    int r = write_new(directory->fd, content);
    if (r == 0)
        r = move(directory->fd, NEW, name);
    if (r < 0)
        return fault(ret_text, r, "%s cannot be written: %s", name, strerror(-r));
    snprintf(directory->changed, sizeof directory->changed, "%s", name);
    directory->added = true;
    return 0;
}

int anchor_directory_remove(struct anchor_directory *directory, const char *name, char *ret_text)
{
    int r = move(directory->fd, name, GONE);
    if (r < 0)
        return fault(ret_text, r, "%s cannot be removed: %s", name, strerror(-r));
    snprintf(directory->changed, sizeof directory->changed, "%s", name);
    directory->added = false;
    return 0;
}

int anchor_directory_undo(struct anchor_directory *directory, char *ret_text)
{
    const char *name = directory->changed;
    int r = 0;
    if (*name)
        r = directory->added ? move(directory->fd, name, GONE) : move(directory->fd, GONE, name);
    if (r < 0)
        return fault(ret_text, r, "%s cannot be put back as it was: %s", name, strerror(-r));
    directory->changed[0] = '\0';
    return clear(directory->fd, GONE);
}

void anchor_directory_close(struct anchor_directory *directory)
{
    if (directory->fd >= 0) {
        if (directory->changed[0] && !directory->added)
            (void)!clear(directory->fd, GONE);
        close(directory->fd);
    }
    directory->fd = -1;
}
