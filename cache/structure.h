/*
 * The part of fsck that walks over keys: names, entries, ages, spare rows, slots and totals must
 * fit one another. To mend is the same walk in a transaction that writes.
 */
#ifndef CACHE_STRUCTURE_H
#define CACHE_STRUCTURE_H

#include "base/cleanup.h"
#include "cache/store.h"

/* Tells `check` of what does not fit, and counts it into *damages. With `mend`, which needs
 * readable totals (-EIO) and no pending erasure, it is put right as it is found; slots that nothing
 * names get a pending erasure. -ECANCELED: check->stop() said so. */
_must_use_ int structure_walk(struct cache *cache, MDB_txn *transaction, bool mend,
                              const struct cache_check *check, uint64_t *damages);

#endif
