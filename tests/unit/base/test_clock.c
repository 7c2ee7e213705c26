/* Dates and RFC 3339 text, compared with the C library's calendar. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static void formats_like_gmtime(void **state)
{
    (void)state;
    for (int64_t seconds = -62167219200; seconds < 253402300800; seconds += 86400 * 97 + 12345) {
        char ours[RFC3339_SIZE], theirs[64];
        time_t time = (time_t)seconds;
        struct tm tm;
        assert_non_null(gmtime_r(&time, &tm));
        snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        rfc3339_format(seconds, ours);
        assert_string_equal(ours, theirs);
        int64_t back = 0;
        assert_true(rfc3339_parse(ours, &back));
        assert_true(back == seconds);
    }
}

static void years_are_clamped(void **state)
{
    (void)state;
    char text[RFC3339_SIZE];
    rfc3339_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    rfc3339_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00Z");
}

static void nanoseconds(void **state)
{
    (void)state;
    char text[RFC3339_SIZE];
    rfc3339_format_ns(1, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000001Z");
    rfc3339_format_ns(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999999Z");
    rfc3339_format_ns(INT64_MIN, text);
    assert_string_equal(text, "1677-09-21T00:12:43.145224192Z");
    rfc3339_format_ns(INT64_MAX, text);
    assert_string_equal(text, "2262-04-11T23:47:16.854775807Z");
}

static void offsets_are_applied(void **state)
{
    (void)state;
    int64_t seconds;
    assert_true(rfc3339_parse("1970-01-01T09:00:00+09:00", &seconds));
    assert_true(seconds == 0);
    assert_true(rfc3339_parse("1969-12-31T18:30:00-05:30", &seconds));
    assert_true(seconds == 0);
    assert_true(rfc3339_parse("2024-02-29T23:59:59Z", &seconds));
    assert_true(seconds == 1709251199);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00z",
        "2026-01-01t00:00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00Z ",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.5Z",
        "2026-1-01T00:00:00Z",
        "02026-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00+0900",
        "2026-01-01T00:00:00+09",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+09:60",
        "2026-01-01T00:00:00+09:00Z",
        "2026-01-01T00:00:00Z+09:00",
        "-026-01-01T00:00:00Z",
        "2026-01-01T-1:00:00Z",
    };
    int64_t seconds = 42;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(rfc3339_parse(texts[i], &seconds));
    assert_true(seconds == 42);
}

static void dates_that_do_not_exist(void **state)
{
    (void)state;
    int64_t seconds = 42;
    assert_false(civil_to_seconds(-1, 1, 1, 0, 0, 0, &seconds));
    assert_false(civil_to_seconds(10000, 1, 1, 0, 0, 0, &seconds));
    assert_false(civil_to_seconds(1900, 2, 29, 0, 0, 0, &seconds));
    assert_false(civil_to_seconds(2026, 6, 31, 0, 0, 0, &seconds));
    assert_false(civil_to_seconds(2026, 6, 30, -1, 0, 0, &seconds));
    assert_true(seconds == 42);
    assert_true(civil_to_seconds(2000, 2, 29, 12, 0, 1, &seconds));
    assert_true(seconds == 951825601);
}

static void clocks_run(void **state)
{
    (void)state;
    int64_t before = clock_monotonic_ms();
    assert_true(before > 0);
    assert_true(clock_monotonic_ms() >= before);
    int64_t difference = clock_realtime_ns() / 1000000000 - clock_realtime_s();
    assert_true(difference >= -1 && difference <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_like_gmtime),
        cmocka_unit_test(years_are_clamped),
        cmocka_unit_test(nanoseconds),
        cmocka_unit_test(offsets_are_applied),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(dates_that_do_not_exist),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
