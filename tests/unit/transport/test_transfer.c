/* What follows from how an exchange ended, and the table that holds transfers. No network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memfd.h"
#include "transport/transfer_table.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { RESUME_MAX = 3, NOW_MS = 1000000, TIMEOUT_MS = 60000 };

static const struct transfer_limits limits = {.resume_max = RESUME_MAX, .endpoints = 1};
static const struct link_validator strong = {.etag = "\"v1\"", .last_modified_s = 5};
static const struct link_validator weak = {.etag = "W/\"v1\""};

static struct transfer *transfer_of(uint64_t id, bool head)
{
    struct link_request request = {
        .head = head, .timeout_ms = TIMEOUT_MS, .size_max = 1000, .expected_size = UINT64_MAX};
    int memfd = -1;
    assert_true(certname_parse("a.pdf", &request.name));
    if (!head)
        assert_int_equal(memfd_new("body", &memfd), 0);
    struct transfer *transfer = transfer_new(id, &request, memfd, NOW_MS);
    assert_non_null(transfer);
    transfer->state = TRANSFER_ACTIVE;
    return transfer;
}

/* For the table, which knows nothing of files. */
static struct transfer *bare_transfer(uint64_t id, bool head)
{
    struct link_request request = {.head = head, .timeout_ms = TIMEOUT_MS};
    struct transfer *transfer = transfer_new(id, &request, -1, NOW_MS);
    assert_non_null(transfer);
    return transfer;
}

static void conclude(struct transfer *transfer, const struct attempt_outcome *outcome)
{
    transfer->state = TRANSFER_ACTIVE;
    transfer_conclude(transfer, outcome, &limits, NOW_MS, 12345);
    if (transfer->state == TRANSFER_FINISHED && transfer->event.result != LINK_OK)
        assert_true(transfer->event.detail[0] != '\0');
    else if (transfer->state != TRANSFER_FINISHED)
        assert_true(transfer->state == TRANSFER_WAITING && transfer->resume_at_ms > NOW_MS);
}

static int check_memfd(int fd)
{
    return transfer_check_memfd(fd, 0);
}

static int begin_body(struct transfer *transfer, bool all, uint64_t size,
                      const struct link_validator *validator, int64_t date_s)
{
    const struct response response = {.validator = *validator, .date_s = date_s};
    return transfer_begin_body(transfer, all, size, &response);
}

static void hold(struct transfer *transfer, const struct link_validator *validator, uint64_t bytes)
{
    static const char body[1000];
    assert_int_equal(begin_body(transfer, true, 300, validator, 77), 0);
    assert_int_equal(transfer_write(transfer, body, bytes), 0);
}

static off_t file_size(const struct transfer *transfer)
{
    struct stat st;
    assert_int_equal(fstat(transfer->memfd, &st), 0);
    return st.st_size;
}

static const struct attempt_outcome cut = {
    .end = ATTEMPT_CUT, .status = 200, .received = 100, .detail = "cut"};

static void test_cut_keeps_what_a_strong_validator_vouches_for(void **state)
{
    (void)state;
    struct response_question question;
    struct transfer *transfer = transfer_of(1, false);
    hold(transfer, &strong, 100);
    conclude(transfer, &cut);
    assert_true(transfer_has_rest(transfer));
    transfer_question(transfer, &question);
    assert_int_equal(question.offset, 100);
    assert_int_equal(question.held_size, 300);
    assert_string_equal(question.held->etag, "\"v1\"");
    assert_int_equal(file_size(transfer), 100);

    /* The body begins anew: what was held is gone from the file too. */
    assert_int_equal(begin_body(transfer, true, 50, &weak, 0), 0);
    assert_int_equal(file_size(transfer), 0);
    transfer_free(transfer);
}

