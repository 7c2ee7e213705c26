#include "fs/audit_file.h"

#include "fs/audit_record.h"
#include "fs/replay.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    NAME_SIZE = sizeof "trail-00000001.jsonl",
    /* Read when the trail is opened: enough for the records of all requests that may be replayed.
     */
    TAIL_MAX = 1024 * 1024,
    OLDER_MAX = 32,
};

static void name_of(uint64_t number, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "trail-%08u.jsonl", (unsigned)(number % 100000000));
}

bool audit_file_number(const char *name, uint64_t *ret_number)
{
    if (strlen(name) != NAME_SIZE - 1 || strncmp(name, "trail-", 6) != 0 ||
        strcmp(name + 14, ".jsonl") != 0 || strspn(name + 6, "0123456789") != 8)
        return false;
    *ret_number = strtoull(name + 6, NULL, 10);
    return *ret_number > 0;
}

static int newest_number(int directory_fd, uint64_t *ret_number)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *directory = fdopendir(fd);
    if (!directory) {
        int error = -errno;
        close(fd);
        return error;
    }
    uint64_t newest = 0, number;
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(directory))) {
        if (audit_file_number(entry->d_name, &number) && number > newest)
            newest = number;
    }
    int error = errno;
    closedir(directory);
    if (error)
        return -error;
    *ret_number = newest;
    return 0;
}

static int open_number(int directory_fd, uint64_t number, int flags, int *ret_fd)
{
    char name[NAME_SIZE];
    name_of(number, name);
    int fd = openat(directory_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0640);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

/* The last bytes of a file, at most TAIL_MAX. */
static int read_tail(int fd, struct buffer *out, uint64_t *ret_offset)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    uint64_t size = (uint64_t)status.st_size;
    uint64_t offset = size > TAIL_MAX ? size - TAIL_MAX : 0;
    *ret_offset = offset;
    uint8_t block[16 * 1024];
    for (;;) {
        ssize_t got = pread(fd, block, sizeof block, (off_t)offset);
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        int r = buffer_append(out, block, (size_t)got);
        if (r < 0)
            return r;
        offset += (uint64_t)got;
    }
}

/* What is known of the line that was read before. */
struct walk {
    bool known; /* hash is that of the line before */
    uint8_t hash[SHA256_SIZE];
    uint64_t sequence;
    bool bad; /* the last line is not what was written */
};

static int walk_line(struct walk *walk, struct bytes line, struct replay *replay)
{
    struct bytes event;
    struct audit_fields fields;
    uint8_t hash[SHA256_SIZE], expected[SHA256_SIZE];
    walk->bad = true;
    int r = audit_record_split(line, &event, hash);
    if (r == 0)
        r = audit_record_fields(event, &fields);
    if (r < 0)
        return r == -EBADMSG ? 0 : r;

    if (fields.begins_file || walk->known) {
        r = audit_record_hash(event, fields.begins_file ? fields.previous : walk->hash, expected);
        if (r < 0)
            return r;
        walk->bad = memcmp(expected, hash, SHA256_SIZE) != 0;
    } else {
        walk->bad = false;
    }
    walk->known = true;
    walk->sequence = fields.sequence;
    memcpy(walk->hash, hash, SHA256_SIZE);
    if (fields.is_open && !walk->bad)
        replay_add(replay, fields.connection, audit_replay_key(fields.unique, fields.result));
    return 0;
}

/* Looks at the end of one file. *ret_end is where its last whole line ends. */
static int walk_tail(int fd, struct replay *replay, struct walk *walk, uint64_t *ret_end,
                     uint64_t *ret_size, uint64_t *ret_last)
{
    _cleanup_buffer_ struct buffer tail;
    buffer_init(&tail, TAIL_MAX + 64 * 1024);
    uint64_t offset;
    int r = read_tail(fd, &tail, &offset);
    if (r < 0)
        return r;
    const uint8_t *next = tail.data, *end = tail.size ? tail.data + tail.size : tail.data;
    *ret_end = *ret_last = offset;
    *ret_size = offset + tail.size;
    const uint8_t *feed;
    bool skip = offset > 0; /* the first bytes belong to a line that began earlier */
    while (next < end && (feed = memchr(next, '\n', (size_t)(end - next)))) {
        if (!skip) {
            r = walk_line(walk, bytes_of(next, (size_t)(feed - next)), replay);
            if (r < 0)
                return r;
            *ret_last = offset + (uint64_t)(next - tail.data);
        }
        skip = false;
        next = feed + 1;
        *ret_end = offset + (uint64_t)(next - tail.data);
    }
    return 0;
}

