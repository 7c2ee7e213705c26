/*
 * A second store in another directory that follows this one: the rows of each certificate that
 * came, changed or went are copied as they are. Its file of keys is a copy that every write to the
 * slots reaches at once (cache/slots.h), so what is erased here can be read there no more, even
 * before its rows are taken away. It asks to be rebuilt when it is opened as a store
 * (cache/rebuild.h).
 *
 * First all entries are compared; after that the outbox says what to do.
 *
 * Thread rule: a thread of its own, beside readers and the writer of the store; outbox rows that
 * are done are deleted by the thread that writes.
 */
#ifndef CACHE_REPLICA_H
#define CACHE_REPLICA_H

#include "base/cleanup.h"
#include "cache/cache.h"

struct cache_replica;

enum { REPLICA_ROWS_MAX = 64 };

/* Rows of the outbox that were carried out. */
struct cache_outbox_done {
    size_t count;
    struct {
        uint32_t inode;
        uint8_t nonce[AEAD_NONCE_SIZE]; /* of the row: another change has another one */
    } rows[REPLICA_ROWS_MAX];
};

/* The directory is on ext4 or xfs, stays the caller's, and nobody else may have it open. Errors as
 * of cache_open(). */
_must_use_ int cache_replica_open(struct cache *cache, int directory_fd, char *ret_message,
                                  struct cache_replica **ret_replica);
struct cache_replica *cache_replica_close(struct cache_replica *replica);

/* Some certificates on. *ret_more: there is more to be done at once. */
_must_use_ int cache_replica_step(struct cache_replica *replica, struct cache_outbox_done *ret_done,
                                  bool *ret_more);
/* Thread that writes. */
_must_use_ int cache_outbox_clear(struct cache *cache, const struct cache_outbox_done *done);
/* Changes that the replica has not got. */
_must_use_ int cache_outbox_count(struct cache *cache, uint64_t *ret_count);

#endif
