/*
 * How wide the line to the link system is and how long requests wait for it, measured on the
 * fetches themselves: within a window of time, and in all.
 *
 * Thread rule: the caller holds the lock of provide.h.
 */
#ifndef FS_LINK_METER_H
#define FS_LINK_METER_H

#include <stdbool.h>
#include <stdint.h>

struct link_reading {
    uint64_t fetches, bytes;
    int64_t busy_ms;       /* while at least one body was on its way */
    int64_t queued_ms;     /* sum over the fetches: from the request to its place at the link */
    int64_t queued_max_ms; /* the longest of them */
};

struct link_meter {
    int64_t window_ms;
    int64_t window_began_ms;
    unsigned active;
    int64_t busy_since_ms; /* while active > 0 */
    struct link_reading window, last, all;
};

void link_meter_begin(struct link_meter *meter, int64_t now_ms);
/* A body ended after that; `queued_ms` is how long it had waited before. */
void link_meter_end(struct link_meter *meter, int64_t now_ms, uint64_t bytes, int64_t queued_ms);

/* True when a window has ended in which there were fetches: it is `last` from now on. */
bool link_meter_turn(struct link_meter *meter, int64_t now_ms);

/* Bytes a second while there was something to do; 0 = nothing is known. */
uint64_t link_reading_rate(const struct link_reading *reading);

#endif
