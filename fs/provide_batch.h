/* Look-ups and admissions that the store thread writes together; a part of provide. */
#ifndef FS_PROVIDE_BATCH_H
#define FS_PROVIDE_BATCH_H

#include "base/memfd.h"
#include "fs/provide_private.h"

struct batch_item {
    struct flight *flight;
    struct mapping content; /* of an admission */
    int result;
    bool replaces; /* something was stored under its inode before */
};

/* The store thread's own. */
struct batch {
    unsigned count;
    struct batch_item items[CACHE_CHANGES_MAX];
    struct cache_change changes[CACHE_CHANGES_MAX];
};

/* Takes what can be written together out of the queues. Under the lock. */
void step_gather(struct provide *provide, struct batch *batch);
/* Writes it, and lands the flights. Without the lock. */
void provide_store_batch(struct provide *provide, struct batch *batch);

/* Verified and accepted, to be stored. */
bool flight_is_admission(const struct flight *flight);
/* What the link system said is what is known. The validator has the date of last modification.
 * Without one the date is that of the answer, which says nothing, and the first one stays. */
bool flight_entry_agrees(const struct cache_entry *known, const struct cache_entry *head);

#endif
