/* See cache/erasure.h. */
#include "cache/erasure.h"

#include "cache/ages.h"
#include "cache/periods.h"

enum {
    ERASURE_SIZE = 8 + 4 + 8 + 4,
    ERASURE_BATCH = 64,    /* erasures finished with one sync */
    CHUNKS_AT_ONCE = 4096, /* chunks deleted in one transaction: 256 MiB */
};

struct erasure {
    uint32_t slot;
    uint64_t generation;
    uint32_t inode;
    uint64_t version;
    uint32_t chunks_left;
};

static int erasure_put(struct cache *cache, MDB_txn *transaction, const struct erasure *erasure)
{
    uint8_t value[ERASURE_SIZE];
    struct number_key key = number_key(erasure->slot);
    be64_put(value, erasure->generation);
    be32_put(value + 8, erasure->inode);
    be64_put(value + 12, erasure->version);
    be32_put(value + 20, erasure->chunks_left);
    return row_put(cache, transaction, TABLE_ERASURES, bytes_of(key.bytes, sizeof key.bytes),
                   bytes_of(value, sizeof value));
}

static int erasure_get(struct cache *cache, MDB_txn *transaction, const MDB_val *key,
                       struct erasure *ret_erasure)
{
    uint8_t value[ERASURE_SIZE];
    size_t size;
    if (key->mv_size != sizeof(struct number_key))
        return -EIO;
    int r = row_get(cache, transaction, TABLE_ERASURES, bytes_of(key->mv_data, key->mv_size), value,
                    sizeof value, &size);
    if (r != 0 || size != sizeof value)
        return r < 0 ? r : -EIO;
    *ret_erasure = (struct erasure){.slot = be32_get(key->mv_data),
                                    .generation = be64_get(value),
                                    .inode = be32_get(value + 8),
                                    .version = be64_get(value + 12),
                                    .chunks_left = be32_get(value + 20)};
    return 0;
}

int erasure_begin_slot(struct cache *cache, MDB_txn *transaction, uint32_t slot,
                       uint64_t generation)
{
    const struct erasure erasure = {.slot = slot, .generation = generation};
    return erasure_put(cache, transaction, &erasure);
}

int erasure_begin(struct cache *cache, MDB_txn *transaction, const struct entry_row *row)
{
    const struct record record = entry_record(row);
    struct number_key key = number_key(record.inode);
    struct bytes inode = bytes_of(key.bytes, sizeof key.bytes);
    struct erasure erasure = {.slot = record.slot,
                              .generation = record.generation,
                              .inode = record.inode,
                              .version = record.version,
                              .chunks_left = record_chunk_count(&record)};
    int r = erasure_put(cache, transaction, &erasure);
    if (r == 0)
        r = store_delete(cache, transaction, TABLE_RECORDS, inode);
    if (r == 0)
        r = store_delete(cache, transaction, TABLE_VERDICTS, inode);
    if (r == 0)
        r = age_delete(cache, transaction, &row->entry);
    if (r == 0)
        r = period_count(cache, transaction, record.period, -1);
    return r;
}

/* Erasures of the slots from *next on; moves it on. */
static int load_batch(struct cache *cache, uint32_t *next, struct erasure *ret_batch,
                      unsigned *ret_count)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    struct number_key start = number_key(*next);
    MDB_val key = store_value(start.bytes, sizeof start.bytes), value;
    unsigned count = 0;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, cache->tables[TABLE_ERASURES], &cursor);
    if (result != 0)
        return store_error(result);
    for (result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         r == 0 && result == 0 && count < ERASURE_BATCH;
         result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        r = erasure_get(cache, transaction, &key, &ret_batch[count++]);
    mdb_cursor_close(cursor);
    if (r == 0 && result != 0 && result != MDB_NOTFOUND)
        r = store_error(result);
    if (r < 0)
        return r;
    if (count > 0)
        *next = ret_batch[count - 1].slot + 1;
    *ret_count = count;
    return 0;
}

/* Keys in memory go last: a reader that finds the slot erased cannot bring one back. They go even
 * if the disk fails, and so does what the entry said of the content. */
static int overwrite_slots(struct cache *cache, const struct erasure *batch, unsigned count)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = slots_erase(&cache->slots, batch[i].slot);
    if (r == 0)
        r = slots_sync(&cache->slots);
    for (unsigned i = 0; i < count; i++) {
        data_keys_drop(cache->data_keys, batch[i].slot, batch[i].generation);
        warm_entries_forget(cache->warm_entries, batch[i].inode);
    }
    return r;
}

static int delete_chunks(struct cache *cache, MDB_txn *transaction, struct erasure *erasure)
{
    for (unsigned i = 0; i < CHUNKS_AT_ONCE && erasure->chunks_left > 0; i++) {
        uint8_t key[RECORD_CHUNK_KEY_SIZE];
        record_chunk_key(erasure->inode, erasure->version, erasure->chunks_left - 1, key);
        int r = store_delete(cache, transaction, TABLE_CHUNKS, bytes_of(key, sizeof key));
        if (r < 0)
            return r;
        erasure->chunks_left--;
    }
    return 0;
}

/* Several transactions for a very large certificate. */
static int tidy(struct cache *cache, struct erasure *erasure)
{
    struct number_key key = number_key(erasure->slot);
    struct bytes slot = bytes_of(key.bytes, sizeof key.bytes);
    bool done = false;
    int r = 0;
    while (r == 0 && !done) {
        _cleanup_transaction_ MDB_txn *transaction = NULL;
        r = store_begin(cache, 0, &transaction);
        if (r == 0)
            r = delete_chunks(cache, transaction, erasure);
        done = erasure->chunks_left == 0;
        if (r == 0 && done)
            r = store_delete(cache, transaction, TABLE_ERASURES, slot);
        if (r == 0 && done)
            r = row_put(cache, transaction, TABLE_UNUSED, slot, bytes_of("", 0));
        if (r == 0 && !done)
            r = erasure_put(cache, transaction, erasure);
        if (r == 0)
            r = store_commit(cache, &transaction);
    }
    return r;
}

/* Each batch with one sync. All of them before anything is tidied, for which there may be no room.
 */
static int overwrite_all(struct cache *cache)
{
    struct erasure batch[ERASURE_BATCH];
    unsigned count;
    uint32_t next = 0;
    do {
        int r = load_batch(cache, &next, batch, &count);
        if (r == 0 && count > 0)
            r = overwrite_slots(cache, batch, count);
        if (r < 0)
            return r;
    } while (count == ERASURE_BATCH);
    return 0;
}

static int tidy_all(struct cache *cache)
{
    struct erasure batch[ERASURE_BATCH];
    unsigned count;
    uint32_t next = 0;
    do {
        int r = load_batch(cache, &next, batch, &count);
        for (unsigned i = 0; r == 0 && i < count; i++)
            r = tidy(cache, &batch[i]);
        if (r < 0)
            return r;
    } while (count == ERASURE_BATCH);
    return 0;
}

int erasure_finish(struct cache *cache)
{
    cache->erasures_pending = true;
    int r = overwrite_all(cache);
    if (r < 0)
        return r;
    r = tidy_all(cache);
    if (r == 0)
        cache->erasures_pending = false;
    return r == -ENOSPC ? 0 : r;
}