static void test_cut_drops_what_nothing_vouches_for(void **state)
{
    static const struct link_validator none;
    const struct link_validator *validators[] = {&weak, &none};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct response_question question;
        struct transfer *transfer = transfer_of(1, false);
        hold(transfer, validators[i], 100);
        conclude(transfer, &cut);
        assert_false(transfer_has_rest(transfer));
        transfer_question(transfer, &question);
        assert_int_equal(question.offset, 0);
        assert_int_equal(file_size(transfer), 0);
        transfer_free(transfer);
    }
}

static void test_never_beyond_the_size(void **state)
{
    static const char body[400];
    (void)state;
    struct transfer *transfer = transfer_of(1, false);
    assert_int_equal(transfer_write(transfer, body, 1), -EFBIG);
    hold(transfer, &strong, 299);
    assert_int_equal(transfer_write(transfer, body, 2), -EFBIG);
    assert_int_equal(transfer_write(transfer, body, 1), 0);
    assert_int_equal(transfer_write(transfer, body, 1), -EFBIG);
    assert_int_equal(file_size(transfer), 300);
    transfer_free(transfer);
}

static void test_cut_for_ever(void **state)
{
    (void)state;
    struct transfer *transfer = transfer_of(1, false);
    hold(transfer, &strong, 100);
    for (int i = 0; i < RESUME_MAX; i++)
        conclude(transfer, &cut);
    assert_int_equal(transfer->state, TRANSFER_WAITING);
    conclude(transfer, &cut);
    assert_int_equal(transfer->event.result, LINK_UNREACHABLE);
    assert_int_equal(transfer->event.resumed, RESUME_MAX);
    transfer_free(transfer);
}

static void test_whole(void **state)
{
    (void)state;
    struct attempt_outcome outcome = {.end = ATTEMPT_JUDGED,
                                      .status = 206,
                                      .received = 200,
                                      .judgement = {.step = RESPONSE_REST, .size = 300}};
    struct transfer *transfer = transfer_of(1, false);
    hold(transfer, &strong, 300);
    conclude(transfer, &outcome);
    assert_int_equal(transfer->event.result, LINK_OK);
    assert_int_equal(transfer->event.size, 300);
    assert_int_equal(transfer->event.date_s, 5); /* of the first answer */
    assert_string_equal(transfer->event.validator.etag, "\"v1\"");
    assert_int_equal(transfer->memfd, -1);
    transfer_free(transfer);

    transfer = transfer_of(2, false); /* libcurl is content, a byte is missing */
    hold(transfer, &strong, 299);
    conclude(transfer, &outcome);
    assert_int_equal(transfer->state, TRANSFER_WAITING);
    transfer_free(transfer);
}

