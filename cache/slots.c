/* Byte-exact in docs/store-format.md, "The file slots". */
#include "cache/slots.h"

#include "base/bytes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SLOTS_FORMAT = 1,
    OFFSET_STATE = 16,
    OFFSET_WRAPPED = 24,
    OFFSET_CHECKSUM = SLOT_SIZE - SHA256_SIZE,
    HEADER_CHECKED_SIZE = 64,
};

static const char slots_name[] = "slots";
static const char slots_new_name[] = "slots.new";
static const uint8_t file_magic[8] = {'K', 'S', 'K', 'S', 'L', 'O', 'T', 'S'};
static const uint8_t slot_magic[4] = {'K', 'S', 'S', 'L'};

static off_t slot_offset(uint32_t number)
{
    return SLOTS_HEADER_SIZE + (off_t)number * SLOT_SIZE;
}

static int pwrite_all(int fd, const uint8_t *data, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t written = pwrite(fd, data, size, offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        data += written;
        size -= (size_t)written;
        offset += written;
    }
    return 0;
}

/* -EBADMSG at the end of the file. */
static int pread_all(int fd, uint8_t *out, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t count = pread(fd, out, size, offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? -errno : -EBADMSG;
        out += count;
        size -= (size_t)count;
        offset += count;
    }
    return 0;
}

static int write_header(int fd, const uint8_t store_id[STORE_ID_SIZE])
{
    uint8_t header[SLOTS_HEADER_SIZE] = {0};
    memcpy(header, file_magic, sizeof file_magic);
    be32_put(header + 8, SLOTS_FORMAT);
    be32_put(header + 12, SLOT_SIZE);
    memcpy(header + 16, store_id, STORE_ID_SIZE);
    int r = sha256(header, HEADER_CHECKED_SIZE, header + HEADER_CHECKED_SIZE);
    if (r < 0)
        return r;
    return pwrite_all(fd, header, sizeof header, 0);
}

static int check_header(int fd, const uint8_t store_id[STORE_ID_SIZE])
{
    uint8_t header[SLOTS_HEADER_SIZE];
    uint8_t digest[SHA256_SIZE];
    int r = pread_all(fd, header, sizeof header, 0);
    if (r < 0)
        return r;
    if (memcmp(header, file_magic, sizeof file_magic) != 0)
        return -EBADMSG;
    if (be32_get(header + 8) > SLOTS_FORMAT)
        return -EPROTONOSUPPORT;
    r = sha256(header, HEADER_CHECKED_SIZE, digest);
    if (r < 0)
        return r;
    if (memcmp(digest, header + HEADER_CHECKED_SIZE, sizeof digest) != 0 ||
        be32_get(header + 8) != SLOTS_FORMAT || be32_get(header + 12) != SLOT_SIZE ||
        memcmp(header + 16, store_id, STORE_ID_SIZE) != 0)
        return -EBADMSG;
    return 0;
}

int slots_create(int directory_fd, const uint8_t store_id[STORE_ID_SIZE])
{
    struct stat status;
    if (fstatat(directory_fd, slots_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        /* Larger than a header: keys of records that somebody took away. */
        if (status.st_size > SLOTS_HEADER_SIZE)
            return -EBADMSG;
    } else if (errno != ENOENT) {
        return -errno;
    }
    if (unlinkat(directory_fd, slots_new_name, 0) < 0 && errno != ENOENT)
        return -errno;
    _cleanup_close_ int fd = openat(directory_fd, slots_new_name,
                                    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = write_header(fd, store_id);
    if (r < 0)
        return r;
    if (fsync(fd) < 0 || renameat(directory_fd, slots_new_name, directory_fd, slots_name) < 0 ||
        fsync(directory_fd) < 0)
        return -errno;
    return 0;
}

int slots_open(int directory_fd, const uint8_t store_id[STORE_ID_SIZE], struct slots *ret_slots)
{
    _cleanup_close_ int fd = openat(directory_fd, slots_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? -EBADMSG : -errno;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1)
        return -EBADMSG;
    int r = check_header(fd, store_id);
    if (r < 0)
        return r;
    memcpy(ret_slots->store_id, store_id, STORE_ID_SIZE);
    ret_slots->fd = steal_fd(&fd);
    return 0;
}

void slots_close(struct slots *slots)
{
    cleanup_close(&slots->fd);
    slots->fd = -1;
}

int slots_read(const struct slots *slots, uint32_t number, struct slot *ret_slot)
{
    uint8_t block[SLOT_SIZE];
    uint8_t digest[SHA256_SIZE];
    if (number >= SLOT_COUNT_MAX)
        return -EBADMSG;
    int r = pread_all(slots->fd, block, sizeof block, slot_offset(number));
    if (r < 0)
        return r;
    r = sha256(block, OFFSET_CHECKSUM, digest);
    if (r < 0)
        return r;
    uint32_t state = be32_get(block + OFFSET_STATE);
    if (memcmp(block, slot_magic, sizeof slot_magic) != 0 || be32_get(block + 4) != number ||
        memcmp(digest, block + OFFSET_CHECKSUM, sizeof digest) != 0 ||
        (state != SLOT_ERASED && state != SLOT_KEYED))
        return -EBADMSG;
    ret_slot->generation = be64_get(block + 8);
    ret_slot->state = (enum slot_state)state;
    memcpy(ret_slot->wrapped, block + OFFSET_WRAPPED, sizeof ret_slot->wrapped);
    return 0;
}

int slots_write(const struct slots *slots, uint32_t number, const struct slot *slot)
{
    uint8_t block[SLOT_SIZE] = {0};
    if (number >= SLOT_COUNT_MAX)
        return -ENOSPC;
    memcpy(block, slot_magic, sizeof slot_magic);
    be32_put(block + 4, number);
    be64_put(block + 8, slot->generation);
    be32_put(block + OFFSET_STATE, slot->state);
    memcpy(block + OFFSET_WRAPPED, slot->wrapped, sizeof slot->wrapped);
    int r = sha256(block, OFFSET_CHECKSUM, block + OFFSET_CHECKSUM);
    if (r < 0)
        return r;
    return pwrite_all(slots->fd, block, sizeof block, slot_offset(number));
}

int slots_erase(const struct slots *slots, uint32_t number)
{
    struct slot erased = {.state = SLOT_ERASED};
    int r = random_bytes(&erased.generation, sizeof erased.generation);
    if (r < 0)
        return r;
    return slots_write(slots, number, &erased);
}

int slots_sync(const struct slots *slots)
{
    return fdatasync(slots->fd) < 0 ? -errno : 0;
}

void slot_aad(const struct slots *slots, uint32_t number, uint64_t generation,
              uint8_t ret_aad[SLOT_AAD_SIZE])
{
    be32_put(ret_aad, number);
    be64_put(ret_aad + 4, generation);
    memcpy(ret_aad + 12, slots->store_id, STORE_ID_SIZE);
}
