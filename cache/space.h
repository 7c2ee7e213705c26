/*
 * Room in the map and on the disk, asked before a transaction takes it. What is kept back lets
 * purges work when nothing else does: LMDB copies pages before it changes them, so even a deletion
 * needs a few free ones.
 */
#ifndef CACHE_SPACE_H
#define CACHE_SPACE_H

#include "base/cleanup.h"
#include "cache/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Pages that a transaction with a few small rows may touch. */
enum { SPACE_SMALL_PAGES = 64 };

/* Pages that a value of `size` bytes takes. */
uint64_t space_pages(const struct cache *cache, uint64_t size);

/* -ENOSPC if `pages` more would use up what is kept back. Before the transaction, since LMDB shows
 * its free pages to reading ones only. */
_must_use_ int space_check(struct cache *cache, uint64_t pages);

/* True when the disk has so little left that a failed write is explained by it. */
bool space_disk_full(const struct cache *cache);

#endif
