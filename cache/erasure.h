/*
 * Erasing a version of a certificate in three durable steps, each of which can be the last before a
 * crash:
 *   1. with the change that takes it out of sight (purge, rejection, a newer version): a row in
 *      TABLE_ERASURES;
 *   2. its slot is overwritten in place and synced: from here on the content is gone;
 *   3. chunks and the row go, the slot is unused.
 * cache_open() finishes what was begun.
 *
 * Thread rule: the thread that writes.
 */
#ifndef CACHE_ERASURE_H
#define CACHE_ERASURE_H

#include "base/cleanup.h"
#include "cache/record.h"
#include "cache/rows.h"
#include "cache/store.h"

/* Step 1, within the caller's transaction: the row, and all that names the slot but the entry. The
 * caller changes the entry and, after its commit, calls erasure_finish(). */
_must_use_ int erasure_begin(struct cache *cache, MDB_txn *transaction,
                             const struct entry_row *row);
/* The same for a slot that belongs to no record. */
_must_use_ int erasure_begin_slot(struct cache *cache, MDB_txn *transaction, uint32_t slot,
                                  uint64_t generation);

/* Steps 2 and 3 for all that is pending. After an error it stays pending. 0: step 2 is done for
 * all; step 3 may wait until the disk has room (cache->erasures_pending). */
_must_use_ int erasure_finish(struct cache *cache);

#endif
