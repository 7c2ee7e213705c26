#include "transport/backoff.h"

int64_t backoff_next_ms(struct backoff *backoff, uint32_t random)
{
    int64_t ceiling = BACKOFF_BASE_MS;
    for (unsigned i = 0; i < backoff->step && ceiling < BACKOFF_CAP_MS; i++)
        ceiling *= 2;
    if (ceiling > BACKOFF_CAP_MS)
        ceiling = BACKOFF_CAP_MS;
    else
        backoff->step++;
    return BACKOFF_FLOOR_MS + (int64_t)(random % (uint32_t)(ceiling - BACKOFF_FLOOR_MS + 1));
}

void backoff_reset(struct backoff *backoff)
{
    backoff->step = 0;
}

int64_t backoff_spread_ms(int64_t wait_ms, uint32_t random)
{
    return wait_ms + (int64_t)(random % 1024) * wait_ms / 10240;
}
