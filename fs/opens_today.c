/*
 * File `opens-today`: records of RECORD_SIZE bytes, big-endian: day, uid, zero, affair's hash,
 * connection, unique, and a hash of these.
 */
#include "fs/opens_today.h"

#include "base/bytes.h"
#include "fs/replay.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

enum { RECORD_SIZE = 48, RECORD_HASHED = 40, TABLE_FIRST = 256 };

struct tally {
    uint64_t affair; /* hash of the name; an affair renamed counts anew */
    uid_t uid;
    uint32_t count; /* 0 = free place */
};

struct opens_today {
    pthread_mutex_t lock; /* all below */
    int fd;
    int64_t day;
    uint32_t records;    /* in the file */
    struct tally *table; /* open addressing, at most half full */
    size_t table_size, table_used;
    struct replay *replay;
};

static uint64_t fnv(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash ^ (hash >> 29);
}

static struct tally *find(struct tally *table, size_t size, uid_t uid, uint64_t affair)
{
    size_t place = (size_t)((affair ^ uid) * 0x9e3779b97f4a7c15u >> 20) % size;
    while (table[place].count && (table[place].uid != uid || table[place].affair != affair))
        place = (place + 1) % size;
    return &table[place];
}

static int grow(struct opens_today *opens)
{
    if (opens->table_used >= OPENS_READERS_MAX)
        return -ENOSPC;
    size_t size = opens->table_size * 2;
    struct tally *table = calloc(size, sizeof *table);
    if (!table)
        return -ENOMEM;
    for (size_t i = 0; i < opens->table_size; i++) {
        const struct tally *old = &opens->table[i];
        if (old->count)
            *find(table, size, old->uid, old->affair) = *old;
    }
    free(opens->table);
    opens->table = table;
    opens->table_size = size;
    return 0;
}

/* The place to count in; NULL with *ret_error when there is none. */
static struct tally *place(struct opens_today *opens, uid_t uid, uint64_t affair, int *ret_error)
{
    struct tally *tally = find(opens->table, opens->table_size, uid, affair);
    if (tally->count || (opens->table_used + 1) * 2 <= opens->table_size)
        return tally;
    *ret_error = grow(opens);
    return *ret_error < 0 ? NULL : find(opens->table, opens->table_size, uid, affair);
}

static void add(struct opens_today *opens, struct tally *tally, uid_t uid, uint64_t affair)
{
    if (tally->count == 0) {
        opens->table_used++;
        *tally = (struct tally){.affair = affair, .uid = uid};
    }
    tally->count++;
}

static int load_record(struct opens_today *opens, const uint8_t *record)
{
    if (fnv(record, RECORD_HASHED) != be64_get(record + RECORD_HASHED))
        return -EBADMSG;
    int64_t day = (int64_t)be64_get(record);
    uint64_t affair = be64_get(record + 16);
    if (opens->records == 0)
        opens->day = day;
    if (day != opens->day)
        return -EBADMSG;
    int r = 0;
    uid_t uid = be32_get(record + 8);
    struct tally *tally = place(opens, uid, affair, &r);
    if (!tally)
        return r;
    add(opens, tally, uid, affair);
    replay_add(opens->replay, be64_get(record + 24), be64_get(record + 32));
    return 0;
}

static int load(struct opens_today *opens)
{
    uint8_t block[RECORD_SIZE * 256];
    while (opens->records < OPENS_RECORDS_MAX) {
        ssize_t got = pread(opens->fd, block, sizeof block, (off_t)opens->records * RECORD_SIZE);
        if (got < 0)
            return -errno;
        size_t count = (size_t)got / RECORD_SIZE;
        for (size_t i = 0; i < count; i++) {
            int r = load_record(opens, block + i * RECORD_SIZE);
            if (r == -EBADMSG)
                goto cut;
            if (r < 0)
                return r;
            opens->records++;
        }
        if (count == 0)
            break;
    }
cut:
    return ftruncate(opens->fd, (off_t)opens->records * RECORD_SIZE) < 0 ? -errno : 0;
}

