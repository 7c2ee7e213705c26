/*
 * Sealed rows: nonce (12, random) ‖ ciphertext ‖ tag (16) under the store key; the additional data
 * are a label, the store id, the table and the key of the row. Two kinds live here: the entry of a
 * certificate, and the counters of the store.
 */
#ifndef CACHE_ROWS_H
#define CACHE_ROWS_H

#include "base/cleanup.h"
#include "cache/store.h"

enum { ROW_EXTRA = AEAD_NONCE_SIZE + AEAD_TAG_SIZE };

_must_use_ int row_put(struct cache *cache, MDB_txn *transaction, enum table table,
                       struct bytes key, struct bytes plain);
/* Plaintext into `out`, which has room for `size_max` bytes. CACHE_MISS; -EIO if it is damaged or
 * longer. */
_must_use_ int row_get(struct cache *cache, MDB_txn *transaction, enum table table,
                       struct bytes key, uint8_t *out, size_t size_max, size_t *ret_size);

/* The public entry, and where its content is. All of `place` but the version is zero unless the
 * certificate is stored. */
struct entry_row {
    struct cache_entry entry;
    struct {
        uint64_t version; /* of the last admission; 0 = there was none */
        uint64_t generation;
        uint32_t slot;
        uint32_t chunk_size;
        uint32_t period;
    } place;
};

/* CACHE_MISS; -EIO. */
_must_use_ int entry_get(struct cache *cache, MDB_txn *transaction, uint32_t inode,
                         struct entry_row *ret_row);
_must_use_ int entry_get_name(struct cache *cache, MDB_txn *transaction,
                              const struct certname *name, struct entry_row *ret_row);
/* Inode numbers of entries from *next on, ascending, at most `max`; moves *next on. *ret_count = 0
 * at the end. */
_must_use_ int entry_inodes(struct cache *cache, uint32_t *next, uint32_t *ret_inodes, unsigned max,
                            unsigned *ret_count);
_must_use_ int entry_put(struct cache *cache, MDB_txn *transaction, const struct entry_row *row);
/* True if there is content under the entry, readable or withheld. */
static inline bool entry_has_content(const struct cache_entry *entry)
{
    return entry->state == CACHE_STORED || entry->state == CACHE_WITHHELD;
}
/* Back to CACHE_KNOWN, keeping what the link system said. */
void entry_forget_content(struct entry_row *row);
struct record entry_record(const struct entry_row *row);

struct counters {
    uint64_t stored;
    uint64_t stored_bytes;
    uint64_t rejected;
    uint64_t known;
    int64_t changed_at_ns;
    uint32_t next_inode;
    uint32_t slot_count; /* slots ever taken into use: each is in a record, an erasure or unused */
};

/* A row of TABLE_UNUSED. False if it is damaged: writing a slot on the word of a flipped bit would
 * destroy a certificate, while a slot forgotten is 128 bytes. */
bool unused_slot(struct cache *cache, MDB_txn *transaction, const MDB_val *key,
                 uint32_t *ret_number);

_must_use_ int counters_get(struct cache *cache, MDB_txn *transaction,
                            struct counters *ret_counters);
_must_use_ int counters_put(struct cache *cache, MDB_txn *transaction,
                            const struct counters *counters);
/* Content came or went: the directory's time moves on, and never back. */
void counters_touch(struct counters *counters);

#endif
