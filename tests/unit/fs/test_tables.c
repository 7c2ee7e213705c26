/* The small tables of kosekifs-mount: unknown names, notes of failures, flights, errno. */
#include "base/clock.h"
#include "fs/errno_table.h"
#include "fs/flight.h"
#include "fs/recent.h"
#include "fs/why.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct certname numbered(unsigned number)
{
    struct certname name = {0};
    char text[CERTNAME_MAX + 1];
    snprintf(text, sizeof text, "K%u.pdf", number);
    assert_true(certname_parse(text, &name));
    return name;
}

static void recent_remembers_until_its_time(void **state)
{
    (void)state;
    struct recent *recent = recent_new();
    struct certname name = numbered(1), other = numbered(2);
    assert_non_null(recent);
    assert_int_equal(recent_left_ms(recent, &name, 0), 0);
    recent_add(recent, &name, 5000);
    assert_int_equal(recent_left_ms(recent, &name, 4000), 1000);
    assert_int_equal(recent_left_ms(recent, &name, 5000), 0);
    assert_int_equal(recent_left_ms(recent, &other, 0), 0);
    recent_remove(recent, &name);
    recent_remove(recent, &name);
    assert_int_equal(recent_left_ms(recent, &name, 0), 0);
    recent_free(recent);
}

static void recent_forgets_the_oldest(void **state)
{
    (void)state;
    struct recent *recent = recent_new();
    assert_non_null(recent);
    for (unsigned i = 0; i < RECENT_MAX + 10; i++) {
        struct certname name = numbered(i);
        recent_add(recent, &name, 1000);
    }
    for (unsigned i = 0; i < RECENT_MAX + 10; i++) {
        struct certname name = numbered(i);
        assert_int_equal(recent_left_ms(recent, &name, 0), i < 10 ? 0 : 1000);
    }
    recent_free(recent);
}

static void why_is_per_user_and_bounded(void **state)
{
    (void)state;
    struct why *why = why_new();
    struct certname name = numbered(7);
    struct why_note note;
    assert_non_null(why);
    why_record(why, 1000, &name, 0, "");
    assert_false(why_find(why, 1000, &name, &note)); /* a success alone leaves no note */
    why_record(why, 1000, &name, EBADMSG, "digest");
    why_record(why, 1001, &name, EACCES, "");
    assert_true(why_find(why, 1000, &name, &note));
    assert_int_equal(note.error, EBADMSG);
    assert_string_equal(note.reason, "digest");
    assert_true(why_find(why, 1001, &name, &note));
    assert_int_equal(note.error, EACCES);
    assert_false(why_find(why, 1002, &name, &note));
    why_record(why, 1000, &name, 0, "");
    assert_true(why_find(why, 1000, &name, &note));
    assert_int_equal(note.error, 0);
    for (unsigned i = 100; i < 100 + WHY_MAX; i++) {
        struct certname other = numbered(i);
        why_record(why, 1000, &other, ENOENT, "x");
    }
    assert_false(why_find(why, 1000, &name, &note));
    assert_false(why_find_any(why, &name, &note));
    why_free(why);
}

static void nothing_to_do(struct waiter *waiter, const struct outcome *outcome)
{
    (void)waiter;
    (void)outcome;
}

static void flights_are_found_by_kind_name_and_id(void **state)
{
    (void)state;
    struct flights *flights = flights_new();
    struct certname name = numbered(1), other = numbered(2);
    assert_non_null(flights);
    struct flight *lookup = flights_add(flights, FLIGHT_LOOKUP, &name);
    struct flight *content = flights_add(flights, FLIGHT_CONTENT, &name);
    assert_non_null(lookup);
    assert_non_null(content);
    assert_ptr_equal(flights_find(flights, FLIGHT_LOOKUP, &name), lookup);
    assert_ptr_equal(flights_find(flights, FLIGHT_CONTENT, &name), content);
    assert_null(flights_find(flights, FLIGHT_CONTENT, &other));
    assert_ptr_equal(flights_find_id(flights, content->id), content);
    assert_int_equal(flights_count(flights), 2);
    uint64_t id = lookup->id;
    flights_remove(flights, lookup);
    flight_free(lookup);
    assert_null(flights_find_id(flights, id));
    flights_free(flights);
}

