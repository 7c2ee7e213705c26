/* See link_meter.h. */
#include "fs/link_meter.h"

/* Books the time up to now as busy, so that a transfer across two windows counts in both. */
static void settle(struct link_meter *meter, int64_t now_ms)
{
    int64_t passed_ms = meter->active > 0 ? now_ms - meter->busy_since_ms : 0;
    meter->window.busy_ms += passed_ms;
    meter->all.busy_ms += passed_ms;
    meter->busy_since_ms = now_ms;
}

static void note(struct link_reading *reading, uint64_t bytes, int64_t queued_ms)
{
    reading->fetches++;
    reading->bytes += bytes;
    reading->queued_ms += queued_ms;
    if (queued_ms > reading->queued_max_ms)
        reading->queued_max_ms = queued_ms;
}

void link_meter_begin(struct link_meter *meter, int64_t now_ms)
{
    settle(meter, now_ms);
    meter->active++;
}

void link_meter_end(struct link_meter *meter, int64_t now_ms, uint64_t bytes, int64_t queued_ms)
{
    settle(meter, now_ms);
    meter->active--;
    note(&meter->window, bytes, queued_ms);
    note(&meter->all, bytes, queued_ms);
}

bool link_meter_turn(struct link_meter *meter, int64_t now_ms)
{
    if (now_ms - meter->window_began_ms < meter->window_ms)
        return false;
    settle(meter, now_ms);
    meter->window_began_ms = now_ms;
    bool worth = meter->window.fetches > 0;
    if (worth)
        meter->last = meter->window;
    meter->window = (struct link_reading){0};
    return worth;
}

uint64_t link_reading_rate(const struct link_reading *reading)
{
    return reading->busy_ms > 0 ? reading->bytes * 1000 / (uint64_t)reading->busy_ms : 0;
}
