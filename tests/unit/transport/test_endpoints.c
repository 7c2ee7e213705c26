/* Addresses: order, circuit breaker, half-open probe; and the pace of requests. No network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "transport/endpoints.h"
#include "transport/pace.h"

#include <errno.h>
#include <string.h>

enum { NOW_MS = 1000000, BREAKER_MS = 1000 };

static const char detail[LINK_DETAIL_MAX] = "refused";

static struct endpoints endpoints_of(const char *urls)
{
    struct config_link config = {.breaker_failures = 3, .breaker_time = BREAKER_MS};
    struct endpoints endpoints;
    const char *fault;
    snprintf(config.url, sizeof config.url, "%s", urls);
    assert_int_equal(endpoints_init(&endpoints, &config, &fault), 0);
    return endpoints;
}

static void note_failure(struct endpoints *endpoints, unsigned index, int64_t now_ms)
{
    endpoint_failed(endpoints, index, LINK_FAILED_CONNECT, detail, now_ms, 0);
}

static void test_addresses(void **state)
{
    (void)state;
    struct endpoints endpoints =
        endpoints_of("https://a.example/{name} https://[::1]:8443/{name} http://10.0.0.1/{name}");
    assert_int_equal(endpoints.count, 3);
    assert_string_equal(endpoints.list[0].state.address, "a.example:443");
    assert_string_equal(endpoints.list[1].state.address, "[::1]:8443");
    assert_string_equal(endpoints.list[2].state.address, "10.0.0.1:80");

    struct config_link config = {.url = ""};
    const char *fault;
    assert_int_equal(endpoints_init(&endpoints, &config, &fault), -EINVAL);
    snprintf(config.url, sizeof config.url, "https://a/{name} https://b/name");
    assert_int_equal(endpoints_init(&endpoints, &config, &fault), -EINVAL);
    assert_int_equal(endpoints.count, 3); /* untouched */
}

static void test_order(void **state)
{
    (void)state;
    int64_t at_ms = 0;
    struct endpoints endpoints = endpoints_of("https://a/{name} https://b/{name}");
    assert_int_equal(endpoints_choose(&endpoints, 0, NOW_MS, &at_ms), 0);
    assert_int_equal(endpoints_choose(&endpoints, 1, NOW_MS, &at_ms), 1);
    assert_int_equal(endpoints_choose(&endpoints, 3, NOW_MS, &at_ms), -1);
    assert_true(at_ms == INT64_MAX);
}

static void test_circuit(void **state)
{
    (void)state;
    int64_t at_ms = 0;
    struct endpoints endpoints = endpoints_of("https://a/{name}");
    endpoints.changed = false;
    note_failure(&endpoints, 0, NOW_MS);
    note_failure(&endpoints, 0, NOW_MS);
    endpoint_succeeded(&endpoints, 0); /* in a row, it says */
    note_failure(&endpoints, 0, NOW_MS);
    note_failure(&endpoints, 0, NOW_MS);
    assert_int_equal(endpoints_choose(&endpoints, 0, NOW_MS, &at_ms), 0);
    assert_false(endpoints.changed);
    note_failure(&endpoints, 0, NOW_MS);
    assert_true(endpoints.changed);
    assert_true(endpoints.list[0].state.open);
    assert_int_equal(endpoints_choose(&endpoints, 0, NOW_MS, &at_ms), -1);
    assert_in_range(at_ms, NOW_MS + BREAKER_MS, NOW_MS + BREAKER_MS * 11 / 10);

    char text[LINK_DETAIL_MAX];
    enum link_result result;
    endpoints_explain(&endpoints, NOW_MS, text, &result);
    assert_int_equal(result, LINK_UNREACHABLE);
    assert_non_null(strstr(text, "refused"));

    /* Those that were under way when it opened do not keep it open. */
    int64_t open_until_ms = endpoints.list[0].open_until_ms;
    note_failure(&endpoints, 0, NOW_MS + 500);
    assert_true(endpoints.list[0].open_until_ms == open_until_ms);

    /* One is let through; the others wait for what becomes of it. */
    int64_t later_ms = open_until_ms + 1;
    assert_int_equal(endpoints_choose(&endpoints, 0, later_ms, &at_ms), 0);
    assert_int_equal(endpoints_choose(&endpoints, 0, later_ms, &at_ms), -1);
    assert_true(at_ms > later_ms);
    note_failure(&endpoints, 0, later_ms);
    assert_int_equal(endpoints_choose(&endpoints, 0, later_ms, &at_ms), -1);
    assert_int_equal(endpoints.list[0].state.opened, 2);

    /* A probe from which nothing was learnt leaves the place to the next. */
    later_ms = endpoints.list[0].open_until_ms + 1;
    assert_int_equal(endpoints_choose(&endpoints, 0, later_ms, &at_ms), 0);
    endpoint_released(&endpoints, 0);
    assert_int_equal(endpoints_choose(&endpoints, 0, later_ms, &at_ms), 0);
    endpoint_succeeded(&endpoints, 0);
    assert_false(endpoints.list[0].state.open);
    assert_int_equal(endpoints_choose(&endpoints, 0, later_ms, &at_ms), 0);
    assert_int_equal(endpoints_choose(&endpoints, 0, later_ms, &at_ms), 0);
}

static void test_no_breaker(void **state)
{
    (void)state;
    int64_t at_ms = 0;
    struct endpoints endpoints = endpoints_of("https://a/{name}");
    endpoints.breaker_failures = 0;
    for (int i = 0; i < 1000; i++)
        note_failure(&endpoints, 0, NOW_MS);
    assert_int_equal(endpoints_choose(&endpoints, 0, NOW_MS, &at_ms), 0);
    assert_int_equal(endpoints.list[0].state.failures[LINK_FAILED_CONNECT], 1000);
}

/* As many as the limit says in a second, whatever the rhythm of the questions. */
static void test_pace(void **state)
{
    static const int64_t limits[] = {1, 7, 100, 1000, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct pace pace = {.per_second = limits[i], .filled_ms = NOW_MS};
        int64_t taken = 0, at_ms = 0, now_ms = NOW_MS;
        while (now_ms < NOW_MS + 10000) {
            if (pace_take(&pace, now_ms, &at_ms)) {
                taken++;
            } else {
                assert_true(at_ms > now_ms);
                now_ms = at_ms;
            }
        }
        assert_in_range(taken, 10 * limits[i] * 9 / 10, 10 * limits[i] + 1);
        /* Rest is no credit. */
        now_ms += 1000000;
        for (taken = 0; pace_take(&pace, now_ms, &at_ms);)
            taken++;
        assert_in_range(taken, 1, limits[i] / 10 > 1 ? limits[i] / 10 : 1);
    }
    struct pace none = {0};
    int64_t at_ms;
    for (int i = 0; i < 1000; i++)
        assert_true(pace_take(&none, NOW_MS, &at_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_order),
        cmocka_unit_test(test_circuit),   cmocka_unit_test(test_no_breaker),
        cmocka_unit_test(test_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
