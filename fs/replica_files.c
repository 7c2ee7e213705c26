/*
 * Files beside the store, by size and time: a file that only grew gets its tail, any other is
 * written anew beside and renamed. Two levels: the state directory and its directories.
 */
#include "fs/replica.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECE_SIZE = 64 * 1024, FILES_MAX = 10000 };

static const char new_name[] = "replica.new";

/* The store's own files: the replica has its own. */
static bool is_left_out(const char *name)
{
    static const char *const names[] = {"data.mdb",  "lock.mdb", "slots",
                                        "slots.new", "lock",     new_name};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return name[0] == '.';
}

static int copy_from(int from, int to, off_t offset, off_t end)
{
    char piece[PIECE_SIZE];
    while (offset < end) {
        size_t size = end - offset < PIECE_SIZE ? (size_t)(end - offset) : PIECE_SIZE;
        ssize_t got = pread(from, piece, size, offset);
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        for (ssize_t done = 0; done < got;) {
            ssize_t written = pwrite(to, piece + done, (size_t)(got - done), offset + done);
            if (written <= 0)
                return written < 0 ? -errno : -EIO;
            done += written;
        }
        offset += got;
    }
    return 0;
}

/* Whether the copy is the beginning of the file, as far as its last bytes tell. */
static bool is_beginning(int from, int to, off_t size)
{
    char ours[256], theirs[256];
    size_t tail = size < (off_t)sizeof ours ? (size_t)size : sizeof ours;
    return pread(from, ours, tail, size - (off_t)tail) == (ssize_t)tail &&
           pread(to, theirs, tail, size - (off_t)tail) == (ssize_t)tail &&
           memcmp(ours, theirs, tail) == 0;
}

static int append_tail(int from, const struct stat *ours, int to_directory, const char *name)
{
    struct stat theirs;
    _cleanup_close_ int to = openat(to_directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (to < 0 || fstat(to, &theirs) < 0 || !S_ISREG(theirs.st_mode) || theirs.st_size == 0 ||
        theirs.st_size >= ours->st_size || !is_beginning(from, to, theirs.st_size))
        return -ENOENT;
    int r = copy_from(from, to, theirs.st_size, ours->st_size);
    return r == 0 && fdatasync(to) < 0 ? -errno : r;
}

static int write_anew(int from, const struct stat *ours, int to_directory, const char *name)
{
    const struct timespec times[2] = {ours->st_mtim, ours->st_mtim};
    if (unlinkat(to_directory, new_name, 0) < 0 && errno != ENOENT)
        return -errno;
    _cleanup_close_ int to =
        openat(to_directory, new_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return -errno;
    int r = copy_from(from, to, 0, ours->st_size);
    if (r == 0 && (futimens(to, times) < 0 || fdatasync(to) < 0 ||
                   renameat(to_directory, new_name, to_directory, name) < 0))
        r = -errno;
    return r;
}

static int copy_file(int from_directory, int to_directory, const char *name)
{
    struct stat ours, theirs;
    if (fstatat(from_directory, name, &ours, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(ours.st_mode))
        return 0;
    if (fstatat(to_directory, name, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
        theirs.st_size == ours.st_size &&
        (theirs.st_mtim.tv_sec > ours.st_mtim.tv_sec ||
         (theirs.st_mtim.tv_sec == ours.st_mtim.tv_sec &&
          theirs.st_mtim.tv_nsec >= ours.st_mtim.tv_nsec)))
        return 0;
    _cleanup_close_ int from = openat(from_directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0)
        return errno == ENOENT ? 0 : -errno;
    int r = append_tail(from, &ours, to_directory, name);
    return r == -ENOENT ? write_anew(from, &ours, to_directory, name) : r;
}

static int copy_directory(int from_directory, int to_directory, bool top);

static int copy_subdirectory(int from_directory, int to_directory, const char *name)
{
    _cleanup_close_ int from =
        openat(from_directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    if (mkdirat(to_directory, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    _cleanup_close_ int to =
        openat(to_directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return to < 0 ? -errno : copy_directory(from, to, false);
}

static int copy_directory(int from_directory, int to_directory, bool top)
{
    int copy = openat(from_directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
    if (!directory) {
        int r = -errno;
        cleanup_close(&copy);
        return r;
    }
    const struct dirent *entry;
    int r = 0;
    for (unsigned count = 0; r == 0 && count < FILES_MAX && (entry = readdir(directory)); count++) {
        if (is_left_out(entry->d_name))
            continue;
        if (top && entry->d_type == DT_DIR)
            r = copy_subdirectory(from_directory, to_directory, entry->d_name);
        else if (entry->d_type == DT_REG)
            r = copy_file(from_directory, to_directory, entry->d_name);
    }
    closedir(directory);
    return r;
}

int replica_copy_files(int state_fd, int directory_fd)
{
    return copy_directory(state_fd, directory_fd, true);
}
