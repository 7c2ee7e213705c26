/*
 * Where the store lives: the checks on its directory and file system, the lock that keeps a second
 * daemon out, and LMDB's environment. Messages go to STORE_MESSAGE_MAX bytes of ret_message.
 */
#ifndef CACHE_ENVIRONMENT_H
#define CACHE_ENVIRONMENT_H

#include "base/cleanup.h"
#include "cache/store.h"

/* -EPERM: not a directory of ours alone; -EMEDIUMTYPE: neither ext4 nor xfs. */
_must_use_ int environment_check_directory(int directory_fd, char *ret_message);
/* Held as long as the descriptor is open. -EBUSY. */
_must_use_ int environment_lock(int directory_fd, char *ret_message, int *ret_fd);
/* Opens LMDB's files in cache->directory_fd with a map of cache->map_size. */
_must_use_ int environment_open(struct cache *cache, char *ret_message);
/* Opens the tables. ret_created: there was nothing; they are new in this transaction. */
_must_use_ int environment_open_tables(struct cache *cache, MDB_txn *transaction, char *ret_message,
                                       bool *ret_created);

#endif
