/*
 * What struct cache is inside the folder: an LMDB environment with its tables, the slot file, the
 * keys in memory; and how transactions begin, end and fail.
 *
 * Rows that say something about a certificate are sealed under the store key (AES-256-GCM, bound to
 * table and key of the row), so that a damaged, swapped or foreign row is told from a good one.
 *
 * Locks, in order of acquisition: LMDB's writer lock, then those of data_keys and warm_entries.
 * None is held while kosekifs-keys is asked.
 */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include "cache/cache.h"
#include "cache/data_keys.h"
#include "cache/marks.h"
#include "cache/pool.h"
#include "cache/warm_entries.h"
#include "cache/record.h"
#include "cache/slots.h"

#include <lmdb.h>

/* The numbers go on disk, into the seals of rows. */
enum table {
    TABLE_META = 0,      /* "format": plain; "counters": sealed */
    TABLE_NAMES = 1,     /* name -> inode */
    TABLE_ENTRIES = 2,   /* inode -> sealed entry */
    TABLE_RECORDS = 3,   /* inode -> record header; the stored certificates */
    TABLE_CHUNKS = 4,    /* inode, version, chunk -> sealed chunk */
    TABLE_VERDICTS = 5,  /* inode -> verdict, sealed by the data key or, rejected, as a row */
    TABLE_ERASURES = 6,  /* slot -> what is being erased */
    TABLE_UNUSED = 7,    /* slot -> nothing, sealed: slots that no record names */
    TABLE_OUTBOX = 8,    /* inode -> the last change a replica has not been told of */
    TABLE_PERIODS = 9,   /* period -> slot of its key, and how many records need it */
    TABLE_AGES = 10,     /* time of last use, inode -> nothing: content, oldest first */
    TABLE_LISTS = 11,    /* digest of the scope -> revocation list */
    TABLE_SIGNERS = 12,  /* digest of the certificate -> signer and what was seen revoked */
    TABLE_PARTIALS = 13, /* inode -> sealed: the beginning of a body on its way */
    TABLE_PIECES = 14,   /* inode, slot generation, number -> sealed piece of it */
    TABLE_COUNT,
    TABLE_NEW_IN_2 = TABLE_PERIODS, /* tables from here on are not in format 1 */
};

enum { STORE_CHANGED_MAX = 512 };

struct cache {
    int directory_fd;
    int lock_fd;
    MDB_env *environment;
    MDB_dbi tables[TABLE_COUNT];
    size_t page_size;
    uint64_t map_size;
    uint64_t quota;
    uint64_t headroom;      /* bytes of the disk that admissions leave free */
    bool outbox;            /* somebody reads it */
    uint64_t partials_max;  /* bytes of partial bodies that are kept */
    uint64_t partial_bytes; /* as they are; the writing thread */
    struct cache_keyring keyring;
    uint8_t store_id[STORE_ID_SIZE];
    struct data_key store_key;
    struct data_keys *data_keys;
    struct warm_entries *warm_entries;
    struct marks *marks;
    struct slots slots;
    struct pool pool;      /* the writing thread, as the next */
    bool erasures_pending; /* some erasure has not been finished */
    struct {               /* entries that the write transaction under way has changed */
        uint32_t inodes[STORE_CHANGED_MAX];
        size_t count; /* may be more than there is room for */
    } changed;
};

/* 0 for 0; -EIO for whatever LMDB says of damage; -ENOSPC when the map is full. */
_must_use_ int store_error(int lmdb_result);

/* flags: 0 or MDB_RDONLY. */
_must_use_ int store_begin(struct cache *cache, unsigned flags, MDB_txn **ret_transaction);
/* Ends the transaction in any case; durable after 0. A full disk is -ENOSPC. */
_must_use_ int store_commit(struct cache *cache, MDB_txn **transaction);

/* The entry is another once the transaction is committed. */
void store_note_change(struct cache *cache, uint32_t inode);

/* The number of the transaction that was committed last; mdb_txn_id() of one that reads it. */
_must_use_ int store_newest(struct cache *cache, uint64_t *ret_transaction);

static inline void cleanup_transaction(MDB_txn **slot)
{
    if (*slot)
        mdb_txn_abort(*slot);
}
#define _cleanup_transaction_ _cleanup_(cleanup_transaction)

static inline MDB_val store_value(const void *data, size_t size)
{
    MDB_val value = {.mv_size = size};
    memcpy(&value.mv_data, &data, sizeof data); /* LMDB does not write there, but has no const */
    return value;
}

/* Plain values. CACHE_MISS if there is none. The value points into the map and lasts until the
 * transaction writes or ends. */
_must_use_ int store_get(struct cache *cache, MDB_txn *transaction, enum table table,
                         struct bytes key, struct bytes *ret_value);
_must_use_ int store_put(struct cache *cache, MDB_txn *transaction, enum table table,
                         struct bytes key, struct bytes value);
/* A row that must be new: -EIO if it is there. */
_must_use_ int store_add(struct cache *cache, MDB_txn *transaction, enum table table,
                         struct bytes key, struct bytes value);
/* No row is as good as a deleted one. */
_must_use_ int store_delete(struct cache *cache, MDB_txn *transaction, enum table table,
                            struct bytes key);

/* Keys that are numbers. */
struct number_key {
    uint8_t bytes[4];
};

static inline struct number_key number_key(uint32_t number)
{
    struct number_key key;
    be32_put(key.bytes, number);
    return key;
}

#endif
