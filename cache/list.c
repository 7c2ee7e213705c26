/*
 * Stored certificates in order of inode numbers, and the figures of the store. The walk follows the
 * table of records, so names that were only looked up cost nothing.
 */
#include "cache/rows.h"

#include <sys/statvfs.h>

/* A damaged entry is passed over: a listing never fails because of one certificate. */
static int fill_from(struct cache *cache, MDB_txn *transaction, MDB_cursor *cursor, bool withheld,
                     uint32_t *cursor_inode, struct cache_entry *ret_entries, size_t count,
                     size_t *ret_filled)
{
    struct number_key start = number_key(*cursor_inode + 1);
    MDB_val key = store_value(start.bytes, sizeof start.bytes);
    MDB_val value;
    size_t filled = 0;
    uint32_t last = *cursor_inode;
    int result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (result == 0 && filled < count) {
        struct entry_row row;
        if (key.mv_size != sizeof start)
            return -EIO;
        last = be32_get(key.mv_data);
        int r = entry_get(cache, transaction, last, &row);
        if (r < 0 && r != -EIO)
            return r;
        if (r == 0 &&
            (row.entry.state == CACHE_STORED || (withheld && row.entry.state == CACHE_WITHHELD)))
            ret_entries[filled++] = row.entry;
        result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (result != 0 && result != MDB_NOTFOUND)
        return store_error(result);
    *cursor_inode = last;
    *ret_filled = filled;
    return 0;
}

static int list(struct cache *cache, bool withheld, uint32_t *cursor,
                struct cache_entry *ret_entries, size_t count, size_t *ret_filled)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *records;
    if (*cursor >= CACHE_INODE_LAST) {
        *ret_filled = 0;
        return 0;
    }
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_error(mdb_cursor_open(transaction, cache->tables[TABLE_RECORDS], &records));
    if (r < 0)
        return r;
    r = fill_from(cache, transaction, records, withheld, cursor, ret_entries, count, ret_filled);
    mdb_cursor_close(records);
    return r;
}

int cache_list(struct cache *cache, uint32_t *cursor, struct cache_entry *ret_entries, size_t count,
               size_t *ret_filled)
{
    return list(cache, false, cursor, ret_entries, count, ret_filled);
}

int cache_list_content(struct cache *cache, uint32_t *cursor, struct cache_entry *ret_entries,
                       size_t count, size_t *ret_filled)
{
    return list(cache, true, cursor, ret_entries, count, ret_filled);
}

static int fill_names(MDB_cursor *cursor, const char *beginning, uint32_t *ret_inodes, size_t count,
                      size_t *ret_filled)
{
    size_t size = strlen(beginning), filled = 0;
    MDB_val key = store_value(beginning, size);
    MDB_val value;
    int result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (result == 0 && filled < count && key.mv_size >= size &&
           memcmp(key.mv_data, beginning, size) == 0) {
        if (value.mv_size != sizeof(struct number_key))
            return -EIO;
        ret_inodes[filled++] = be32_get(value.mv_data);
        result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (result != 0 && result != MDB_NOTFOUND)
        return store_error(result);
    *ret_filled = filled;
    return 0;
}

int cache_list_names(struct cache *cache, const char *beginning, uint32_t *ret_inodes, size_t count,
                     size_t *ret_filled)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *names;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_error(mdb_cursor_open(transaction, cache->tables[TABLE_NAMES], &names));
    if (r < 0)
        return r;
    r = fill_names(names, beginning, ret_inodes, count, ret_filled);
    mdb_cursor_close(names);
    return r;
}

static unsigned mirrors_behind(const struct cache *cache)
{
    unsigned behind = 0;
    for (unsigned i = 0; i < cache->slots.mirror_count; i++)
        behind += cache->slots.mirrors[i].error != 0;
    return behind;
}

int cache_statistics(struct cache *cache, struct cache_statistics *ret_statistics)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct counters counters;
    struct statvfs status;
    MDB_envinfo info;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = counters_get(cache, transaction, &counters);
    if (r == 0)
        r = store_error(mdb_env_info(cache->environment, &info));
    if (r < 0)
        return r;
    if (fstatvfs(cache->directory_fd, &status) < 0)
        return -errno;
    *ret_statistics = (struct cache_statistics){
        .stored = counters.stored,
        .stored_bytes = counters.stored_bytes,
        .rejected = counters.rejected,
        .known = counters.known,
        .inodes_left = (uint64_t)CACHE_INODE_LAST + 1 - counters.next_inode,
        .block_size = status.f_frsize,
        .blocks = status.f_blocks,
        .blocks_free = status.f_bavail,
        .map_size = info.me_mapsize,
        .map_used = (info.me_last_pgno + 1) * cache->page_size,
        .mirrors_behind = mirrors_behind(cache),
        .changed_at_ns = counters.changed_at_ns};
    return 0;
}
