/* The content of a certificate goes for ever; its entry stays. See cache/erasure.h. */
#include "cache/erasure.h"
#include "cache/outbox.h"

/* No space_check(): this is what the reserve is for. */
static int write_purge(struct cache *cache, MDB_txn *transaction, struct entry_row *row)
{
    struct counters counters;
    struct record record = entry_record(row);
    int r = counters_get(cache, transaction, &counters);
    if (r == 0)
        r = erasure_begin(cache, transaction, &record);
    if (r == 0)
        r = outbox_put(cache, transaction, OUTBOX_ERASED, row);
    if (r < 0)
        return r;
    counters.stored--;
    counters.stored_bytes -= row->entry.size;
    counters_touch(&counters);
    entry_forget_content(row);
    r = entry_put(cache, transaction, row);
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    return r;
}

static int begin_purge(struct cache *cache, const struct certname *name)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = entry_get_name(cache, transaction, name, &row);
    if (r != 0)
        return r;
    if (!entry_has_content(&row.entry))
        return CACHE_MISS;
    r = write_purge(cache, transaction, &row);
    return r < 0 ? r : store_commit(cache, &transaction);
}

int cache_purge(struct cache *cache, const struct certname *name)
{
    int begun = begin_purge(cache, name);
    if (begun < 0)
        return begun;
    /* A second purge of what the first could not finish does find nothing stored, but must not
     * report it gone before it is. */
    if (begun == CACHE_MISS && !cache->erasures_pending)
        return CACHE_MISS;
    int r = erasure_finish(cache);
    /* The key is gone and synced; a full disk holds up the tidying only. */
    if (r < 0 && r != -ENOSPC)
        return r;
    return begun;
}
