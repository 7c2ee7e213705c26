/*
 * Entries in clear of the certificates that were asked for last, so that an open need not decrypt
 * a row. Each is kept with the number of the transaction it was read under and found only while
 * that is still the newest: whatever is committed, by whomever, makes all of them unknown at once,
 * and nobody has to say what changed. An entry that is damaged on the disk later is still found
 * here until then; its content is not.
 *
 * Thread rule: any thread; a lock for each place, innermost.
 */
#ifndef CACHE_WARM_ENTRIES_H
#define CACHE_WARM_ENTRIES_H

#include "base/cleanup.h"
#include "cache/cache.h"

#include <stdbool.h>

enum { WARM_ENTRIES_MAX = 1024 }; /* places; 0.7 MiB */

struct warm_entries;

_must_use_ int warm_entries_new(struct warm_entries **ret_entries);
struct warm_entries *warm_entries_free(struct warm_entries *entries);

/* `newest` is the number of the transaction that was committed last. */
bool warm_entries_find(struct warm_entries *entries, uint32_t inode, uint64_t newest,
                       struct cache_entry *ret_entry);
/* Takes the place of the entry that was there. */
void warm_entries_add(struct warm_entries *entries, const struct cache_entry *entry,
                      uint64_t transaction);

/* Wiped, not only unknown. */
void warm_entries_forget(struct warm_entries *entries, uint32_t inode);
void warm_entries_forget_all(struct warm_entries *entries);

#endif