static void test_quick_tries(void **state)
{
    static const struct {
        enum attempt_end end;
        enum link_result result;
        int tries;
    } cases[] = {
        {ATTEMPT_UNREACHABLE, LINK_UNREACHABLE, TRANSFER_QUICK_TRIES},
        {ATTEMPT_HANDSHAKE, LINK_TLS_FAILED, TRANSFER_QUICK_TRIES},
        {ATTEMPT_DISTRUSTED, LINK_TLS_FAILED, 1},
        {ATTEMPT_NONSENSE, LINK_PROTOCOL, 1},
        {ATTEMPT_INTERNAL, LINK_INTERNAL, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct attempt_outcome outcome = {.end = cases[i].end, .detail = "why"};
        struct transfer *transfer = transfer_of(1, false);
        int64_t waited_ms = 0;
        for (int tries = 1; tries < cases[i].tries; tries++) {
            conclude(transfer, &outcome);
            assert_int_equal(transfer->state, TRANSFER_WAITING);
            waited_ms += transfer->resume_at_ms - NOW_MS;
        }
        conclude(transfer, &outcome);
        assert_int_equal(transfer->state, TRANSFER_FINISHED);
        assert_int_equal(transfer->event.result, cases[i].result);
        assert_true(waited_ms < 1000);
        transfer_free(transfer);
    }
}

/* The line was there a moment ago: patience until the deadline or resume_max. */
static void test_unreachable_in_mid_transfer(void **state)
{
    (void)state;
    struct attempt_outcome outcome = {.end = ATTEMPT_UNREACHABLE, .detail = "refused"};
    struct transfer *transfer = transfer_of(1, false);
    hold(transfer, &strong, 100);
    for (int i = 0; i < RESUME_MAX; i++) {
        conclude(transfer, &outcome);
        assert_int_equal(transfer->state, TRANSFER_WAITING);
        assert_true(transfer_has_rest(transfer));
    }
    transfer_free(transfer);
}

/* kosekifs-keys is being restarted: as long as it takes, then by its name. */
static void test_unsigned(void **state)
{
    (void)state;
    struct attempt_outcome outcome = {.end = ATTEMPT_UNSIGNED, .detail = "not running"};
    struct transfer *transfer = transfer_of(1, true);
    for (int i = 0; i < 50; i++)
        conclude(transfer, &outcome);
    assert_int_equal(transfer->state, TRANSFER_WAITING);
    transfer_expire(transfer);
    assert_int_equal(transfer->event.result, LINK_TLS_FAILED);
    assert_string_equal(transfer->event.detail, "not running");
    transfer_free(transfer);
}

static struct attempt_outcome wait_of(enum link_result result, bool known, uint32_t seconds)
{
    return (struct attempt_outcome){.end = ATTEMPT_JUDGED,
                                    .status = 202,
                                    .judgement = {.step = RESPONSE_WAIT,
                                                  .result = result,
                                                  .retry_after_known = known,
                                                  .retry_after_s = seconds,
                                                  .detail = "wait"}};
}

static int64_t waited_ms(bool known, uint32_t seconds)
{
    struct attempt_outcome outcome = wait_of(LINK_BUSY, known, seconds);
    struct transfer *transfer = transfer_of(1, true);
    conclude(transfer, &outcome);
    assert_int_equal(transfer->state, TRANSFER_WAITING);
    int64_t wait_ms = transfer->resume_at_ms - NOW_MS;
    transfer_free(transfer);
    return wait_ms;
}

static void test_wait(void **state)
{
    (void)state;
    assert_in_range(waited_ms(false, 0), TRANSFER_WAIT_DEFAULT_MS,
                    TRANSFER_WAIT_DEFAULT_MS * 11 / 10);
    assert_in_range(waited_ms(true, 0), TRANSFER_WAIT_MIN_MS, TRANSFER_WAIT_MIN_MS * 11 / 10);
    assert_in_range(waited_ms(true, 5), 5000, 5500);
    assert_in_range(waited_ms(true, 3600), TRANSFER_WAIT_MAX_MS, TRANSFER_WAIT_MAX_MS * 11 / 10);

    struct attempt_outcome outcome = wait_of(LINK_NOT_READY, true, 40);
    struct transfer *transfer = transfer_of(1, true);
    transfer->deadline_ms = NOW_MS + 20000; /* the wait, capped, ends behind it */
    conclude(transfer, &outcome);
    assert_int_equal(transfer->event.result, LINK_NOT_READY);
    assert_int_equal(transfer->event.retry_after_s, 40);
    transfer_free(transfer);

    transfer = transfer_of(1, true);
    conclude(transfer, &outcome);
    transfer_expire(transfer);
    assert_int_equal(transfer->event.result, LINK_NOT_READY);
    transfer_free(transfer);

    /* A cut after it: the deadline is a deadline again. */
    transfer = transfer_of(1, true);
    conclude(transfer, &outcome);
    conclude(transfer, &cut);
    transfer_expire(transfer);
    assert_int_equal(transfer->event.result, LINK_TIMED_OUT);
    transfer_free(transfer);
}

static void test_range_refused(void **state)
{
    (void)state;
    struct attempt_outcome outcome = {.end = ATTEMPT_JUDGED,
                                      .status = 416,
                                      .judgement = {.step = RESPONSE_AFRESH, .detail = "x"}};
    struct transfer *transfer = transfer_of(1, false);
    hold(transfer, &strong, 100);
    conclude(transfer, &outcome);
    assert_int_equal(transfer->state, TRANSFER_WAITING);
    assert_false(transfer_has_rest(transfer));
    assert_int_equal(file_size(transfer), 0);
    for (int i = 1; i < RESUME_MAX; i++)
        conclude(transfer, &outcome);
    conclude(transfer, &outcome); /* not for ever */
    assert_int_equal(transfer->state, TRANSFER_FINISHED);
    transfer_free(transfer);
}

static void test_memfd(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(memfd_new("body", &fd), 0);
    assert_int_equal(check_memfd(fd), 0);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    assert_int_equal(check_memfd(fd), -EPERM);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
    assert_int_equal(check_memfd(fd), -EPERM);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_int_equal(check_memfd(fd), -EPERM);
    close(fd);
    assert_int_equal(check_memfd(fd), -EPERM);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(check_memfd(pipes[1]), -EPERM);
    close(pipes[0]);
    close(pipes[1]);
    fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0) {
        assert_int_equal(check_memfd(fd), -EPERM);
        close(fd);
    }
}

