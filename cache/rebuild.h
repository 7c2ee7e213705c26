/*
 * All tables that follow from the others, made anew: names, ages, unused slots, counts. Done at the
 * start when somebody asked for it: after an upgrade of the format, a restore, the switch to a
 * replica, or when a newer copy of the keys showed that records are older than their erasure.
 * Content whose key is gone is dropped; an entry that is damaged is lost and goes. Where only the
 * row that says where a month's key is cannot be read, content and keys stay as they are.
 *
 * The wish is a row of its own, deleted with the last step, so a crash repeats it from the start.
 *
 * Thread rule: the thread that writes, and no other thread at all.
 */
#ifndef CACHE_REBUILD_H
#define CACHE_REBUILD_H

#include "base/cleanup.h"
#include "cache/store.h"

_must_use_ int rebuild_ask(struct cache *cache, MDB_txn *transaction);
/* All has been mended meanwhile. */
_must_use_ int rebuild_unask(struct cache *cache, MDB_txn *transaction);
/* If it was asked for. */
_must_use_ int rebuild_run(struct cache *cache);

/* Deletes the chunks of an inode but those of one version; 0 keeps none. */
_must_use_ int rebuild_delete_chunks(struct cache *cache, MDB_txn *transaction, uint32_t inode,
                                     uint64_t keep_version);

#endif
