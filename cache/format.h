/*
 * The row that says whose store this is and how it is written: format version, store id, and the
 * store key wrapped under the master key, which also tells another master key.
 */
#ifndef CACHE_FORMAT_H
#define CACHE_FORMAT_H

#include "base/cleanup.h"
#include "cache/store.h"

enum { STORE_MESSAGE_MAX = 256 };

/* Writes tables' first rows in the caller's transaction; draws store id and store key. */
_must_use_ int format_create(struct cache *cache, MDB_txn *transaction, char *ret_message);
/* Reads store id and store key. CACHE_MISS: no such row. Asks the keyring, so `transaction` should
 * be the first thing this process does with the store. */
_must_use_ int format_load(struct cache *cache, MDB_txn *transaction, char *ret_message);
/* After format_load(): a store of an older format is of ours from the caller's commit on. What new
 * tables hold follows from the entries: the caller lets rebuild_run() fill them. */
_must_use_ int format_upgrade(struct cache *cache, MDB_txn *transaction, bool *ret_upgraded);

/* The store key under the newest master key. CACHE_MISS: it is already. */
_must_use_ int format_rewrap(struct cache *cache, MDB_txn *transaction);

/* Whether a format row is that of this store. */
bool format_is_of(struct bytes row, const uint8_t store_id[STORE_ID_SIZE]);

/* Into the file of keys and its copies, where a restore finds it. */
_must_use_ int format_copy_to_slots(struct cache *cache);

#endif