/* The files before the newest, as far back as TAIL_MAX reaches: the newest may have been begun a
 * moment before the crash. */
static int walk_older(int directory_fd, uint64_t number, struct replay *replay, struct walk *walk)
{
    _cleanup_close_ int fd = -1;
    uint64_t first = number;
    for (off_t size = 0; first > 1 && number - first < OLDER_MAX && size < TAIL_MAX; first--) {
        struct stat status;
        int r = open_number(directory_fd, first - 1, 0, &fd);
        if (r == -ENOENT)
            break; /* moved away: its end stands in the first record of the file after it */
        if (r < 0)
            return r;
        if (fstat(fd, &status) < 0)
            return -errno;
        size += status.st_size;
        close(steal_fd(&fd));
    }
    for (; first < number; first++) {
        uint64_t end, size, last;
        int r = open_number(directory_fd, first, 0, &fd);
        if (r == 0)
            r = walk_tail(fd, replay, walk, &end, &size, &last);
        if (r < 0)
            return r;
        close(steal_fd(&fd));
    }
    walk->bad = false;
    return 0;
}

int audit_file_open(int directory_fd, struct replay *replay, struct audit_file *ret_file,
                    struct audit_tail *ret_tail)
{
    uint64_t number = 0;
    int r = newest_number(directory_fd, &number);
    if (r < 0)
        return r;
    if (number == 0)
        number = 1;
    _cleanup_close_ int fd = -1;
    r = open_number(directory_fd, number, O_CREAT, &fd);
    if (r < 0)
        return r;

    struct walk walk = {0};
    uint64_t end, size, last;
    r = walk_older(directory_fd, number, replay, &walk);
    if (r == 0)
        r = walk_tail(fd, replay, &walk, &end, &size, &last);
    if (r < 0)
        return r;
    if (size > end && ftruncate(fd, (off_t)end) < 0)
        return -errno;
    if (fsync(directory_fd) < 0)
        return -errno;

    struct audit_tail tail = {.sequence = walk.sequence,
                              .cut = size - end,
                              .empty = end == 0,
                              .is_damaged = walk.bad,
                              .damaged = walk.bad ? last : 0};
    memcpy(tail.hash, walk.hash, SHA256_SIZE);
    *ret_tail = tail;
    *ret_file = (struct audit_file){.fd = steal_fd(&fd), .number = number, .size = end};
    return 0;
}

int audit_file_next(int directory_fd, struct audit_file *file, int *ret_old_fd)
{
    _cleanup_close_ int fd = -1;
    int r = open_number(directory_fd, file->number + 1, O_CREAT | O_EXCL, &fd);
    if (r < 0)
        return r;
    if (fsync(directory_fd) < 0)
        return -errno;
    *ret_old_fd = file->fd;
    *file = (struct audit_file){.fd = steal_fd(&fd), .number = file->number + 1};
    return 0;
}

static int take_back(struct audit_file *file)
{
    if (file->torn && ftruncate(file->fd, (off_t)file->size) < 0)
        return -errno;
    file->torn = false;
    return 0;
}

int audit_file_append(struct audit_file *file, const void *line, size_t size)
{
    int r = take_back(file);
    if (r < 0)
        return r;
    ssize_t put = pwrite(file->fd, line, size, (off_t)file->size);
    if (put == (ssize_t)size) {
        file->size += size;
        return 0;
    }
    r = put < 0 ? -errno : -ENOSPC; /* short only when the disk is full */
    file->torn = true;
    if (put >= 0)
        (void)!take_back(file); /* tried again before the next record */
    return r;
}
