/*
 * What the store needs from time to time, on the store thread: remembering uses, erasing what is
 * kept long enough, making room, and telling when the disk or a copy of the keys fails.
 *
 * A clock that jumps could make everything look expired at once: when wall clock and monotonic
 * clock have moved apart since the start, nothing expires before the daemon is started again.
 */
#ifndef FS_UPKEEP_H
#define FS_UPKEEP_H

#include "base/certname.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum { UPKEEP_CLOCK_SLACK_S = 3600 };

struct cache;
struct mountfs;
struct upkeep;

struct upkeep *upkeep_new(struct mountfs *fs); /* NULL when memory is short */
struct upkeep *upkeep_free(struct upkeep *upkeep);

/* One turn of a few milliseconds. Store thread. */
void upkeep_run(struct upkeep *upkeep, struct cache *cache);

/* Until when a certificate that is stored now may be kept: 0 = without end. Any thread. */
int64_t upkeep_keep_until(struct mountfs *fs, const struct certname *name, int64_t stored_at_s);

#endif
