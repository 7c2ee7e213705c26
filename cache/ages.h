/*
 * When content was last used: an index of what is stored, the longest unused first, for eviction.
 * Known to CACHE_USE_GRAIN_S only, so that reading does not become writing.
 *
 * Thread rule: the thread that writes; cache_oldest() any.
 */
#ifndef CACHE_AGES_H
#define CACHE_AGES_H

#include "base/cleanup.h"
#include "cache/rows.h"

_must_use_ int age_put(struct cache *cache, MDB_txn *transaction, const struct cache_entry *entry);
/* Unless it is there. */
_must_use_ int age_add(struct cache *cache, MDB_txn *transaction, const struct cache_entry *entry);
_must_use_ int age_delete(struct cache *cache, MDB_txn *transaction,
                          const struct cache_entry *entry);

#endif
