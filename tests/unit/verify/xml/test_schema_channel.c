/* kosekifs-verify's connection to the XSD 1.1 process: what is an answer, what is lost, what is
 * stuck, and that nothing outlives its deadline. The other end says its part beforehand. */
#include "verify/schema_channel.h"

#include "base/clock.h"
#include "base/ipc.h"
#include "verify/schema_worker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct schema_channel channel;
    int other; /* the process's end */
};

static int open_channel(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    int pair[2];

    if (!fixture || ipc_pair(pair) < 0)
        return -1;
    schema_channel_init(&fixture->channel);
    schema_channel_connect(&fixture->channel, pair[0]);
    fixture->other = pair[1];
    schema_channel_begin(&fixture->channel);
    *state = fixture;
    return 0;
}

static int close_channel(void **state)
{
    struct fixture *fixture = *state;

    schema_channel_done(&fixture->channel);
    cleanup_close(&fixture->other);
    free(fixture);
    return 0;
}

static int ask(struct fixture *fixture, struct schema_answer *answer)
{
    const struct schema_hook *hook = &fixture->channel.hook;

    return hook->validate(hook->context, bytes_of("bundle", 6), bytes_of("<a/>", 4), answer);
}

static void say(struct fixture *fixture, uint64_t id, uint32_t outcome)
{
    const struct schema_reply reply = {.outcome = outcome, .text = "so"};

    assert_int_equal(ipc_send(fixture->other, SCHEMA_REPLY, id, &reply, sizeof reply, NULL, 0), 0);
}

static void test_answers(void **state)
{
    struct fixture *fixture = *state;
    struct schema_answer answer = {0};

    say(fixture, 0, SCHEMA_INVALID);
    assert_int_equal(ask(fixture, &answer), 0);
    assert_int_equal(answer.outcome, SCHEMA_INVALID);
    schema_channel_begin(&fixture->channel);
    say(fixture, 1, SCHEMA_VALID);
    assert_int_equal(ask(fixture, &answer), 0);
    assert_int_equal(answer.outcome, SCHEMA_VALID);
    assert_false(fixture->channel.lost || fixture->channel.stuck);
}

static void test_nobody_there(void **state)
{
    struct fixture *fixture = *state;
    struct schema_answer answer = {0};

    schema_channel_done(&fixture->channel);
    assert_int_equal(ask(fixture, &answer), -EPIPE);
    assert_true(fixture->channel.lost);
    assert_false(fixture->channel.stuck);
    schema_channel_again(&fixture->channel);
    assert_false(fixture->channel.lost);
}

static void test_ended(void **state)
{
    struct fixture *fixture = *state;
    struct schema_answer answer = {0};

    cleanup_close(&fixture->other);
    fixture->other = -1;
    assert_int_equal(ask(fixture, &answer), -EPIPE);
    assert_true(fixture->channel.lost);
    assert_int_equal(fixture->channel.fd, -1);
}

/* None of these may be taken for an answer, and the process is not asked again. */
static void test_lies(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint64_t id;
        uint32_t outcome;
    } lies[] = {{7, SCHEMA_VALID}, {0, 0}, {0, SCHEMA_REFUSED + 1}, {0, UINT32_MAX}};

    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct schema_answer answer = {0};
        int pair[2];
        schema_channel_done(&fixture->channel);
        schema_channel_init(&fixture->channel);
        cleanup_close(&fixture->other);
        assert_int_equal(ipc_pair(pair), 0);
        fixture->other = pair[1];
        schema_channel_connect(&fixture->channel, pair[0]);
        schema_channel_begin(&fixture->channel);
        say(fixture, lies[i].id, lies[i].outcome);
        assert_int_equal(ask(fixture, &answer), -EBADMSG);
        assert_int_equal(answer.outcome, 0);
        assert_int_equal(fixture->channel.fd, -1);
        assert_true(fixture->channel.lost && fixture->channel.stuck);
    }
}

static void test_silence(void **state)
{
    struct fixture *fixture = *state;
    struct schema_answer answer = {0};
    int64_t began_ms = clock_monotonic_ms();

    fixture->channel.deadline_ms = began_ms + 100;
    assert_int_equal(ask(fixture, &answer), -ETIMEDOUT);
    assert_in_range(clock_monotonic_ms() - began_ms, 95, 5000);
    assert_true(fixture->channel.stuck);
    assert_false(fixture->channel.lost); /* no second process for this document */
    assert_int_equal(fixture->channel.fd, -1);
}

static void test_time_is_over_before_the_question(void **state)
{
    struct fixture *fixture = *state;
    struct schema_answer answer = {0};

    fixture->channel.deadline_ms = clock_monotonic_ms() - 1;
    say(fixture, 0, SCHEMA_VALID);
    assert_int_equal(ask(fixture, &answer), -ETIMEDOUT);
    assert_int_equal(answer.outcome, 0);
}

#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, open_channel, close_channel)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANNEL_TEST(test_answers), CHANNEL_TEST(test_nobody_there),
        CHANNEL_TEST(test_ended),   CHANNEL_TEST(test_lies),
        CHANNEL_TEST(test_silence), CHANNEL_TEST(test_time_is_over_before_the_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
