/*
 * The request journal: what the kernel has handed over and nobody has answered yet. A memory file
 * of fixed size that the supervisor makes with the mount, keeps beside /dev/fuse and gives to each
 * kosekifs-mount in turn. A request is read from the kernel straight into its place here, and the
 * place is cleared after the reply was written, so that whoever comes after a kosekifs-mount that
 * was killed at any moment finds all that is still owed.
 *
 * Places: one for each thread that reads requests, large enough for any request; and many small
 * ones for requests that wait, of which header and name are enough. Life of a small place:
 * free → parked (the request is whole as soon as its length, its first field, is not 0) → answered,
 * free again. A request may stand in a thread's place and in a small one for a moment: the small
 * one counts.
 *
 * The memory survives programs, so it has a version; it was written by a process that parses
 * hostile bytes, so lengths and opcodes are checked by journal_open() before anything is replayed.
 *
 * Thread rule: a thread's place is its own; journal_park() and journal_clear() from any thread.
 */
#ifndef FS_JOURNAL_H
#define FS_JOURNAL_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    JOURNAL_THREADS_MAX = 64,
    JOURNAL_REQUEST_MAX = 8192,   /* the least that the kernel accepts, with max_write 4096 */
    JOURNAL_PARKED_MAX = 1000000, /* as many as waiters_max can be */
    JOURNAL_PARKED_SIZE = 128,    /* of a small place */
    JOURNAL_INIT_MAX = 256,
    JOURNAL_TRIES_MAX = 3, /* replays after faults that a request may have been the cause of */
};

struct journal;
/* A request as the kernel wrote it: struct fuse_in_header and what follows. */
struct fuse_in_header;

/* For the supervisor: an empty journal, with a number drawn at random for this connection. */
_must_use_ int journal_make(int *ret_fd);

/* 0 if this program can go on with the journal in fd; -EPROTONOSUPPORT: another version;
 * -EBADMSG: no journal. */
_must_use_ int journal_check(int fd);

/*
 * Maps the journal of fd, which stays the caller's, and drops from it what is malformed or stands
 * twice. With `fault` the last kosekifs-mount ended by its own fault: each request left is counted
 * as a suspect. Errors as journal_check().
 */
_must_use_ int journal_open(int fd, bool fault, struct journal **ret_journal);
struct journal *journal_close(struct journal *journal);

/* The same for all lives of kosekifs-mount on one mount. */
uint64_t journal_connection(const struct journal *journal);

/* The kernel's INIT request; NULL before it came. */
const struct fuse_in_header *journal_init_request(const struct journal *journal);
void journal_save_init(struct journal *journal, const struct fuse_in_header *request);

/* The place of a thread, JOURNAL_REQUEST_MAX bytes; its request is left over if `len` is not 0. */
struct fuse_in_header *journal_thread_place(struct journal *journal, unsigned thread);
/* The next small place that is taken, from *cursor = 0 on; NULL at the end. Only before threads
 * park anything. */
struct fuse_in_header *journal_next_parked(struct journal *journal, uint32_t *cursor);

/* True if the request was there at so many faults that it may be their cause. */
bool journal_suspected(const struct journal *journal, const struct fuse_in_header *place);

/* Copies a request to a small place. -ENOSPC, -EMSGSIZE. */
_must_use_ int journal_park(struct journal *journal, const struct fuse_in_header *request,
                            struct fuse_in_header **ret_place);
bool journal_is_parked(const struct journal *journal, const struct fuse_in_header *place);
/* The kernel tells once that the program which waits got a signal. Of small places. */
void journal_interrupt(struct journal *journal, const struct fuse_in_header *place);
bool journal_interrupted(const struct journal *journal, const struct fuse_in_header *place);
/* The reply was written: frees the place, of either kind. */
void journal_clear(struct journal *journal, struct fuse_in_header *place);

/* How many requests are owed, and for how long the oldest that waits has done so in this life. */
unsigned journal_count(struct journal *journal, uint32_t *ret_oldest_s);

#endif
