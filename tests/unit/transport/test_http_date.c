#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "transport/backoff.h"
#include "transport/http_date.h"

#include <string.h>

static void test_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251199},
        {"Friday, 15-Jan-27 08:00:00 GMT", 1800000000},
        {"Fri Jan 15 08:00:00 2027", 1800000000},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    };
    static const char *const bad[] = {
        "",
        "Sun",
        "Sun, ",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 JST",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:3x GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
    };
    (void)state;
    int64_t seconds;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        seconds = -1;
        assert_true(http_date_parse(good[i].text, strlen(good[i].text), &seconds));
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        seconds = 42;
        if (http_date_parse(bad[i], strlen(bad[i]), &seconds))
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(seconds, 42);
    }
}

/* Never a busy loop, never above the cap, whatever the random number. */
static void test_backoff(void **state)
{
    static const uint32_t randoms[] = {0, 1, 4900, 12345, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof randoms / sizeof randoms[0]; i++) {
        struct backoff backoff = {0};
        int64_t ceiling = BACKOFF_BASE_MS;
        for (int step = 0; step < 100; step++) {
            int64_t wait_ms = backoff_next_ms(&backoff, randoms[i]);
            assert_in_range(wait_ms, BACKOFF_FLOOR_MS, ceiling);
            if (ceiling < BACKOFF_CAP_MS)
                ceiling *= 2;
            if (ceiling > BACKOFF_CAP_MS)
                ceiling = BACKOFF_CAP_MS;
        }
        backoff_reset(&backoff);
        assert_in_range(backoff_next_ms(&backoff, randoms[i]), BACKOFF_FLOOR_MS, BACKOFF_BASE_MS);
        assert_in_range(backoff_spread_ms(1000, randoms[i]), 1000, 1100);
        assert_in_range(backoff_spread_ms(30000, randoms[i]), 30000, 33000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_backoff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
