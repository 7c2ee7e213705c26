/* Byte-exact in docs/store-format.md, "The file slots". */
#include "cache/slots.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SLOTS_FORMAT = 1,
    OFFSET_STATE = 16,
    OFFSET_WRAPPED = 24,
    OFFSET_SEQUENCE = 88,
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
    ret_slots->mirror_count = 0;
    ret_slots->sequence = 0;
    ret_slots->fd = steal_fd(&fd);
    return 0;
}

void slots_close(struct slots *slots)
{
    for (unsigned i = 0; i < slots->mirror_count; i++)
        cleanup_close(&slots->mirrors[i].fd);
    slots->mirror_count = 0;
    cleanup_close(&slots->fd);
    slots->fd = -1;
}

static bool block_valid(const uint8_t block[SLOT_SIZE], uint32_t number)
{
    uint8_t digest[SHA256_SIZE];
    uint32_t state = be32_get(block + OFFSET_STATE);
    return memcmp(block, slot_magic, sizeof slot_magic) == 0 && be32_get(block + 4) == number &&
           (state == SLOT_ERASED || state == SLOT_KEYED) &&
           sha256(block, OFFSET_CHECKSUM, digest) == 0 &&
           memcmp(digest, block + OFFSET_CHECKSUM, sizeof digest) == 0;
}

int slots_read(const struct slots *slots, uint32_t number, struct slot *ret_slot)
{
    uint8_t block[SLOT_SIZE];
    if (number >= SLOT_COUNT_MAX)
        return -EBADMSG;
    int r = pread_all(slots->fd, block, sizeof block, slot_offset(number));
    if (r < 0)
        return r;
    if (!block_valid(block, number))
        return -EBADMSG;
    ret_slot->generation = be64_get(block + 8);
    ret_slot->state = (enum slot_state)be32_get(block + OFFSET_STATE);
    memcpy(ret_slot->wrapped, block + OFFSET_WRAPPED, sizeof ret_slot->wrapped);
    return 0;
}

int slots_write(struct slots *slots, uint32_t number, const struct slot *slot)
{
    uint8_t block[SLOT_SIZE] = {0};
    if (number >= SLOT_COUNT_MAX)
        return -ENOSPC;
    memcpy(block, slot_magic, sizeof slot_magic);
    be32_put(block + 4, number);
    be64_put(block + 8, slot->generation);
    be32_put(block + OFFSET_STATE, slot->state);
    memcpy(block + OFFSET_WRAPPED, slot->wrapped, sizeof slot->wrapped);
    uint64_t now = (uint64_t)clock_realtime_ns();
    slots->sequence = now > slots->sequence ? now : slots->sequence + 1;
    be64_put(block + OFFSET_SEQUENCE, slots->sequence);
    int r = sha256(block, OFFSET_CHECKSUM, block + OFFSET_CHECKSUM);
    if (r == 0)
        r = pwrite_all(slots->fd, block, sizeof block, slot_offset(number));
    for (unsigned i = 0; r == 0 && i < slots->mirror_count; i++) {
        struct slots_mirror *mirror = &slots->mirrors[i];
        if (mirror->error == 0)
            mirror->error = pwrite_all(mirror->fd, block, sizeof block, slot_offset(number));
    }
    return r;
}

int slots_erase(struct slots *slots, uint32_t number)
{
    struct slot erased = {.state = SLOT_ERASED};
    int r = random_bytes(&erased.generation, sizeof erased.generation);
    if (r < 0)
        return r;
    return slots_write(slots, number, &erased);
}

int slots_sync(struct slots *slots)
{
    if (fdatasync(slots->fd) < 0)
        return -errno;
    for (unsigned i = 0; i < slots->mirror_count; i++) {
        struct slots_mirror *mirror = &slots->mirrors[i];
        if (mirror->error == 0 && fdatasync(mirror->fd) < 0)
            mirror->error = -errno;
    }
    return 0;
}

void slot_aad(const struct slots *slots, uint32_t number, uint64_t generation,
              uint8_t ret_aad[SLOT_AAD_SIZE])
{
    be32_put(ret_aad, number);
    be64_put(ret_aad + 4, generation);
    memcpy(ret_aad + 12, slots->store_id, STORE_ID_SIZE);
}

/* --- the format row --------------------------------------------------------------------------- */

/* A sector of the header: size (4) ‖ row ‖ SHA-256 of both. */
enum { OFFSET_FORMAT_ROW = 512, FORMAT_ROW_MAX = 256 };

int slots_put_format(struct slots *slots, struct bytes row)
{
    uint8_t block[4 + FORMAT_ROW_MAX + SHA256_SIZE] = {0}, there[sizeof block];
    if (row.size > FORMAT_ROW_MAX)
        return -EINVAL;
    be32_put(block, (uint32_t)row.size);
    memcpy(block + 4, row.data, row.size);
    int r = sha256(block, 4 + FORMAT_ROW_MAX, block + 4 + FORMAT_ROW_MAX);
    if (r == 0 && (pread_all(slots->fd, there, sizeof there, OFFSET_FORMAT_ROW) < 0 ||
                   memcmp(block, there, sizeof block) != 0))
        r = pwrite_all(slots->fd, block, sizeof block, OFFSET_FORMAT_ROW);
    for (unsigned i = 0; r == 0 && i < slots->mirror_count; i++) {
        struct slots_mirror *mirror = &slots->mirrors[i];
        if (mirror->error == 0)
            mirror->error = pwrite_all(mirror->fd, block, sizeof block, OFFSET_FORMAT_ROW);
    }
    return r < 0 ? r : slots_sync(slots);
}

