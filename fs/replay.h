/*
 * Which requests were dealt with already. After a crash of kosekifs-mount the requests that had no
 * reply yet are read once more from the journal; each has the connection's random number and the
 * kernel's number of the request, so it can be told from a new one. Only the newest REPLAY_MAX are
 * remembered: a request is counted and recorded immediately before its reply, so no more than one
 * for each thread can be between the two.
 *
 * Thread rule: the owner's lock.
 */
#ifndef FS_REPLAY_H
#define FS_REPLAY_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_MAX = 8192 };

struct replay;

struct replay *replay_new(void); /* NULL when memory is short */
struct replay *replay_free(struct replay *replay);

/* 0 and 0 stand for no request: never remembered, never found. */
bool replay_find(const struct replay *replay, uint64_t connection, uint64_t unique);
void replay_add(struct replay *replay, uint64_t connection, uint64_t unique);

#endif
