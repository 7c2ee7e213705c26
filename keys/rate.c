/* One token a second is one thousandth a millisecond; see keys/rate.h. */
#include "keys/rate.h"

void rate_init(struct rate *rate, int64_t per_second, int64_t burst, int64_t now_ms)
{
    *rate = (struct rate){.per_second = per_second,
                          .burst = burst,
                          .thousandths = burst * 1000,
                          .filled_at_ms = now_ms};
}

bool rate_take(struct rate *rate, int64_t now_ms)
{
    int64_t full = rate->burst * 1000;
    int64_t passed_ms = now_ms - rate->filled_at_ms;
    /* After a long rest the product could overflow; the bucket is full then in any case. */
    if (passed_ms > full)
        passed_ms = full;
    if (passed_ms > 0) {
        rate->thousandths += passed_ms * rate->per_second;
        rate->filled_at_ms = now_ms;
    }
    if (rate->thousandths > full)
        rate->thousandths = full;
    if (rate->thousandths < 1000)
        return false;
    rate->thousandths -= 1000;
    return true;
}
