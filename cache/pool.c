/* See cache/pool.h. Asks kosekifs-keys, so it must not be called inside a transaction. */
#include "cache/pool.h"

#include "cache/rows.h"
#include "cache/space.h"
#include "cache/store.h"

bool pool_has(const struct pool *pool, uint32_t number)
{
    for (unsigned i = 0; i < pool->count; i++)
        if (pool->slots[i].number == number)
            return true;
    return false;
}

/* The lowest numbers first, so that the file stays short. */
static int find_unused(struct cache *cache, uint32_t *ret_numbers, unsigned wanted,
                       unsigned *ret_count)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    MDB_val key, value;
    unsigned count = 0;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, cache->tables[TABLE_UNUSED], &cursor);
    if (result != 0)
        return store_error(result);
    while (count < wanted && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint32_t number;
        if (unused_slot(cache, transaction, &key, &number) && !pool_has(&cache->pool, number))
            ret_numbers[count++] = number;
    }
    mdb_cursor_close(cursor);
    if (result != 0 && result != MDB_NOTFOUND)
        return store_error(result);
    *ret_count = count;
    return 0;
}

/* Takes new slots into use. The table comes first: a slot that has a key and is in no table would
 * never be erased. */
static int extend(struct cache *cache)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct counters counters;
    int r = space_check(cache, SPACE_SMALL_PAGES);
    if (r == 0)
        r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = counters_get(cache, transaction, &counters);
    for (unsigned i = 0; r == 0 && i < POOL_SIZE; i++) {
        struct number_key key = number_key(counters.slot_count);
        if (counters.slot_count >= SLOT_COUNT_MAX)
            return -ENOSPC;
        r = row_put(cache, transaction, TABLE_UNUSED, bytes_of(key.bytes, sizeof key.bytes),
                    bytes_of("", 0));
        counters.slot_count++;
    }
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    return r < 0 ? r : store_commit(cache, &transaction);
}

static int key_slot(struct cache *cache, uint32_t number, struct pool_slot *ret_slot)
{
    struct pool_slot prepared = {.number = number};
    struct slot slot = {.state = SLOT_KEYED};
    uint8_t aad[SLOT_AAD_SIZE];
    int r = random_bytes(&slot.generation, sizeof slot.generation);
    if (r < 0)
        return r;
    slot_aad(&cache->slots, number, slot.generation, aad);
    r = cache->keyring.generate(cache->keyring.context, aad, sizeof aad, prepared.key.bytes,
                                slot.wrapped);
    if (r == 0)
        r = slots_write(&cache->slots, number, &slot);
    if (r == 0) {
        prepared.generation = slot.generation;
        *ret_slot = prepared;
    }
    data_key_wipe(&prepared.key);
    return r;
}

static int pool_fill(struct cache *cache)
{
    struct pool *pool = &cache->pool;
    uint32_t numbers[POOL_SIZE];
    unsigned wanted = POOL_SIZE - pool->count;
    unsigned found;
    int r = find_unused(cache, numbers, wanted, &found);
    if (r == 0 && found < wanted) {
        int extended = extend(cache);
        if (extended == 0)
            r = find_unused(cache, numbers, wanted, &found);
        else if (found == 0)
            r = extended;
    }
    unsigned keyed = 0;
    for (unsigned i = 0; r == 0 && i < found; i++) {
        r = key_slot(cache, numbers[i], &pool->slots[pool->count + keyed]);
        if (r == 0)
            keyed++;
    }
    /* What was written before something failed is good once it is synced. */
    int synced = keyed > 0 ? slots_sync(&cache->slots) : 0;
    if (synced == 0)
        pool->count += keyed;
    else
        wipe(&pool->slots[pool->count], keyed * sizeof *pool->slots);
    return r < 0 ? r : synced;
}

int pool_take(struct cache *cache, struct pool_slot *ret_slots, unsigned count)
{
    struct pool *pool = &cache->pool;
    int r = pool->count < POOL_LOW || pool->count < count ? pool_fill(cache) : 0;
    if (pool->count < count)
        return r < 0 ? r : -EIO;
    pool->count -= count;
    memcpy(ret_slots, &pool->slots[pool->count], count * sizeof *ret_slots);
    wipe(&pool->slots[pool->count], count * sizeof *ret_slots);
    return 0;
}

void pool_wipe(struct pool *pool)
{
    wipe(pool, sizeof *pool);
}
