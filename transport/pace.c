/* See pace.h. In thousandths of a token, one millisecond brings `per_second` of them. */
#include "transport/pace.h"

enum { TOKEN = 1000 };

static void fill(struct pace *pace, int64_t now_ms)
{
    int64_t most = pace->per_second * TOKEN / 10;
    int64_t passed_ms = now_ms - pace->filled_ms;
    if (most < TOKEN)
        most = TOKEN;
    pace->filled_ms = now_ms;
    if (passed_ms > (most - pace->thousandths) / pace->per_second)
        pace->thousandths = most;
    else
        pace->thousandths += passed_ms * pace->per_second;
}

bool pace_take(struct pace *pace, int64_t now_ms, int64_t *ret_at_ms)
{
    if (pace->per_second == 0)
        return true;
    fill(pace, now_ms);
    if (pace->thousandths < TOKEN) {
        *ret_at_ms = now_ms + (TOKEN - pace->thousandths + pace->per_second - 1) / pace->per_second;
        return false;
    }
    pace->thousandths -= TOKEN;
    return true;
}

void pace_owe(struct pace *pace, int64_t now_ms, uint64_t tokens)
{
    if (pace->per_second == 0)
        return;
    fill(pace, now_ms);
    pace->thousandths -= (int64_t)tokens * TOKEN;
}

bool pace_paid(struct pace *pace, int64_t now_ms, int64_t owed_ms, int64_t *ret_at_ms)
{
    if (pace->per_second == 0)
        return true;
    fill(pace, now_ms);
    int64_t left = -pace->thousandths - owed_ms * pace->per_second;
    if (left <= 0)
        return true;
    *ret_at_ms = now_ms + left / pace->per_second + 1;
    return false;
}
