/*
 * Keys of retention periods. Content that may be kept until some month is encrypted under a key
 * that follows from its slot's key and from the key of that month; when the month is over and
 * nothing needs its key any more, the key is erased as a slot is. So one overwritten slot makes
 * unreadable whatever old copies of all the others may be left on the medium or elsewhere.
 *
 * A period counts CACHE_PERIOD_S from the epoch; 0 is content that is kept without end, which needs
 * no such key.
 *
 * Thread rule: period_prepare() and periods_end() the thread that writes, outside of transactions.
 */
#ifndef CACHE_PERIODS_H
#define CACHE_PERIODS_H

#include "base/cleanup.h"
#include "cache/record.h"
#include "cache/store.h"

/* In which slot the key of a period is. */
struct period_place {
    uint32_t slot;
    uint64_t generation;
    uint64_t records; /* that need it */
};

uint32_t period_of(int64_t until_s); /* 0 for 0 */

/* CACHE_MISS; -EIO. */
_must_use_ int period_get(struct cache *cache, MDB_txn *transaction, uint32_t period,
                          struct period_place *ret_place);
_must_use_ int period_put(struct cache *cache, MDB_txn *transaction, uint32_t period,
                          const struct period_place *place);
/* Makes sure that the period has a key, and yields it. */
_must_use_ int period_prepare(struct cache *cache, uint32_t period, struct data_key *ret_key);
/* One record more or less needs the key; nothing for period 0. */
_must_use_ int period_count(struct cache *cache, MDB_txn *transaction, uint32_t period, int change);

/* The key of content, from that of its slot and that of its period. */
_must_use_ int period_content_key(const struct data_key *slot_key,
                                  const struct data_key *period_key, struct data_key *ret_key);

/* Destroys the keys of periods that were over at now_s and that no record needs. */
_must_use_ int periods_end(struct cache *cache, int64_t now_s, unsigned *ret_destroyed);

#endif