static void move(struct transfer_table *table, struct transfer *transfer, enum transfer_state state)
{
    transfer_table_leave(table, transfer);
    transfer->state = state;
    transfer_table_enter(table, transfer);
}

static void test_table(void **state)
{
    static struct transfer_table table;
    (void)state;
    transfer_table_init(&table, TRANSFERS_MAX);
    for (uint64_t id = 0; id < TRANSFERS_MAX; id++)
        assert_int_equal(transfer_table_add(&table, bare_transfer(id * 3, id % 4 == 0)), 0);
    struct transfer *more = bare_transfer(5, false);
    assert_int_equal(transfer_table_add(&table, more), -EBUSY);
    transfer_free(more);
    assert_null(transfer_table_find(&table, 5));
    assert_int_equal(transfer_table_find(&table, 3 * 77)->id, 3 * 77);

    /* Order of arrival, also for one that went away and came back. */
    struct transfer *first = transfer_table_ready(&table, TRANSFER_GET);
    assert_int_equal(first->id, 3);
    move(&table, first, TRANSFER_ACTIVE);
    assert_int_equal(table.active[TRANSFER_GET], 1);
    assert_int_equal(transfer_table_ready(&table, TRANSFER_GET)->id, 6);
    move(&table, first, TRANSFER_WAITING);
    move(&table, transfer_table_find(&table, 6), TRANSFER_ACTIVE);
    move(&table, first, TRANSFER_READY);
    assert_int_equal(transfer_table_ready(&table, TRANSFER_GET)->id, 3);
    assert_int_equal(transfer_table_ready(&table, TRANSFER_HEAD)->id, 0);
    move(&table, transfer_table_find(&table, 3 * (TRANSFERS_MAX - 1)), TRANSFER_WAITING); /* last */

    unsigned bucket = 0;
    unsigned count = 0;
    struct transfer *transfer = NULL;
    while ((transfer = transfer_table_next(&table, &bucket, transfer))) {
        move(&table, transfer, TRANSFER_FINISHED);
        count++;
    }
    assert_int_equal(count, TRANSFERS_MAX);
    while (table.finished.first)
        transfer_table_pop_finished(&table);
    assert_int_equal(table.count, 0);
    assert_int_equal(table.active[TRANSFER_GET], 0);

    assert_int_equal(transfer_table_add(&table, bare_transfer(1, false)), 0);
    more = bare_transfer(1, true);
    assert_int_equal(transfer_table_add(&table, more), -EEXIST);
    transfer_free(more);
    move(&table, transfer_table_find(&table, 1), TRANSFER_FINISHED);
    transfer_table_pop_finished(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_keeps_what_a_strong_validator_vouches_for),
        cmocka_unit_test(test_cut_drops_what_nothing_vouches_for),
        cmocka_unit_test(test_never_beyond_the_size),
        cmocka_unit_test(test_cut_for_ever),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_quick_tries),
        cmocka_unit_test(test_unreachable_in_mid_transfer),
        cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_range_refused),
        cmocka_unit_test(test_memfd),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
