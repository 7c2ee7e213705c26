/*
 * What a replica has not been told of: the last change of each certificate, written in the
 * transaction of the change. One row a certificate, so that it stays small while nobody reads it.
 */
#ifndef CACHE_OUTBOX_H
#define CACHE_OUTBOX_H

#include "base/cleanup.h"
#include "cache/rows.h"

enum outbox_change { OUTBOX_STORED = 1, OUTBOX_ERASED = 2 };

_must_use_ int outbox_put(struct cache *cache, MDB_txn *transaction, enum outbox_change change,
                          const struct entry_row *row);

#endif
