/* See cache/recovery.h. */
#include "cache/recovery.h"

#include "cache/erasure.h"
#include "cache/format.h"
#include "cache/periods.h"
#include "cache/rebuild.h"

/* Erased, or beyond the end of the file: a slot taken into use and never written. */
static bool holds_no_key(const struct cache *cache, uint32_t number, off_t end)
{
    struct slot slot;
    if (SLOTS_HEADER_SIZE + (off_t)number * SLOT_SIZE >= end)
        return true;
    return slots_read(&cache->slots, number, &slot) == 0 && slot.state == SLOT_ERASED;
}

static int erase_unused(struct cache *cache)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    MDB_val key, value;
    bool written = false;
    off_t end = lseek(cache->slots.fd, 0, SEEK_END);
    if (end < 0)
        return -errno;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, cache->tables[TABLE_UNUSED], &cursor);
    if (result != 0)
        return store_error(result);
    while (r == 0 && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint32_t number;
        if (!unused_slot(cache, transaction, &key, &number) || holds_no_key(cache, number, end))
            continue;
        r = slots_erase(&cache->slots, number);
        written = true;
    }
    mdb_cursor_close(cursor);
    if (r == 0 && result != MDB_NOTFOUND)
        r = store_error(result);
    if (r == 0 && written)
        r = slots_sync(&cache->slots);
    return r;
}

int recovery_run(struct cache *cache, char *ret_message)
{
    int r = format_copy_to_slots(cache);
    if (r == 0)
        r = rebuild_run(cache);
    if (r == 0)
        r = erasure_finish(cache);
    if (r == 0)
        r = erase_unused(cache);
    if (r < 0)
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: recovery failed: %s", strerror(-r));
    return r == -EIO ? -EBADMSG : r;
}

int cache_upkeep(struct cache *cache, int64_t now_s, unsigned *ret_ended)
{
    int stale;
    bool changed = false;
    int r = store_error(mdb_reader_check(cache->environment, &stale));
    for (unsigned i = 0; r == 0 && i < cache->slots.mirror_count; i++)
        if (cache->slots.mirrors[i].error != 0)
            if (slots_mirror_attach(&cache->slots, i, &changed) == 0) /* statistics tell of it */
                r = format_copy_to_slots(cache);
    if (r == 0 && cache->erasures_pending)
        r = erasure_finish(cache);
    return r < 0 ? r : periods_end(cache, now_s, ret_ended);
}
