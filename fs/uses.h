/*
 * Opens that the store shall remember: when each certificate was used last. A small table between
 * two visits of the store thread; what does not fit is forgotten, since eviction spares open files
 * in any case (fs/delivery.h).
 *
 * Thread rule: any thread; own lock, innermost, held for a few steps.
 */
#ifndef FS_USES_H
#define FS_USES_H

#include "base/cleanup.h"
#include "cache/cache.h"

#include <stddef.h>
#include <stdint.h>

enum { USES_MAX = 4096 };

struct uses;

struct uses *uses_new(void); /* NULL when memory is short */
struct uses *uses_free(struct uses *uses);

void uses_note(struct uses *uses, uint32_t inode, int64_t now_s);
/* Takes up to `most` out; returns their number. */
size_t uses_take(struct uses *uses, struct cache_use *ret_uses, size_t most);

#endif
