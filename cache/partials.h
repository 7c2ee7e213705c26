/*
 * Beginnings of bodies that are still on their way (cache_partial_*() of cache.h): a sealed row per
 * name, and pieces encrypted under a data key of their own, whose slot belongs to the row. Erased
 * like content: the row goes and an erasure of the slot begins in one transaction.
 *
 * Thread rule: the thread that writes.
 */
#ifndef CACHE_PARTIALS_H
#define CACHE_PARTIALS_H

#include "base/cleanup.h"
#include "cache/store.h"

#include <stdint.h>

/* Within the caller's transaction, who calls erasure_finish() after its commit. CACHE_MISS: there
 * is none. */
_must_use_ int partial_erase(struct cache *cache, MDB_txn *transaction, uint32_t inode);

/* The slot that the row of an inode names. CACHE_MISS; -EIO: damaged. */
_must_use_ int partial_slot(struct cache *cache, MDB_txn *transaction, uint32_t inode,
                            uint32_t *ret_slot);

#endif
