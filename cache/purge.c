/*
 * The content of a certificate goes for ever (cache/erasure.h): its entry stays known, or is
 * forgotten too. And what forbids it: the legal hold.
 */
#include "cache/erasure.h"
#include "cache/outbox.h"
#include "cache/partials.h"
#include "cache/rebuild.h"
#include "cache/space.h"

/* The inode that the plain row of names gives; the entry under it may be damaged. */
static int inode_of(struct cache *cache, MDB_txn *transaction, const struct certname *name,
                    uint32_t *ret_inode)
{
    struct bytes value;
    int r = store_get(cache, transaction, TABLE_NAMES, bytes_of(name->text, strlen(name->text)),
                      &value);
    if (r != 0)
        return r;
    if (value.size != sizeof(struct number_key))
        return -EIO;
    *ret_inode = be32_get(value.data);
    return 0;
}

int cache_find_number(struct cache *cache, const struct certname *name, uint32_t *ret_inode)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    return r < 0 ? r : inode_of(cache, transaction, name, ret_inode);
}

/* Takes the content out; the caller puts or deletes the entry. */
static int drop_content(struct cache *cache, MDB_txn *transaction, struct counters *counters,
                        struct entry_row *row)
{
    int r = erasure_begin(cache, transaction, row);
    if (r == 0)
        r = outbox_put(cache, transaction, OUTBOX_ERASED, row);
    if (r < 0)
        return r;
    counters->stored--;
    counters->stored_bytes -= row->entry.size;
    counters_touch(counters);
    entry_forget_content(row);
    return 0;
}

/* No space_check(): this is what the reserve is for. */
static int begin_purge(struct cache *cache, const struct certname *name)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct counters counters;
    struct entry_row row;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = entry_get_name(cache, transaction, name, &row);
    if (r != 0)
        return r;
    if (entry_has_content(&row.entry) && row.entry.held)
        return -EBUSY;
    int partial = partial_erase(cache, transaction, row.entry.inode);
    if (partial < 0)
        return partial;
    if (!entry_has_content(&row.entry))
        return partial == CACHE_MISS ? CACHE_MISS : store_commit(cache, &transaction);
    r = counters_get(cache, transaction, &counters);
    if (r == 0)
        r = drop_content(cache, transaction, &counters, &row);
    if (r == 0)
        r = entry_put(cache, transaction, &row);
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    return r < 0 ? r : store_commit(cache, &transaction);
}

/* What a begun erasure comes to. */
static int finish(struct cache *cache, int begun)
{
    if (begun < 0)
        return begun;
    /* A second purge of what the first could not finish does find nothing stored, but must not
     * report it gone before it is. */
    if (begun == CACHE_MISS && !cache->erasures_pending)
        return CACHE_MISS;
    return erasure_finish(cache) < 0 ? CACHE_PENDING : begun;
}

int cache_purge(struct cache *cache, const struct certname *name)
{
    return finish(cache, begin_purge(cache, name));
}

static int delete_rows(struct cache *cache, MDB_txn *transaction, const struct certname *name,
                       uint32_t inode)
{
    static const enum table tables[] = {TABLE_ENTRIES, TABLE_RECORDS, TABLE_VERDICTS};
    struct number_key key = number_key(inode);
    int r = store_delete(cache, transaction, TABLE_NAMES, bytes_of(name->text, strlen(name->text)));
    for (size_t i = 0; r == 0 && i < sizeof tables / sizeof *tables; i++)
        r = store_delete(cache, transaction, tables[i], bytes_of(key.bytes, sizeof key.bytes));
    return r;
}

/*
 * The entry is damaged: the plain header may still lead to the slot. Its word counts only if the
 * slot bears the same random number, or a flipped bit would destroy another certificate. What stays
 * behind otherwise is mended by cache_mend(), at the next start at the latest.
 */
static int drop_unreadable(struct cache *cache, MDB_txn *transaction, uint32_t inode)
{
    struct bytes header;
    struct slot slot;
    struct number_key key = number_key(inode);
    int r = store_get(cache, transaction, TABLE_RECORDS, bytes_of(key.bytes, sizeof key.bytes),
                      &header);
    if (r == 0 && header.size >= RECORD_HEADER_SIZE) {
        uint32_t number = record_header_slot(header.data);
        uint64_t generation = record_header_generation(header.data);
        if (slots_read(&cache->slots, number, &slot) == 0 && slot.generation == generation)
            r = erasure_begin_slot(cache, transaction, number, generation);
    }
    if (r >= 0)
        r = rebuild_delete_chunks(cache, transaction, inode, 0);
    return r < 0 ? r : rebuild_ask(cache, transaction);
}

/* The name leads nowhere, or to the entry of another one: which is its own is found by
 * cache_mend(), and must not stay behind when this one is called erased. */
static bool leads_astray(struct cache *cache, MDB_txn *transaction, uint32_t inode)
{
    struct entry_row row;
    return entry_get(cache, transaction, inode, &row) != -EIO;
}

static int begin_forget(struct cache *cache, const struct certname *name)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct counters counters;
    struct entry_row row;
    uint32_t inode;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = inode_of(cache, transaction, name, &inode);
    if (r != 0)
        return r;
    r = counters_get(cache, transaction, &counters);
    if (r < 0)
        return r;
    r = entry_get_name(cache, transaction, name, &row);
    if (r < 0 && (r != -EIO || leads_astray(cache, transaction, inode)))
        return r;
    if (r == 0 && row.entry.held)
        return -EBUSY;
    if (r == 0 && row.entry.state == CACHE_REJECTED)
        counters.rejected--;
    if (r == -EIO)
        r = drop_unreadable(cache, transaction, inode);
    else if (entry_has_content(&row.entry))
        r = drop_content(cache, transaction, &counters, &row);
    counters.known -= counters.known > 0;
    if (r == 0)
        r = partial_erase(cache, transaction, inode);
    if (r >= 0)
        r = delete_rows(cache, transaction, name, inode);
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    return r < 0 ? r : store_commit(cache, &transaction);
}

int cache_forget(struct cache *cache, const struct certname *name)
{
    return finish(cache, begin_forget(cache, name));
}

int cache_hold(struct cache *cache, const struct certname *name, bool held)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    int r = space_check(cache, SPACE_SMALL_PAGES);
    if (r == 0)
        r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = entry_get_name(cache, transaction, name, &row);
    if (r != 0)
        return r;
    if (!entry_has_content(&row.entry))
        return CACHE_MISS;
    row.entry.held = held;
    r = entry_put(cache, transaction, &row);
    if (r == 0)
        r = outbox_put(cache, transaction, OUTBOX_STORED, &row);
    return r < 0 ? r : store_commit(cache, &transaction);
}
