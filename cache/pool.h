/*
 * Slots that hold a wrapped key already and no record yet, filled and synced in batches, so that an
 * admission waits for one sync only, that of its LMDB commit. The keys in clear are kept: they
 * protect nothing so far.
 *
 * A slot in the pool is still in TABLE_UNUSED; the admission that uses it takes it out. A slot that
 * an admission took and then failed is never used again under its key: chunks may have been
 * encrypted under it. The next fill gives it a new one.
 */
#ifndef CACHE_POOL_H
#define CACHE_POOL_H

#include "base/cleanup.h"
#include "cache/record.h"

#include <stdint.h>

enum { POOL_SIZE = 64, POOL_LOW = 8 };

struct pool_slot {
    uint32_t number;
    uint64_t generation;
    struct data_key key;
};

struct pool {
    unsigned count;
    struct pool_slot slots[POOL_SIZE];
};

struct cache;

bool pool_has(const struct pool *pool, uint32_t number);
/* Fills the pool when it runs low. An error, and none is taken, only if `count` are not left in it.
 * Until its transaction a slot that was taken looks unused: whoever needs several takes them at
 * once, or a fill in between would give its slot another key. */
_must_use_ int pool_take(struct cache *cache, struct pool_slot *ret_slots, unsigned count);
void pool_wipe(struct pool *pool);

#endif
