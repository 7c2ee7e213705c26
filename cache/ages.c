/* See cache/ages.h. The key of a row: time (8) and inode (4). Its value is empty. */
#include "cache/ages.h"

#include "cache/space.h"

enum { AGE_KEY_SIZE = 8 + 4 };

static void compose(const struct cache_entry *entry, uint8_t ret_key[AGE_KEY_SIZE])
{
    be64_put(ret_key, entry->used_at_s > 0 ? (uint64_t)entry->used_at_s : 0);
    be32_put(ret_key + 8, entry->inode);
}

int age_put(struct cache *cache, MDB_txn *transaction, const struct cache_entry *entry)
{
    uint8_t key[AGE_KEY_SIZE];
    compose(entry, key);
    return store_put(cache, transaction, TABLE_AGES, bytes_of(key, sizeof key), bytes_of("", 0));
}

int age_add(struct cache *cache, MDB_txn *transaction, const struct cache_entry *entry)
{
    uint8_t key[AGE_KEY_SIZE];
    struct bytes there;
    compose(entry, key);
    int r = store_get(cache, transaction, TABLE_AGES, bytes_of(key, sizeof key), &there);
    return r == CACHE_MISS ? age_put(cache, transaction, entry) : r;
}

int age_delete(struct cache *cache, MDB_txn *transaction, const struct cache_entry *entry)
{
    uint8_t key[AGE_KEY_SIZE];
    compose(entry, key);
    return store_delete(cache, transaction, TABLE_AGES, bytes_of(key, sizeof key));
}

static int note(struct cache *cache, MDB_txn *transaction, const struct cache_use *use)
{
    struct entry_row row;
    int r = entry_get(cache, transaction, use->inode, &row);
    if (r == -EIO || r == CACHE_MISS)
        return 0; /* damaged or gone: nothing to remember */
    if (r < 0 || !entry_has_content(&row.entry) ||
        use->at_s - row.entry.used_at_s < CACHE_USE_GRAIN_S)
        return r;
    r = age_delete(cache, transaction, &row.entry);
    row.entry.used_at_s = use->at_s;
    if (r == 0)
        r = age_put(cache, transaction, &row.entry);
    return r < 0 ? r : entry_put(cache, transaction, &row);
}

int cache_note_uses(struct cache *cache, const struct cache_use *uses, size_t count)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = space_check(cache, SPACE_SMALL_PAGES + count);
    if (r == 0)
        r = store_begin(cache, 0, &transaction);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = note(cache, transaction, &uses[i]);
    return r < 0 ? r : store_commit(cache, &transaction);
}

/* False at a row that is none of ours. */
static bool next_key(MDB_val *key, struct cache_age *cursor)
{
    if (key->mv_size != AGE_KEY_SIZE)
        return false;
    cursor->used_at_s = (int64_t)be64_get(key->mv_data);
    cursor->inode = be32_get((const uint8_t *)key->mv_data + 8);
    return true;
}

int cache_oldest(struct cache *cache, struct cache_age *cursor, struct cache_entry *ret_entry)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *rows;
    struct entry_row row;
    uint8_t start[AGE_KEY_SIZE];
    be64_put(start, (uint64_t)cursor->used_at_s);
    be32_put(start + 8, cursor->inode + 1);
    MDB_val key = store_value(start, sizeof start), value;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_error(mdb_cursor_open(transaction, cache->tables[TABLE_AGES], &rows));
    if (r < 0)
        return r;
    r = CACHE_MISS;
    int result = mdb_cursor_get(rows, &key, &value, MDB_SET_RANGE);
    while (r != 0 && result == 0 && next_key(&key, cursor)) {
        r = entry_get(cache, transaction, cursor->inode, &row);
        if (r == 0 && (!entry_has_content(&row.entry) || row.entry.used_at_s != cursor->used_at_s))
            r = CACHE_MISS;
        result = mdb_cursor_get(rows, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(rows);
    if (r == 0)
        *ret_entry = row.entry;
    return r < 0 && r != -EIO ? r : r == 0 ? 0 : CACHE_MISS;
}
