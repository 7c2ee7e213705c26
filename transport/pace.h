/*
 * How much of something in a second, requests or bytes: a bucket of tokens that fills evenly and
 * holds at most a tenth of a second's worth (at least one), so that a limit is one at every moment.
 */
#ifndef TRANSPORT_PACE_H
#define TRANSPORT_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    int64_t per_second;  /* 0: no limit */
    int64_t filled_ms;   /* time up to which tokens were counted */
    int64_t thousandths; /* of tokens in the bucket */
};

/* Takes a token; false: none there before *ret_at_ms. */
bool pace_take(struct pace *pace, int64_t now_ms, int64_t *ret_at_ms);
/* Takes as many as came, there or not. */
void pace_owe(struct pace *pace, int64_t now_ms, uint64_t tokens);
/* True if no more is owed than comes in so many milliseconds; else not before *ret_at_ms. */
bool pace_paid(struct pace *pace, int64_t now_ms, int64_t owed_ms, int64_t *ret_at_ms);

#endif
