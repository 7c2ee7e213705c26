/*
 * Files for loop devices that record, in one order, what is written to any of them and when it was
 * flushed: disks whose power can be cut afterwards, at every point.
 *
 * usage: logged-disk MOUNTPOINT LOG IMAGE...
 *
 * Under MOUNTPOINT stands each IMAGE, named 0, 1, …; writes go to the image and into the log. What
 * is written to the file `mark` goes into the log alone. One thread, so what the writer of a mark
 * saw happen stands before it.
 *
 * A row of the log, little-endian: kind (4), disk (4), offset (8), size (8), then the bytes of a
 * write or mark.
 */
#define FUSE_USE_VERSION 314

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DISK_MAX = 10 };
enum kind { KIND_WRITE = 1, KIND_FLUSH = 2, KIND_MARK = 3 };

static const char mark_path[] = "/mark";
static int log_fd;
static int images[DISK_MAX];
static unsigned image_count;

/* The descriptor of "/0", "/1", …; -1 = there is no such disk. */
static int disk_of(const char *path, uint32_t *ret_disk)
{
    unsigned number = (unsigned)(path[1] - '0');
    if (path[1] == '\0' || path[2] != '\0' || number >= image_count)
        return -1;
    *ret_disk = number;
    return images[number];
}

static int record(enum kind kind, uint32_t disk, off_t offset, const char *data, size_t size)
{
    struct {
        uint32_t kind, disk;
        uint64_t offset, size;
    } row = {htole32(kind), htole32(disk), htole64((uint64_t)offset), htole64(size)};
    const struct iovec parts[] = {{&row, sizeof row}, {(void *)(uintptr_t)data, size}};
    ssize_t written = writev(log_fd, parts, data ? 2 : 1);
    return written == (ssize_t)(sizeof row + (data ? size : 0)) ? 0 : -EIO;
}

static int disk_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
    uint32_t disk;
    int fd = disk_of(path, &disk);
    (void)info;
    if (fd >= 0)
        return fstat(fd, status) < 0 ? -errno : 0;
    status->st_mode = strcmp(path, "/") == 0 ? S_IFDIR | 0700 : S_IFREG | 0600;
    status->st_nlink = 1;
    return strcmp(path, "/") == 0 || strcmp(path, mark_path) == 0 ? 0 : -ENOENT;
}

static int disk_read(const char *path, char *out, size_t size, off_t offset,
                     struct fuse_file_info *info)
{
    uint32_t disk;
    int fd = disk_of(path, &disk);
    (void)info;
    ssize_t count = fd < 0 ? 0 : pread(fd, out, size, offset);
    return count < 0 ? -errno : (int)count;
}

static int disk_write(const char *path, const char *data, size_t size, off_t offset,
                      struct fuse_file_info *info)
{
    uint32_t disk = 0;
    int fd = disk_of(path, &disk);
    (void)info;
    int r = record(fd < 0 ? KIND_MARK : KIND_WRITE, disk, offset, data, size);
    if (r == 0 && fd >= 0 && pwrite(fd, data, size, offset) != (ssize_t)size)
        r = -EIO;
    return r < 0 ? r : (int)size;
}

static int disk_fsync(const char *path, int only_data, struct fuse_file_info *info)
{
    uint32_t disk;
    (void)only_data;
    (void)info;
    return disk_of(path, &disk) < 0 ? 0 : record(KIND_FLUSH, disk, 0, NULL, 0);
}

/* A shell opens `mark` with O_TRUNC. */
static int disk_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    (void)size;
    (void)info;
    return strcmp(path, mark_path) == 0 ? 0 : -EPERM;
}

static const struct fuse_operations operations = {.getattr = disk_getattr,
                                                  .read = disk_read,
                                                  .write = disk_write,
                                                  .fsync = disk_fsync,
                                                  .truncate = disk_truncate};

int main(int argc, char **argv)
{
    static char foreground[] = "-f", one_thread[] = "-s";
    if (argc < 4 || argc > 3 + DISK_MAX) {
        fprintf(stderr, "usage: logged-disk MOUNTPOINT LOG IMAGE...\n");
        return 64;
    }
    log_fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int i = 3; i < argc; i++)
        images[image_count++] = open(argv[i], O_RDWR | O_CLOEXEC);
    for (unsigned i = 0; i < image_count; i++) {
        if (log_fd < 0 || images[i] < 0) {
            perror("logged-disk");
            return 66;
        }
    }
    char *arguments[] = {argv[0], foreground, one_thread, argv[1], NULL};
    return fuse_main(4, arguments, &operations, NULL);
}