int opens_today_open(int state_fd, struct opens_today **ret_opens)
{
    struct opens_today *opens = calloc(1, sizeof *opens);
    if (!opens)
        return -ENOMEM;
    pthread_mutex_init(&opens->lock, NULL);
    opens->fd = openat(state_fd, "opens-today", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = opens->fd < 0 ? -errno : 0;
    opens->replay = replay_new();
    opens->table_size = TABLE_FIRST;
    opens->table = calloc(opens->table_size, sizeof *opens->table);
    if (r == 0 && (!opens->replay || !opens->table))
        r = -ENOMEM;
    if (r == 0)
        r = load(opens);
    if (r < 0) {
        opens_today_close(opens);
        return r;
    }
    *ret_opens = opens;
    return 0;
}

struct opens_today *opens_today_close(struct opens_today *opens)
{
    if (!opens)
        return NULL;
    cleanup_close(&opens->fd);
    replay_free(opens->replay);
    free(opens->table);
    pthread_mutex_destroy(&opens->lock);
    free(opens);
    return NULL;
}

/* Two threads meet midnight a moment apart: the one that is late counts into the new day. Any other
 * change of the day, also back after a clock was set, begins anew. */
static int turn_day(struct opens_today *opens, int64_t day)
{
    if (day == opens->day || (opens->records > 0 && day == opens->day - 1))
        return 0;
    if (ftruncate(opens->fd, 0) < 0)
        return -errno;
    memset(opens->table, 0, opens->table_size * sizeof *opens->table);
    opens->table_used = 0;
    opens->records = 0;
    opens->day = day;
    return 0;
}

uint32_t opens_today_count(struct opens_today *opens, int64_t day, uid_t uid, const char *affair)
{
    uint64_t hash = fnv(affair, strlen(affair));
    pthread_mutex_lock(&opens->lock);
    uint32_t count = 0;
    if (day == opens->day || day == opens->day - 1)
        count = find(opens->table, opens->table_size, uid, hash)->count;
    pthread_mutex_unlock(&opens->lock);
    return count;
}

static int append(struct opens_today *opens, uid_t uid, uint64_t affair, uint64_t connection,
                  uint64_t unique)
{
    if (opens->records >= OPENS_RECORDS_MAX)
        return -ENOSPC;
    uint8_t record[RECORD_SIZE] = {0};
    be64_put(record, (uint64_t)opens->day);
    be32_put(record + 8, uid);
    be64_put(record + 16, affair);
    be64_put(record + 24, connection);
    be64_put(record + 32, unique);
    be64_put(record + RECORD_HASHED, fnv(record, RECORD_HASHED));
    /* At its place, not at the end: what is left of a short write is overwritten by the next. */
    ssize_t put = pwrite(opens->fd, record, sizeof record, (off_t)opens->records * RECORD_SIZE);
    if (put != (ssize_t)sizeof record)
        return put < 0 ? -errno : -ENOSPC;
    opens->records++;
    return 0;
}

static int take(struct opens_today *opens, int64_t day, uid_t uid, uint64_t affair, uint32_t most,
                uint64_t connection, uint64_t unique)
{
    if (replay_find(opens->replay, connection, unique))
        return OPENS_AGAIN;
    int r = turn_day(opens, day);
    if (r < 0)
        return r;
    struct tally *tally = place(opens, uid, affair, &r);
    if (!tally)
        return r;
    if (tally->count >= most)
        return OPENS_USED_UP;
    r = append(opens, uid, affair, connection, unique);
    if (r < 0)
        return r;
    add(opens, tally, uid, affair);
    replay_add(opens->replay, connection, unique);
    return 0;
}

int opens_today_take(struct opens_today *opens, int64_t day, uid_t uid, const char *affair,
                     uint32_t most, uint64_t connection, uint64_t unique)
{
    uint64_t hash = fnv(affair, strlen(affair));
    pthread_mutex_lock(&opens->lock);
    int r = take(opens, day, uid, hash, most, connection, unique);
    pthread_mutex_unlock(&opens->lock);
    return r;
}
