/*
 * A mark for each inode number: "this entry was looked at and found to be shown". A listing then
 * need not decrypt the row again. A bit each, 125 KB for a million.
 *
 * Marks are set under a standing, a number that its owner changes whenever what he found out may no
 * longer hold for unchanged entries; under another standing none is set. What is committed takes
 * away the marks of the entries that it changed: see cache/store.h.
 *
 * Thread rule: any thread; only marks_begin() waits, for who takes the marks away. A mark set by
 * who found out under an older standing is taken away again by himself (marks_keep()).
 */
#ifndef CACHE_MARKS_H
#define CACHE_MARKS_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

struct marks;

_must_use_ int marks_new(struct marks **ret_marks);
struct marks *marks_free(struct marks *marks);

/* From now on marks are under this standing, and none is left of another. */
void marks_begin(struct marks *marks, uint64_t standing);
/* False if the standing is another by now: what was set since marks_begin() has to go again. */
bool marks_keep(const struct marks *marks, uint64_t standing);

bool marks_has(const struct marks *marks, uint32_t inode);
/* Without memory nothing is marked. */
void marks_set(struct marks *marks, uint32_t inode);
void marks_clear(struct marks *marks, uint32_t inode);
void marks_clear_all(struct marks *marks);

#endif
