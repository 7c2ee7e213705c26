/*
 * Who waits and who is being served, user by user: nobody takes all the places in which requests
 * wait, and the next place at the link system goes to the user who holds fewest, among equals to
 * the one served longest ago. Within a user it is first come, first served, but look-ups, small and
 * large bodies queue apart, so that the caller may hold large ones back.
 *
 * A flight belongs to the user who began it, whoever joins later.
 *
 * Thread rule: the caller holds the lock of provide.h.
 */
#ifndef FS_SHARES_H
#define FS_SHARES_H

#include "fs/flight.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum share_queue { SHARE_LOOKUP, SHARE_SMALL, SHARE_LARGE, SHARE_QUEUES };

enum { SHARE_LARGE_SIZE = 1024 * 1024 }; /* a body above it is large */

struct shares;

struct shares *shares_new(void); /* NULL when memory is short */
/* No flight may be queued, no waiter counted. */
struct shares *shares_free(struct shares *shares);

/* Counts a waiting request of `uid`; false if it has `most` already or memory is short. */
bool shares_add_waiter(struct shares *shares, uid_t uid, uint64_t most);
void shares_remove_waiter(struct shares *shares, uid_t uid);

/* -ENOMEM. */
_must_use_ int shares_queue(struct shares *shares, struct flight *flight);
void shares_unqueue(struct shares *shares, struct flight *flight);
uint64_t shares_queued(const struct shares *shares, enum share_queue queue);

/* The flight that is next, still queued; NULL if none is. With SHARE_SMALL and `large_too` the
 * older of a user's small and large ones. */
struct flight *shares_next(struct shares *shares, enum share_queue queue, bool large_too);

/* Takes it out of its queue, and counts a place at the link system for its user until
 * shares_end(). */
void shares_begin(struct shares *shares, struct flight *flight);
void shares_end(struct shares *shares, struct flight *flight);

/* Calls `visit` for each queued flight; it may unqueue that one. */
void shares_walk(struct shares *shares, void (*visit)(struct flight *, void *), void *context);

#endif
