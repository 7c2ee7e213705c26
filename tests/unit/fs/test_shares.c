/* Who is next at the link, and who may wait: turns between users, small before large, nothing lost.
 */
#include "fs/shares.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FLIGHTS = 64, ALICE = 1000, BOB = 1001, CAROL = 1002 };

static struct shares *shares;
static struct flight flights[FLIGHTS];
static unsigned used;

static int set_up(void **state)
{
    (void)state;
    shares = shares_new();
    used = 0;
    return shares ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    shares = shares_free(shares);
    return 0;
}

static struct flight *queue(uid_t uid, enum share_queue kind)
{
    struct flight *flight = &flights[used++];
    *flight = (struct flight){.id = used, .uid = uid};
    flight->kind = kind == SHARE_LOOKUP ? FLIGHT_LOOKUP : FLIGHT_CONTENT;
    flight->entry.size = kind == SHARE_LARGE ? SHARE_LARGE_SIZE + 1 : SHARE_LARGE_SIZE;
    assert_int_equal(shares_queue(shares, flight), 0);
    return flight;
}

static void assert_next(struct flight *flight)
{
    assert_ptr_equal(shares_next(shares, SHARE_SMALL, true), flight);
    if (flight)
        shares_begin(shares, flight);
}

static void test_nobody(void **state)
{
    (void)state;
    for (enum share_queue kind = 0; kind < SHARE_QUEUES; kind++) {
        assert_null(shares_next(shares, kind, true));
        assert_int_equal(shares_queued(shares, kind), 0);
    }
}

static void test_one_user_in_order(void **state)
{
    (void)state;
    struct flight *all[10];
    for (unsigned i = 0; i < 10; i++)
        all[i] = queue(ALICE, SHARE_SMALL);
    assert_int_equal(shares_queued(shares, SHARE_SMALL), 10);
    for (unsigned i = 0; i < 10; i++)
        assert_next(all[i]);
    assert_next(NULL);
    for (unsigned i = 0; i < 10; i++)
        shares_end(shares, all[i]);
}

/* Who holds fewest; among equals the one served longest ago. */
static void test_turns(void **state)
{
    (void)state;
    struct flight *a[6], *b[2], *c;
    for (unsigned i = 0; i < 6; i++)
        a[i] = queue(ALICE, SHARE_SMALL);
    assert_next(a[0]);
    assert_next(a[1]);
    b[0] = queue(BOB, SHARE_SMALL);
    b[1] = queue(BOB, SHARE_SMALL);
    c = queue(CAROL, SHARE_SMALL);
    assert_next(b[0]);
    assert_next(c);
    assert_next(b[1]); /* one place against two */
    assert_next(a[2]); /* alone in the queue: nobody is kept waiting for nothing */
    shares_end(shares, a[0]);
    shares_end(shares, a[1]);
    shares_end(shares, a[2]);
    struct flight *d = queue(CAROL, SHARE_SMALL);
    assert_next(a[3]); /* none against one */
    assert_next(d);    /* one against one: Alice was served just now */
    assert_next(a[4]);
    shares_end(shares, a[3]);
    shares_end(shares, a[4]);
    shares_end(shares, b[0]);
    shares_end(shares, b[1]);
    shares_end(shares, c);
    shares_end(shares, d);
    shares_unqueue(shares, a[5]);
    assert_next(NULL);
}

/* Forty requests of one user in front of one of another. */
static void test_a_flood_delays_by_one_place(void **state)
{
    (void)state;
    struct flight *flood[40];
    for (unsigned i = 0; i < 40; i++)
        flood[i] = queue(ALICE, SHARE_SMALL);
    struct flight *other = queue(BOB, SHARE_SMALL);
    assert_next(flood[0]);
    assert_next(other);
    shares_end(shares, flood[0]);
    shares_end(shares, other);
    for (unsigned i = 1; i < 40; i++)
        shares_unqueue(shares, flood[i]);
}

static void test_large_ones_can_be_held_back(void **state)
{
    (void)state;
    struct flight *large = queue(ALICE, SHARE_LARGE);
    struct flight *small = queue(ALICE, SHARE_SMALL);
    struct flight *lookup = queue(ALICE, SHARE_LOOKUP);
    assert_int_equal(shares_queued(shares, SHARE_LARGE), 1);
    assert_ptr_equal(shares_next(shares, SHARE_LOOKUP, true), lookup);
    assert_ptr_equal(shares_next(shares, SHARE_SMALL, false), small);
    assert_ptr_equal(shares_next(shares, SHARE_SMALL, true), large); /* the older one */
    shares_begin(shares, small);
    assert_null(shares_next(shares, SHARE_SMALL, false));
    assert_ptr_equal(shares_next(shares, SHARE_SMALL, true), large);
    shares_end(shares, small);
    shares_unqueue(shares, lookup);
    shares_unqueue(shares, large);
}

