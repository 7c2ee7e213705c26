/* Throughput and queueing time of fetches, by window and in all. */
#include "fs/link_meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct link_meter fresh(void)
{
    return (struct link_meter){.window_ms = 1000, .window_began_ms = 0};
}

static void test_nothing_is_known_at_first(void **state)
{
    (void)state;
    struct link_meter meter = fresh();
    assert_false(link_meter_turn(&meter, 999));
    assert_false(link_meter_turn(&meter, 5000)); /* a window without a fetch says nothing */
    assert_int_equal(link_reading_rate(&meter.last), 0);
    assert_int_equal(link_reading_rate(&meter.all), 0);
}

static void test_one_body(void **state)
{
    (void)state;
    struct link_meter meter = fresh();
    link_meter_begin(&meter, 100);
    link_meter_end(&meter, 300, 40000, 70);
    assert_true(link_meter_turn(&meter, 1000));
    assert_int_equal(meter.last.fetches, 1);
    assert_int_equal(meter.last.bytes, 40000);
    assert_int_equal(meter.last.busy_ms, 200);
    assert_int_equal(meter.last.queued_ms, 70);
    assert_int_equal(meter.last.queued_max_ms, 70);
    assert_int_equal(link_reading_rate(&meter.last), 200000);
}

/* Two at one time make the line busy once. */
static void test_overlap_counts_once(void **state)
{
    (void)state;
    struct link_meter meter = fresh();
    link_meter_begin(&meter, 0);
    link_meter_begin(&meter, 100);
    link_meter_end(&meter, 200, 1000, 5);
    link_meter_end(&meter, 400, 3000, 9);
    assert_int_equal(meter.all.busy_ms, 400);
    assert_int_equal(meter.all.fetches, 2);
    assert_int_equal(meter.all.queued_ms, 14);
    assert_int_equal(meter.all.queued_max_ms, 9);
    assert_int_equal(link_reading_rate(&meter.all), 10000);
}

static void test_idle_time_is_not_slowness(void **state)
{
    (void)state;
    struct link_meter meter = fresh();
    link_meter_begin(&meter, 0);
    link_meter_end(&meter, 10, 1000, 0);
    link_meter_begin(&meter, 990);
    link_meter_end(&meter, 1000, 1000, 0);
    assert_int_equal(meter.all.busy_ms, 20);
    assert_int_equal(link_reading_rate(&meter.all), 100000);
}

/* A long body is busy time of each window it crosses; its bytes count where it ends. */
static void test_across_windows(void **state)
{
    (void)state;
    struct link_meter meter = fresh();
    link_meter_begin(&meter, 500);
    assert_false(link_meter_turn(&meter, 1000)); /* no fetch ended in it */
    assert_false(link_meter_turn(&meter, 1500)); /* not yet over */
    assert_false(link_meter_turn(&meter, 2000));
    link_meter_end(&meter, 2500, 8000, 0);
    assert_true(link_meter_turn(&meter, 3000));
    assert_int_equal(meter.last.busy_ms, 500);
    assert_int_equal(meter.last.bytes, 8000);
    assert_int_equal(meter.all.busy_ms, 2000);
    assert_int_equal(link_reading_rate(&meter.all), 4000);
}

static void test_the_last_window_that_says_something_stays(void **state)
{
    (void)state;
    struct link_meter meter = fresh();
    link_meter_begin(&meter, 0);
    link_meter_end(&meter, 100, 500, 1);
    assert_true(link_meter_turn(&meter, 1000));
    assert_false(link_meter_turn(&meter, 2000));
    assert_int_equal(meter.last.fetches, 1);
    assert_int_equal(link_reading_rate(&meter.last), 5000);
    link_meter_begin(&meter, 2100);
    link_meter_end(&meter, 2200, 700, 3);
    assert_true(link_meter_turn(&meter, 3000));
    assert_int_equal(link_reading_rate(&meter.last), 7000);
    assert_int_equal(meter.last.queued_max_ms, 3);
    assert_int_equal(meter.all.fetches, 2);
}

static void test_faster_than_the_clock(void **state)
{
    (void)state;
    struct link_meter meter = fresh();
    link_meter_begin(&meter, 7);
    link_meter_end(&meter, 7, 1000, 0);
    assert_int_equal(link_reading_rate(&meter.all), 0); /* not known, rather than endless */
    assert_int_equal(meter.all.bytes, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_known_at_first),
        cmocka_unit_test(test_one_body),
        cmocka_unit_test(test_overlap_counts_once),
        cmocka_unit_test(test_idle_time_is_not_slowness),
        cmocka_unit_test(test_across_windows),
        cmocka_unit_test(test_the_last_window_that_says_something_stays),
        cmocka_unit_test(test_faster_than_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
