/*
 * How long to wait before asking again: exponential with full jitter, so that requests cut at the
 * same moment do not come back at the same moment.
 */
#ifndef TRANSPORT_BACKOFF_H
#define TRANSPORT_BACKOFF_H

#include <stdint.h>

enum {
    BACKOFF_BASE_MS = 100,
    BACKOFF_CAP_MS = 5000,
    BACKOFF_FLOOR_MS = 10, /* never a busy loop */
};

struct backoff {
    unsigned step;
};

/* The next wait; `random` spreads it evenly between the floor and the ceiling of this step. */
int64_t backoff_next_ms(struct backoff *backoff, uint32_t random);
/* After progress: the trouble is over. */
void backoff_reset(struct backoff *backoff);

/* A wait that the link system asked for, lengthened by at most a tenth. */
int64_t backoff_spread_ms(int64_t wait_ms, uint32_t random);

#endif
