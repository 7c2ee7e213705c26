/* Room for revocation lists: what is kept always fits into one bundle, and what nobody could check
 * leaves room for what was checked. */
#include "fs/revocation.h"

#include "base/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1024 * 1024 };

static struct revocation revocation;
static uint8_t content[32 * MIB];

static int set_up(void **state)
{
    (void)state;
    revocation_init(&revocation);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    revocation_done(&revocation);
    return 0;
}

/* A list of this scope; `number` tells its content from others. */
static enum revocation_decision offer(enum crl_outcome outcome, uint8_t scope, uint8_t number,
                                      size_t size, const char *because)
{
    char text[CRL_TEXT_MAX];
    struct revocation_list *list;
    struct crl_info info = {.outcome = (uint8_t)outcome, .issued_s = number, .next_s = 1000};
    memset(info.scope, scope, sizeof info.scope);
    content[0] = scope;
    content[1] = number;
    assert_int_equal(revocation_bring(&revocation, "a.crl", bytes_of(content, size), false), 0);
    int r = revocation_decide(&revocation, &info, 5, &list, text);
    assert_true(r >= 0);
    assert_true((r == REVOCATION_TAKEN) == (list != NULL));
    if (because && !strstr(text, because))
        fail_msg("\"%s\" lacks \"%s\"", text, because);
    return (enum revocation_decision)r;
}

static void assert_bundled(void)
{
    int fd;
    uint8_t generation[SHA256_SIZE];
    assert_int_equal(revocation_bundle(&revocation, &fd, generation), 0);
    close(fd);
}

static void waiting_ones_leave_room(void **state)
{
    (void)state;
    assert_int_equal(offer(CRL_UNKNOWN_ISSUER, 1, 1, 17 * MIB, "too much waits"),
                     REVOCATION_REFUSED);
    assert_int_equal(offer(CRL_UNKNOWN_ISSUER, 1, 1, 10 * MIB, NULL), REVOCATION_TAKEN);
    assert_int_equal(offer(CRL_UNKNOWN_ISSUER, 2, 1, 8 * MIB, "too much waits"),
                     REVOCATION_REFUSED);
    assert_int_equal(offer(CRL_UNKNOWN_ISSUER, 1, 2, 15 * MIB, NULL), REVOCATION_TAKEN);
    assert_int_equal(offer(CRL_GOOD, 3, 1, 32 * MIB, NULL), REVOCATION_TAKEN);
    assert_int_equal(offer(CRL_GOOD, 4, 1, 15 * MIB, NULL), REVOCATION_TAKEN);
    assert_bundled();
    assert_int_equal(offer(CRL_GOOD, 5, 1, 4 * MIB, "too large"), REVOCATION_REFUSED);
    assert_bundled();
    /* Its issuer is known now: the same list no longer waits. */
    assert_int_equal(offer(CRL_GOOD, 1, 3, 15 * MIB, NULL), REVOCATION_TAKEN);
    assert_int_equal(offer(CRL_UNKNOWN_ISSUER, 6, 1, MIB, NULL), REVOCATION_TAKEN);
    assert_bundled();
}

static void only_some_wait(void **state)
{
    (void)state;
    uint8_t scope = 0;
    while (scope < REVOCATION_WAITING_MAX)
        assert_int_equal(offer(CRL_UNKNOWN_ISSUER, ++scope, 1, 100, NULL), REVOCATION_TAKEN);
    assert_int_equal(offer(CRL_UNKNOWN_ISSUER, ++scope, 1, 100, "too much waits"),
                     REVOCATION_REFUSED);
    for (int good = REVOCATION_WAITING_MAX; good < REVOCATION_LISTS_MAX; good++)
        assert_int_equal(offer(CRL_GOOD, ++scope, 1, 100, NULL), REVOCATION_TAKEN);
    assert_int_equal(offer(CRL_GOOD, ++scope, 1, 100, "64 lists"), REVOCATION_REFUSED);
    assert_int_equal(offer(CRL_GOOD, 1, 2, 200, NULL), REVOCATION_TAKEN);
    assert_bundled();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(waiting_ones_leave_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_some_wait, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
