/*
 * Another master key: every slot is written again in place, with the same data key wrapped anew. A
 * slot lies within one sector, so a crash leaves it in the old form or in the new one; both master
 * keys are open until all is done.
 */
#include "cache/format.h"
#include "cache/slots.h"

enum { SLOTS_AT_ONCE = 256 };

static int rewrap_slot(struct cache *cache, uint32_t number, uint64_t *counted)
{
    struct slot slot;
    uint8_t aad[SLOT_AAD_SIZE];
    int r = slots_read(&cache->slots, number, &slot);
    if (r < 0 || slot.state != SLOT_KEYED)
        return r == -EBADMSG ? 0 : r; /* damaged: fsck tells of it */
    slot_aad(&cache->slots, number, slot.generation, aad);
    r = cache->keyring.rewrap(cache->keyring.context, aad, sizeof aad, slot.wrapped, slot.wrapped);
    if (r == CACHE_MISS || r == -EBADMSG)
        return 0;
    if (r == 0)
        r = slots_write(&cache->slots, number, &slot);
    *counted += r == 0;
    return r;
}

static int rewrap_store_key(struct cache *cache, uint64_t *counted)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = format_rewrap(cache, transaction);
    if (r != 0)
        return r < 0 ? r : 0;
    *counted += 1;
    r = store_commit(cache, &transaction);
    return r < 0 ? r : format_copy_to_slots(cache);
}

int cache_rewrap(struct cache *cache, uint32_t *cursor, uint64_t *counted, bool *ret_done)
{
    uint32_t count;
    int r = slots_count(&cache->slots, &count);
    uint32_t end = count - *cursor > SLOTS_AT_ONCE ? *cursor + SLOTS_AT_ONCE : count;
    uint32_t number = *cursor;
    for (; r == 0 && number < end; number++)
        r = rewrap_slot(cache, number, counted);
    if (r == 0)
        r = slots_sync(&cache->slots);
    if (r == 0 && end == count)
        r = rewrap_store_key(cache, counted);
    if (r < 0)
        return r;
    *cursor = number;
    *ret_done = end == count;
    return 0;
}
