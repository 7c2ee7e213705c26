/* See cache/periods.h. */
#include "cache/periods.h"

#include "cache/erasure.h"
#include "cache/pool.h"
#include "cache/rows.h"
#include "cache/space.h"
#include "cache/stored.h"

enum { PLACE_SIZE = 4 + 8 + 8 };

static const char content_key_label[] = "kosekifs content key 1";

uint32_t period_of(int64_t until_s)
{
    if (until_s <= 0)
        return 0;
    int64_t period = until_s / CACHE_PERIOD_S + 1;
    return period < UINT32_MAX ? (uint32_t)period : UINT32_MAX;
}

int period_get(struct cache *cache, MDB_txn *transaction, uint32_t period,
               struct period_place *ret_place)
{
    uint8_t value[PLACE_SIZE];
    size_t size;
    struct number_key key = number_key(period);
    int r = row_get(cache, transaction, TABLE_PERIODS, bytes_of(key.bytes, sizeof key.bytes), value,
                    sizeof value, &size);
    if (r != 0)
        return r;
    if (size != sizeof value)
        return -EIO;
    *ret_place = (struct period_place){.slot = be32_get(value),
                                       .generation = be64_get(value + 4),
                                       .records = be64_get(value + 12)};
    return 0;
}

int period_put(struct cache *cache, MDB_txn *transaction, uint32_t period,
               const struct period_place *place)
{
    uint8_t value[PLACE_SIZE];
    struct number_key key = number_key(period);
    be32_put(value, place->slot);
    be64_put(value + 4, place->generation);
    be64_put(value + 12, place->records);
    return row_put(cache, transaction, TABLE_PERIODS, bytes_of(key.bytes, sizeof key.bytes),
                   bytes_of(value, sizeof value));
}

int period_count(struct cache *cache, MDB_txn *transaction, uint32_t period, int change)
{
    struct period_place place;
    if (period == 0)
        return 0;
    int r = period_get(cache, transaction, period, &place);
    /* A row that is damaged or too low holds up no erasure; fsck tells of it. */
    if (change < 0 && (r == -EIO || r == CACHE_MISS || (r == 0 && place.records == 0)))
        return 0;
    if (r != 0)
        return r < 0 ? r : -EIO;
    place.records += (uint64_t)(int64_t)change;
    return period_put(cache, transaction, period, &place);
}

static int add(struct cache *cache, uint32_t period, const struct pool_slot *slot)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    const struct period_place place = {.slot = slot->number, .generation = slot->generation};
    struct number_key key = number_key(slot->number);
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = period_put(cache, transaction, period, &place);
    if (r == 0)
        r = store_delete(cache, transaction, TABLE_UNUSED, bytes_of(key.bytes, sizeof key.bytes));
    return r < 0 ? r : store_commit(cache, &transaction);
}

static int find(struct cache *cache, uint32_t period, struct period_place *ret_place)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    return r < 0 ? r : period_get(cache, transaction, period, ret_place);
}

int period_prepare(struct cache *cache, uint32_t period, struct data_key *ret_key)
{
    struct period_place place;
    struct pool_slot slot;
    int r = find(cache, period, &place);
    if (r == 0)
        return stored_slot_key(cache, place.slot, place.generation, ret_key);
    if (r == CACHE_MISS)
        r = pool_take(cache, &slot, 1);
    if (r < 0)
        return r;
    r = add(cache, period, &slot);
    if (r == 0) {
        data_keys_add(cache->data_keys, data_keys_epoch(cache->data_keys), slot.number,
                      slot.generation, &slot.key);
        *ret_key = slot.key;
    }
    wipe(&slot, sizeof slot);
    return r;
}

int period_content_key(const struct data_key *slot_key, const struct data_key *period_key,
                       struct data_key *ret_key)
{
    uint8_t input[sizeof content_key_label - 1 + 2 * AEAD_KEY_SIZE];
    uint8_t *next = input;
    memcpy(next, content_key_label, sizeof content_key_label - 1);
    next += sizeof content_key_label - 1;
    memcpy(next, slot_key->bytes, AEAD_KEY_SIZE);
    memcpy(next + AEAD_KEY_SIZE, period_key->bytes, AEAD_KEY_SIZE);
    _Static_assert((int)SHA256_SIZE == (int)AEAD_KEY_SIZE, "a digest is a key");
    int r = sha256(input, sizeof input, ret_key->bytes);
    wipe(input, sizeof input);
    return r;
}

/* The first period at or after *period that was over and is needed by none; CACHE_MISS. */
static int find_ended(struct cache *cache, uint32_t *period, uint32_t present,
                      struct period_place *ret_place)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    struct number_key start = number_key(*period);
    MDB_val key = store_value(start.bytes, sizeof start.bytes), value;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, cache->tables[TABLE_PERIODS], &cursor);
    if (result != 0)
        return store_error(result);
    r = CACHE_MISS;
    for (result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         result == 0 && key.mv_size == sizeof start && be32_get(key.mv_data) < present;
         result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        *period = be32_get(key.mv_data);
        r = period_get(cache, transaction, *period, ret_place);
        if (r == 0 && ret_place->records == 0)
            break;
        r = CACHE_MISS; /* needed, or damaged: then its key stays */
    }
    mdb_cursor_close(cursor);
    return result != 0 && result != MDB_NOTFOUND ? store_error(result) : r;
}

static int begin_end(struct cache *cache, uint32_t period, const struct period_place *place)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct number_key key = number_key(period);
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = erasure_begin_slot(cache, transaction, place->slot, place->generation);
    if (r == 0)
        r = store_delete(cache, transaction, TABLE_PERIODS, bytes_of(key.bytes, sizeof key.bytes));
    return r < 0 ? r : store_commit(cache, &transaction);
}

int periods_end(struct cache *cache, int64_t now_s, unsigned *ret_destroyed)
{
    struct period_place place;
    unsigned destroyed = 0;
    uint32_t period = 0;
    int r;
    while ((r = find_ended(cache, &period, period_of(now_s), &place)) == 0) {
        r = begin_end(cache, period++, &place);
        if (r < 0)
            return r;
        destroyed++;
    }
    if (r == CACHE_MISS)
        r = destroyed > 0 ? erasure_finish(cache) : 0;
    if (r == 0)
        *ret_destroyed = destroyed;
    return r;
}
