/*
 * One of the changes that cache_apply() makes durable together. Its life:
 *   1. prepared outside of the transaction, where kosekifs-keys may be asked;
 *   2. looked at inside, which may refuse it and leaves no trace then;
 *   3. written, which may fail only together with the whole transaction;
 *   4. after the commit, settled.
 *
 * Thread rule: the thread that writes.
 */
#ifndef CACHE_CHANGE_H
#define CACHE_CHANGE_H

#include "base/cleanup.h"
#include "cache/pool.h"
#include "cache/rows.h"
#include "cache/store.h"

enum { CHANGE_NOTHING = 1 }; /* it says what is known already */

struct change {
    struct cache_change *asked;
    struct entry_row row; /* as looked at, then as written */
    bool written;
    bool is_new;   /* news: there is no entry yet */
    bool replaces; /* admission: there is other content */
    uint32_t period;
    struct pool_slot slot;
    struct data_key key; /* of slot and period */
};

/* The checks come before all else. */

/* cache/entries.c. CHANGE_NOTHING. */
_must_use_ int news_check(const struct cache_change *change);
_must_use_ int news_look(struct cache *cache, MDB_txn *transaction, struct change *change);
_must_use_ int news_write(struct cache *cache, MDB_txn *transaction, struct change *change);

/* cache/admit.c. */
_must_use_ int admission_check(const struct cache_change *change);
uint64_t admission_pages(const struct cache *cache, const struct cache_admission *admission);
/* With the key of the period in place of the key, and a slot. */
_must_use_ int admission_prepare(struct change *change);
_must_use_ int admission_look(struct cache *cache, MDB_txn *transaction, struct change *change);
_must_use_ int admission_write(struct cache *cache, MDB_txn *transaction, struct change *change);
void admission_settle(struct cache *cache, const struct change *change);

#endif