static void waiters_leave_by_deadline_or_fatal_signal(void **state)
{
    (void)state;
    struct flights *flights = flights_new();
    struct certname name = numbered(1);
    struct flight *flight = flights_add(flights, FLIGHT_CONTENT, &name);
    struct waiter late = {.deadline_ms = 10, .complete = nothing_to_do};
    struct waiter early = {.deadline_ms = 1000, .complete = nothing_to_do};
    struct waiter interrupted = {.deadline_ms = 1000, .complete = nothing_to_do};
    struct waiter gone = {.deadline_ms = 1000, .complete = nothing_to_do};
    struct waiter *expired = NULL, *killed = NULL;
    assert_non_null(flight);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    interrupted.tid = getpid(); /* interrupted, but not by a fatal signal */
    gone.tid = child;
    atomic_store(&interrupted.interrupted, true);
    atomic_store(&gone.interrupted, true);
    flight_add_waiter(flight, &late);
    flight_add_waiter(flight, &early);
    flight_add_waiter(flight, &interrupted);
    flight_add_waiter(flight, &gone);
    assert_int_equal(flight_part_waiters(flight, 10, &expired, &killed), 2);
    assert_ptr_equal(expired, &late);
    assert_ptr_equal(killed, &gone);
    assert_ptr_equal(flight->waiters, &interrupted);
    assert_ptr_equal(interrupted.next, &early);
    /* It is looked at again, but not at once and less and less often. */
    assert_true(interrupted.look_ms > 10);
    interrupted.tid = child;
    assert_int_equal(flight_part_waiters(flight, interrupted.look_ms - 1, &expired, &killed), 0);
    interrupted.tid = getpid();
    int64_t before_ms = 10, now_ms = interrupted.look_ms;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(flight_part_waiters(flight, now_ms, &expired, &killed), 0);
        assert_true(interrupted.look_ms - now_ms > now_ms - before_ms);
        before_ms = now_ms;
        now_ms = interrupted.look_ms;
    }
    interrupted.tid = child;
    assert_int_equal(flight_part_waiters(flight, now_ms, &expired, &killed), 1);
    assert_ptr_equal(killed, &interrupted);
    flights_free(flights);
}

/* In a foreign pid namespace nothing tells a harmless signal from a fatal one. */
static void unseen_waiters_last_a_while(void **state)
{
    (void)state;
    struct flight flight = {0};
    struct waiter unseen = {.deadline_ms = 60000, .complete = nothing_to_do};
    struct waiter *expired = NULL, *killed = NULL;
    flight_add_waiter(&flight, &unseen);
    assert_int_equal(flight_part_waiters(&flight, 10, &expired, &killed), 0);
    atomic_store(&unseen.interrupted, true);
    assert_int_equal(flight_part_waiters(&flight, 20, &expired, &killed), 0);
    assert_int_equal(flight_part_waiters(&flight, 1500, &expired, &killed), 0);
    assert_int_equal(flight_part_waiters(&flight, 2500, &expired, &killed), 1);
    assert_ptr_equal(killed, &unseen);
    assert_null(flight.waiters);
}

static void each_outcome_has_one_errno(void **state)
{
    (void)state;
    static const struct {
        enum link_result result;
        int error;
    } links[] = {{LINK_OK, 0},
                 {LINK_NOT_FOUND, ENOENT},
                 {LINK_GONE, ENOENT},
                 {LINK_FORBIDDEN, ECONNREFUSED},
                 {LINK_NOT_READY, ETIMEDOUT},
                 {LINK_BUSY, ECONNREFUSED},
                 {LINK_UNREACHABLE, EHOSTUNREACH},
                 {LINK_TLS_FAILED, EHOSTUNREACH},
                 {LINK_TIMED_OUT, ETIMEDOUT},
                 {LINK_TOO_LARGE, EFBIG},
                 {LINK_PROTOCOL, EPROTO},
                 {LINK_CHANGED, ESTALE},
                 {LINK_CANCELLED, EINTR},
                 {LINK_INTERNAL, EIO}};
    assert_int_equal(sizeof links / sizeof *links, LINK_RESULT_COUNT);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        assert_int_equal(errno_of_link(links[i].result), links[i].error);
        if (links[i].error)
            assert_string_not_equal(errno_name(links[i].error), "E?");
    }
    struct verdict *verdict = test_calloc(1, sizeof *verdict);
    for (unsigned indication = 0; indication < 2; indication++) {
        for (unsigned sub = 0; sub < VERDICT_SUB_COUNT; sub++) {
            verdict->indication = (uint8_t)indication;
            verdict->sub = (uint8_t)sub;
            assert_int_not_equal(errno_of_verdict(verdict), 0);
            assert_string_not_equal(errno_name(errno_of_verdict(verdict)), "E?");
        }
    }
    verdict->indication = VERDICT_TOTAL_PASSED;
    assert_int_equal(errno_of_verdict(verdict), 0);
    test_free(verdict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recent_remembers_until_its_time),
        cmocka_unit_test(recent_forgets_the_oldest),
        cmocka_unit_test(why_is_per_user_and_bounded),
        cmocka_unit_test(flights_are_found_by_kind_name_and_id),
        cmocka_unit_test(waiters_leave_by_deadline_or_fatal_signal),
        cmocka_unit_test(unseen_waiters_last_a_while),
        cmocka_unit_test(each_outcome_has_one_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
