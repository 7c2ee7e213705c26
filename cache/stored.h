/*
 * A stored certificate opened for use: entry and record header that agree, and the data key. If the
 * key is not in memory, kosekifs-keys is asked, outside of any transaction.
 */
#ifndef CACHE_STORED_H
#define CACHE_STORED_H

#include "base/cleanup.h"
#include "cache/periods.h"
#include "cache/record.h"
#include "cache/rows.h"
#include "cache/store.h"

struct stored {
    MDB_txn *transaction; /* reading */
    struct record record;
    struct period_place period; /* if the record has one */
    uint8_t header[RECORD_HEADER_SIZE];
    struct data_key key;
};

enum stored_which {
    STORED_ONLY,        /* what may be read */
    STORED_OR_WITHHELD, /* for verification and verdicts */
};

/* The key of a slot, from memory or from kosekifs-keys: outside of transactions. -EIO if the slot
 * holds no such key. */
_must_use_ int stored_slot_key(struct cache *cache, uint32_t slot, uint64_t generation,
                               struct data_key *ret_key);

/* CACHE_MISS: no such content; -EIO: damaged; or what the keyring says. */
_must_use_ int stored_open(struct cache *cache, uint32_t inode, enum stored_which which,
                           struct stored *ret_stored);
void stored_close(struct stored *stored);

#define _cleanup_stored_ _cleanup_(stored_close)

_must_use_ int stored_record_put(struct cache *cache, MDB_txn *transaction,
                                 const struct record *record,
                                 uint8_t ret_header[RECORD_HEADER_SIZE]);

/* Plaintext of a verdict sealed with a certificate, into `out` of VERDICT_ENCODED_MAX bytes. */
_must_use_ int stored_verdict(struct cache *cache, const struct stored *stored, uint8_t *out,
                              size_t *ret_size);

/* Seals a verdict with a certificate, in place of one that is there. */
_must_use_ int stored_verdict_put(struct cache *cache, MDB_txn *transaction,
                                  const struct record *record,
                                  const uint8_t header[RECORD_HEADER_SIZE],
                                  const struct data_key *key, const struct verdict *verdict);

#endif
