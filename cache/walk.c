/*
 * The walk of a listing. The table of records has the names in clear, in the order of inode
 * numbers; whether a certificate is shown is in its sealed entry. Decrypting a million of these
 * takes a second, so what was found out is marked (cache/marks.h), and a mark is set only where the
 * name in clear is that of the entry.
 */
#include "cache/record.h"
#include "cache/rows.h"

struct walking {
    struct cache *cache;
    MDB_txn *transaction;
    const struct cache_walk *walk;
    uint64_t standing;     /* when the walk began */
    size_t names, entries; /* looked at */
    bool full;
    size_t marked_count;
    uint32_t marked[CACHE_WALK_ENTRIES_MAX]; /* when the walk is over */
};

/* Whether what was read is still so. */
static bool holds(const struct walking *walking)
{
    const struct cache_walk *walk = walking->walk;
    uint64_t newest;
    return store_newest(walking->cache, &newest) == 0 &&
           newest == mdb_txn_id(walking->transaction) &&
           marks_keep(walking->cache->marks, walking->standing) &&
           walk->standing(walk->context) == walking->standing;
}

/* Whoever commits takes marks away after the commit: what was read before it and marked after that
 * has to go here. Nothing is marked while the walk lasts: others would list by it. */
static void settle_marks(const struct walking *walking)
{
    struct marks *marks = walking->cache->marks;
    if (walking->marked_count == 0 || !holds(walking))
        return;
    for (size_t i = 0; i < walking->marked_count; i++)
        marks_set(marks, walking->marked[i]);
    if (holds(walking))
        return;
    for (size_t i = 0; i < walking->marked_count; i++)
        marks_clear(marks, walking->marked[i]);
}

/* A damaged entry is passed over: a listing never fails because of one certificate. `name` NULL:
 * the record does not tell. */
static int look_at_entry(struct walking *walking, uint32_t inode, const struct certname *name)
{
    const struct cache_walk *walk = walking->walk;
    struct entry_row row;
    int r = entry_get(walking->cache, walking->transaction, inode, &row);
    walking->entries++;
    if (r != 0)
        return r == -EIO || r == CACHE_MISS ? 0 : r;
    const struct cache_entry *entry = &row.entry;
    bool same = name && strcmp(name->text, entry->name.text) == 0;
    if (entry->state != CACHE_STORED || (!same && !walk->wanted(walk->context, &entry->name)) ||
        !walk->shown(walk->context, entry))
        return 0;
    if (same)
        walking->marked[walking->marked_count++] = inode;
    walking->full = !walk->add(walk->context, inode, &entry->name, entry);
    return 0;
}

static int look_at(struct walking *walking, uint32_t inode, struct bytes record)
{
    const struct cache_walk *walk = walking->walk;
    struct certname name;
    bool named = record_row_unverified_name(record, &name);
    walking->names++;
    if (named && !walk->wanted(walk->context, &name))
        return 0;
    if (!named || walk->entries || !marks_has(walking->cache->marks, inode))
        return look_at_entry(walking, inode, named ? &name : NULL);
    walking->full = !walk->add(walk->context, inode, &name, NULL);
    return 0;
}

static int look_from(struct walking *walking, MDB_cursor *records, uint32_t *cursor, bool *ret_end)
{
    const struct cache_walk *walk = walking->walk;
    struct number_key start = number_key(*cursor + 1);
    MDB_val key = store_value(start.bytes, sizeof start.bytes);
    MDB_val value;
    int result = mdb_cursor_get(records, &key, &value, MDB_SET_RANGE);
    while (result == 0 && walking->names < walk->names_max &&
           walking->entries < walk->entries_max) {
        if (key.mv_size != sizeof start)
            return -EIO;
        uint32_t inode = be32_get(key.mv_data);
        if (inode > CACHE_INODE_LAST)
            return -EIO;
        int r = look_at(walking, inode, bytes_of(value.mv_data, value.mv_size));
        if (r < 0)
            return r;
        if (walking->full)
            break;
        *cursor = inode;
        result = mdb_cursor_get(records, &key, &value, MDB_NEXT);
    }
    *ret_end = walking->full || result == MDB_NOTFOUND;
    return result == MDB_NOTFOUND ? 0 : store_error(result);
}

int cache_walk(struct cache *cache, const struct cache_walk *walk, uint32_t *cursor, bool *ret_end)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *records;
    if (*cursor >= CACHE_INODE_LAST) {
        *ret_end = true;
        return 0;
    }
    uint64_t standing = walk->standing(walk->context);
    marks_begin(cache->marks, standing);
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_error(mdb_cursor_open(transaction, cache->tables[TABLE_RECORDS], &records));
    if (r < 0)
        return r;
    struct walking walking;
    walking.cache = cache;
    walking.transaction = transaction;
    walking.walk = walk;
    walking.standing = standing;
    walking.names = walking.entries = walking.marked_count = 0; /* not the 4 KiB behind */
    walking.full = false;
    r = look_from(&walking, records, cursor, ret_end);
    mdb_cursor_close(records);
    settle_marks(&walking);
    return r;
}