int slots_get_format(const struct slots *slots, uint8_t *out, size_t size)
{
    uint8_t block[4 + FORMAT_ROW_MAX + SHA256_SIZE], digest[SHA256_SIZE];
    int r = pread_all(slots->fd, block, sizeof block, OFFSET_FORMAT_ROW);
    if (r == 0)
        r = sha256(block, 4 + FORMAT_ROW_MAX, digest);
    if (r < 0)
        return r;
    if (memcmp(digest, block + 4 + FORMAT_ROW_MAX, sizeof digest) != 0 || be32_get(block) != size)
        return CACHE_MISS;
    memcpy(out, block + 4, size);
    return 0;
}

/* --- copies on other disks -------------------------------------------------------------------- */

int slots_count(const struct slots *slots, uint32_t *ret_count)
{
    struct stat status;
    if (fstat(slots->fd, &status) < 0)
        return -errno;
    int64_t left = (int64_t)status.st_size - SLOTS_HEADER_SIZE;
    *ret_count = left > 0 ? (uint32_t)(left / SLOT_SIZE) : 0;
    return 0;
}

/* Both ends as far as they go; zeros behind. */
static int read_block(int fd, uint8_t *out, size_t size, off_t offset, size_t *ret_size)
{
    size_t done = 0;
    memset(out, 0, size);
    while (done < size) {
        ssize_t count = pread(fd, out + done, size - done, offset + (off_t)done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    *ret_size = done;
    return 0;
}

/* Which of two differing slots is the right one: > 0 ours, < 0 the copy's, 0 neither is valid. */
static int newer(const uint8_t *ours, const uint8_t *theirs, uint32_t number)
{
    bool valid = block_valid(ours, number), their_valid = block_valid(theirs, number);
    if (!valid || !their_valid)
        return (int)valid - (int)their_valid;
    return be64_get(ours + OFFSET_SEQUENCE) >= be64_get(theirs + OFFSET_SEQUENCE) ? 1 : -1;
}

struct agreement {
    struct slots *slots;
    int mirror_fd;
    bool changed; /* something of ours */
};

static int agree_slot(struct agreement *agreement, const uint8_t *ours, const uint8_t *theirs,
                      uint32_t number)
{
    int which = newer(ours, theirs, number);
    if (which == 0)
        return 0;
    if (which < 0)
        agreement->changed = true;
    return pwrite_all(which > 0 ? agreement->mirror_fd : agreement->slots->fd,
                      which > 0 ? ours : theirs, SLOT_SIZE, slot_offset(number));
}

static void note_sequence(struct slots *slots, const uint8_t *block, uint32_t number)
{
    uint64_t sequence = be64_get(block + OFFSET_SEQUENCE);
    if (sequence > slots->sequence && block_valid(block, number))
        slots->sequence = sequence;
}

static int agree(struct agreement *agreement)
{
    enum { AT_ONCE = 8192 };
    _cleanup_free_ uint8_t *buffer = malloc((size_t)2 * AT_ONCE * SLOT_SIZE);
    uint8_t *ours = buffer, *theirs = buffer + (size_t)AT_ONCE * SLOT_SIZE;
    size_t got = 1, their_got = 1;
    int r = buffer ? 0 : -ENOMEM;
    for (uint32_t first = 0; r == 0 && got + their_got > 0; first += AT_ONCE) {
        r = read_block(agreement->slots->fd, ours, (size_t)AT_ONCE * SLOT_SIZE, slot_offset(first),
                       &got);
        if (r == 0)
            r = read_block(agreement->mirror_fd, theirs, (size_t)AT_ONCE * SLOT_SIZE,
                           slot_offset(first), &their_got);
        size_t count = (got > their_got ? got : their_got) / SLOT_SIZE;
        for (size_t i = 0; r == 0 && i < count; i++) {
            const uint8_t *a = ours + i * SLOT_SIZE, *b = theirs + i * SLOT_SIZE;
            note_sequence(agreement->slots, a, first + (uint32_t)i);
            note_sequence(agreement->slots, b, first + (uint32_t)i);
            if (memcmp(a, b, SLOT_SIZE) != 0)
                r = agree_slot(agreement, a, b, first + (uint32_t)i);
        }
    }
    if (r == 0 && (fdatasync(agreement->mirror_fd) < 0 || fdatasync(agreement->slots->fd) < 0))
        r = -errno;
    return r;
}

static int open_mirror(const struct slots *slots, int directory_fd, int *ret_fd)
{
    struct slots mirror;
    int r = slots_open(directory_fd, slots->store_id, &mirror);
    struct stat status;
    if (r == -EBADMSG && fstatat(directory_fd, slots_name, &status, AT_SYMLINK_NOFOLLOW) < 0 &&
        errno == ENOENT) {
        r = slots_create(directory_fd, slots->store_id);
        if (r == 0)
            r = slots_open(directory_fd, slots->store_id, &mirror);
    }
    if (r == 0)
        *ret_fd = mirror.fd;
    return r;
}

int slots_mirror_attach(struct slots *slots, unsigned index, bool *ret_changed)
{
    struct slots_mirror *mirror = &slots->mirrors[index];
    int fd;
    int r = open_mirror(slots, mirror->directory_fd, &fd);
    if (r == 0) {
        struct agreement agreement = {.slots = slots, .mirror_fd = fd};
        cleanup_close(&mirror->fd);
        mirror->fd = fd;
        r = agree(&agreement);
        *ret_changed |= agreement.changed;
    }
    mirror->error = r;
    return r;
}
