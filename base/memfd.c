/* Memory files and their seals; see base/memfd.h. */
#include "base/memfd.h"

#include "base/write_all.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const int all_seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

int memfd_new(const char *label, int *ret_fd)
{
    int fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int memfd_of(const char *label, const void *data, size_t size, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    int r = memfd_new(label, &fd);
    if (r < 0)
        return r;
    r = write_all(fd, data, size);
    if (r == 0)
        r = memfd_seal(fd);
    if (r < 0)
        return r;
    *ret_fd = steal_fd(&fd);
    return 0;
}

int memfd_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, all_seals) < 0 ? -errno : 0;
}

int memfd_check_sealed(int fd, size_t size_max, size_t *ret_size)
{
    /* -1 with EINVAL: a file of a kind that has no seals. */
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & all_seals) != all_seals)
        return -EPERM;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size < 0 || (uintmax_t)status.st_size > size_max)
        return -EFBIG;
    *ret_size = (size_t)status.st_size;
    return 0;
}

int mapping_open(int fd, size_t size_max, struct mapping *ret_mapping)
{
    static const uint8_t nothing[1];
    size_t size;
    int r = memfd_check_sealed(fd, size_max, &size);
    if (r < 0)
        return r;
    if (size == 0) {
        *ret_mapping = (struct mapping){.data = nothing};
        return 0;
    }
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return -errno;
    *ret_mapping = (struct mapping){.data = data, .size = size};
    return 0;
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->size > 0) {
        void *data;
        memcpy(&data, &mapping->data, sizeof data); /* munmap() takes no const */
        munmap(data, mapping->size);
    }
    *mapping = (struct mapping){0};
}
