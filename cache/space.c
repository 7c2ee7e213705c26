/* See cache/space.h. */
#include "cache/space.h"

#include <sys/statvfs.h>

enum {
    MAP_RESERVE_PAGES = 512,        /* 2 MiB; at most a sixteenth of the map */
    DISK_RESERVE = 2 * 1024 * 1024, /* at least */
    OVERFLOW_HEADER_SIZE = 16,      /* LMDB's page header before a value of several pages */
    FREE_TABLE = 0,                 /* LMDB's own table of free pages */
};

uint64_t space_pages(const struct cache *cache, uint64_t size)
{
    return (size + OVERFLOW_HEADER_SIZE + cache->page_size - 1) / cache->page_size;
}

/* Each value is a list of page numbers behind its length. Walks them all, so it is asked only when
 * space is short. */
static int count_free_pages(struct cache *cache, uint64_t *ret_pages)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t pages = 0;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, FREE_TABLE, &cursor);
    if (result != 0)
        return store_error(result);
    while ((result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t count = 0;
        if (value.mv_size >= sizeof count)
            memcpy(&count, value.mv_data, sizeof count);
        pages += count;
    }
    mdb_cursor_close(cursor);
    if (result != MDB_NOTFOUND)
        return store_error(result);
    *ret_pages = pages;
    return 0;
}

static uint64_t disk_left(const struct cache *cache)
{
    struct statvfs status;
    if (fstatvfs(cache->directory_fd, &status) < 0)
        return UINT64_MAX; /* the write will tell */
    return (uint64_t)status.f_bavail * status.f_frsize;
}

static uint64_t disk_reserve(const struct cache *cache)
{
    return cache->headroom > DISK_RESERVE ? cache->headroom : DISK_RESERVE;
}

bool space_disk_full(const struct cache *cache)
{
    return disk_left(cache) < DISK_RESERVE;
}

int space_check(struct cache *cache, uint64_t pages)
{
    MDB_envinfo info;
    int r = store_error(mdb_env_info(cache->environment, &info));
    if (r < 0)
        return r;
    uint64_t used = (uint64_t)info.me_last_pgno + 1;
    uint64_t limit = cache->map_size / cache->page_size;
    uint64_t reserve = limit / 16 < MAP_RESERVE_PAGES ? limit / 16 : MAP_RESERVE_PAGES;
    if (used + pages + reserve <= limit &&
        disk_left(cache) >= pages * cache->page_size + disk_reserve(cache))
        return 0;
    uint64_t free_pages = 0;
    r = count_free_pages(cache, &free_pages);
    if (r < 0)
        return r;
    /* Free pages do not lie side by side, chunks must: half of them is a careful guess, and if it
     * is wrong LMDB says so. */
    return free_pages >= 2 * pages + reserve ? 0 : -ENOSPC;
}
