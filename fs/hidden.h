/*
 * The hidden directory .kosekifs: reachable, never listed, nothing of it cached.
 *   status.json        state of the daemon, without certificate ids
 *   metrics            the same for Prometheus
 *   report/NAME.json   the verdict on a certificate, for who may read it
 *   why/NAME           why the caller's own last attempt at the name failed
 * A file is made when it is opened, and its text kept until the last descriptor is closed.
 *
 * A handle says which open it belongs to and how long the text is, so that a reader loses nothing
 * when kosekifs-mount is replaced: one who begins is given a new text, one who is at the end is
 * told so. Only who is in the middle gets ESTALE, since the rest of another text would be no text.
 */
#ifndef FS_HIDDEN_H
#define FS_HIDDEN_H

#include "fs/mountfs.h"

#include <stdbool.h>

struct hidden *hidden_new(void); /* NULL when memory is short */
struct hidden *hidden_free(struct hidden *hidden);

/* True for inode numbers of this directory and below it. */
bool hidden_owns(uint64_t inode);
bool hidden_is_directory(uint64_t inode);
/* The directory above one of ours. */
uint64_t hidden_parent(uint64_t inode);
/* True while one of our numbers, kept by somebody as a file handle, still names something. */
bool hidden_exists(struct mountfs *fs, uint64_t inode);

/* The inode number of a name below a hidden directory; 0 if there is none. `name` of a report must
 * be one the caller may read. */
uint64_t hidden_lookup(struct mountfs *fs, struct caller *caller, uint64_t parent,
                       const char *name);

/* Makes the text for the open with the kernel's number `unique`; *ret_handle stands for it. A
 * positive errno otherwise. */
_must_use_ int hidden_open(struct mountfs *fs, struct caller *caller, uint64_t inode,
                           uint64_t unique, uint64_t *ret_handle);
/* Copies up to `size` bytes from `offset`; a positive errno in *ret_error. */
size_t hidden_read(struct mountfs *fs, struct caller *caller, uint64_t inode, uint64_t handle,
                   uint64_t offset, char *out, size_t size, int *ret_error);
void hidden_release(struct mountfs *fs, uint64_t handle);

#endif
