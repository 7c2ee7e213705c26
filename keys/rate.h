/*
 * A token bucket: at most `burst` at once and `per_second` in the long run.
 *
 * Thread rule: belongs to one thread.
 */
#ifndef KEYS_RATE_H
#define KEYS_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    int64_t per_second;
    int64_t burst;
    int64_t thousandths; /* of a token: what is left */
    int64_t filled_at_ms;
};

void rate_init(struct rate *rate, int64_t per_second, int64_t burst, int64_t now_ms);
/* Takes one; false if none is left. */
bool rate_take(struct rate *rate, int64_t now_ms);

#endif