/* A user with nothing but large ones does not stand in the way of another's small one. */
static void test_held_back_is_passed_over(void **state)
{
    (void)state;
    struct flight *large = queue(ALICE, SHARE_LARGE);
    struct flight *small = queue(BOB, SHARE_SMALL);
    assert_ptr_equal(shares_next(shares, SHARE_SMALL, false), small);
    shares_unqueue(shares, large);
    shares_unqueue(shares, small);
}

static void test_exactly_the_limit_is_small(void **state)
{
    (void)state;
    struct flight *flight = queue(ALICE, SHARE_SMALL);
    assert_int_equal(flight->entry.size, SHARE_LARGE_SIZE);
    assert_int_equal(shares_queued(shares, SHARE_SMALL), 1);
    shares_unqueue(shares, flight);
    assert_int_equal(shares_queued(shares, SHARE_SMALL), 0);
}

static void test_waiters_have_a_ceiling_each(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_true(shares_add_waiter(shares, ALICE, 5));
    assert_false(shares_add_waiter(shares, ALICE, 5));
    assert_true(shares_add_waiter(shares, BOB, 5));
    shares_remove_waiter(shares, ALICE);
    assert_true(shares_add_waiter(shares, ALICE, 5));
    assert_false(shares_add_waiter(shares, CAROL, 0));
    for (unsigned i = 0; i < 5; i++)
        shares_remove_waiter(shares, ALICE);
    shares_remove_waiter(shares, BOB);
    assert_true(shares_add_waiter(shares, ALICE, 1));
    shares_remove_waiter(shares, ALICE);
}

/* Waiting, queueing and being served are counted apart: whoever has one of them is not forgotten.
 */
static void test_a_user_outlives_each_of_its_parts(void **state)
{
    (void)state;
    assert_true(shares_add_waiter(shares, ALICE, 1));
    struct flight *first = queue(ALICE, SHARE_SMALL);
    shares_begin(shares, first);
    shares_remove_waiter(shares, ALICE);
    struct flight *second = queue(ALICE, SHARE_SMALL);
    struct flight *other = queue(BOB, SHARE_SMALL);
    assert_next(other); /* Alice still holds a place */
    shares_end(shares, first);
    assert_next(second);
    shares_end(shares, second);
    shares_end(shares, other);
}

static void leave_some(struct flight *flight, void *context)
{
    unsigned *seen = context;
    (*seen)++;
    if (flight->id % 3 != 0)
        shares_unqueue(shares, flight);
}

static void leave_all(struct flight *flight, void *context)
{
    unsigned *seen = context;
    (*seen)++;
    shares_unqueue(shares, flight);
}

static void test_walk_may_unqueue(void **state)
{
    (void)state;
    unsigned seen = 0, again = 0;
    for (unsigned i = 0; i < 30; i++)
        queue(ALICE + i % 4, (enum share_queue)(i % SHARE_QUEUES));
    shares_walk(shares, leave_some, &seen);
    assert_int_equal(seen, 30);
    shares_walk(shares, leave_all, &again);
    assert_int_equal(again, 10);
    test_nobody(NULL);
}

/* Everything that is queued is served once, whatever the order of events. */
static void test_nothing_is_lost(void **state)
{
    (void)state;
    unsigned served = 0, places = 0;
    struct flight *serving[4] = {NULL};
    srandom(8);
    while (served < FLIGHTS) {
        if (used < FLIGHTS && random() % 2)
            queue((uid_t)(ALICE + random() % 5), random() % 4 ? SHARE_SMALL : SHARE_LARGE);
        struct flight **place = &serving[random() % 4];
        if (*place) {
            shares_end(shares, *place);
            *place = NULL;
            places--;
        }
        struct flight *next = shares_next(shares, SHARE_SMALL, places < 3);
        if (next && !*place) {
            shares_begin(shares, next);
            *place = next;
            places++;
            assert_int_equal(next->received++, 0);
            served++;
        }
    }
    for (unsigned i = 0; i < 4; i++)
        if (serving[i])
            shares_end(shares, serving[i]);
    test_nobody(NULL);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_nobody),
        TEST(test_one_user_in_order),
        TEST(test_turns),
        TEST(test_a_flood_delays_by_one_place),
        TEST(test_large_ones_can_be_held_back),
        TEST(test_held_back_is_passed_over),
        TEST(test_exactly_the_limit_is_small),
        TEST(test_waiters_have_a_ceiling_each),
        TEST(test_a_user_outlives_each_of_its_parts),
        TEST(test_walk_may_unqueue),
        TEST(test_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
