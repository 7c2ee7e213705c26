/* Releases are written behind the answer: in order, soon, many or few, and also when the file
 * cannot take them for a while. */
#include "fs/audit.h"

#include "base/clock.h"
#include "trail.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/resource.h>
#include <time.h>
#include <cmocka.h>

enum { PATIENCE_MS = 5000, MANY = 500, WRITERS = 4 };

#define FIRST_FILE "audit/trail-00000001.jsonl"

static void expect_whole(struct trail_fixture *fixture, uint64_t records)
{
    struct trail_check check;
    assert_int_equal(trail_check_files(fixture->dir.fd, &check), 0);
    if (check.faults[0] || check.verified.records != records)
        fail_msg("%llu records, faults: %s", (unsigned long long)check.verified.records,
                 check.faults);
}

static struct audit_status status_of(struct audit *audit)
{
    struct audit_status status;
    audit_status(audit, &status);
    return status;
}

/* Until the newest record has this number. */
static void wait_for_sequence(struct audit *audit, uint64_t sequence)
{
    int64_t begin_ms = clock_monotonic_ms();
    while (status_of(audit).sequence < sequence && clock_monotonic_ms() - begin_ms < PATIENCE_MS)
        ;
    assert_int_equal(status_of(audit).sequence, sequence);
}

/* The kinds of all records, their first letters. */
static void read_kinds(struct trail_fixture *fixture, const char *file, char *out, size_t size)
{
    static char content[1024 * 1024];
    ssize_t got = scratch_read(fixture->dir.fd, file, content, sizeof content - 1);
    assert_true(got >= 0);
    content[got] = '\0';
    size_t used = 0;
    for (const char *kind = content; (kind = strstr(kind, "\"kind\":\"")) && used + 1 < size;) {
        kind += strlen("\"kind\":\"");
        out[used++] = *kind;
    }
    out[used] = '\0';
}

static void they_come_before_the_next_record(void **state)
{
    struct trail_fixture *fixture = *state;
    fixture->config.sync_within = 10 * PATIENCE_MS; /* nobody else writes them */
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    assert_int_equal(trail_write(audit, 1, 1), 0);
    assert_int_equal(trail_write(audit, 1, 2), 0);
    assert_int_equal(trail_release(audit, 1, 2), 0);
    assert_int_equal(trail_release(audit, 1, 1), 0);
    assert_int_equal(status_of(audit).sequence, 3);
    assert_int_equal(trail_write(audit, 1, 3), 0);
    assert_int_equal(status_of(audit).sequence, 6);
    assert_int_equal(status_of(audit).written, 6);
    char kinds[32];
    read_kinds(fixture, FIRST_FILE, kinds, sizeof kinds);
    assert_string_equal(kinds, "toorro");
    assert_int_equal(trail_release(audit, 1, 3), 0);
    audit_close(audit); /* writes the last one */
    read_kinds(fixture, FIRST_FILE, kinds, sizeof kinds);
    assert_string_equal(kinds, "toorror");
    expect_whole(fixture, 7);
}

static void one_alone_is_written_soon(void **state)
{
    struct trail_fixture *fixture = *state;
    static const char *const modes[] = {"written", "group", "each"};
    uint64_t sequence = 1;
    for (size_t i = 0; i < 3; i++) {
        memcpy(fixture->config.sync, modes[i], strlen(modes[i]) + 1);
        struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
        assert_int_equal(trail_write(audit, 1, ++sequence), 0);
        wait_for_sequence(audit, sequence);
        int64_t begin_ms = clock_monotonic_ms();
        assert_int_equal(trail_release(audit, 1, sequence), 0);
        wait_for_sequence(audit, ++sequence);
        print_message("%s: after %lld ms\n", modes[i],
                      (long long)(clock_monotonic_ms() - begin_ms));
        audit_close(audit);
    }
    expect_whole(fixture, sequence);
}

static void many_at_once_are_all_written(void **state)
{
    struct trail_fixture *fixture = *state;
    fixture->config.sync_within = 10 * PATIENCE_MS;
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    for (uint64_t i = 1; i <= MANY; i++)
        assert_int_equal(trail_release(audit, 1, i), 0);
    audit_close(audit);
    expect_whole(fixture, 1 + MANY);
}

static void they_survive_a_new_file(void **state)
{
    struct trail_fixture *fixture = *state;
    fixture->config.file_size = 4096;
    fixture->config.sync_within = 10 * PATIENCE_MS; /* a sync under way puts a new file off */
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_int_equal(trail_write(audit, 1, i), 0);
        if (i % 3)
            assert_int_equal(trail_release(audit, 1, i), 0);
    }
    assert_int_equal(trail_write(audit, 1, MANY + 1), 0); /* and no release behind it */
    uint64_t files = status_of(audit).file;
    assert_true(files > 10);
    audit_close(audit);
    expect_whole(fixture, files + MANY + 1 + MANY - MANY / 3);
}

static void limit_file_size(bool full)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 2000 : limit.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

struct seen {
    atomic_int failures;
};

static void observe(void *context, const struct audit_event *event, int error)
{
    struct seen *seen = context;
    (void)event;
    if (error < 0)
        atomic_fetch_add(&seen->failures, 1);
}

/* Kept while there is room for them, then counted as lost; no reader is refused because of them. */
static void they_wait_while_the_file_cannot_grow(void **state)
{
    struct trail_fixture *fixture = *state;
    struct seen seen = {0};
    struct audit *audit = NULL;
    assert_int_equal(audit_open(fixture->dir.fd, &fixture->config, observe, &seen, &audit), 0);
    uint64_t unique = 1, kept = 0, lost = 0;
    while (trail_write(audit, 1, unique) == 0)
        if (++unique == 3)
            limit_file_size(true);
    uint64_t refused = status_of(audit).lost;
    assert_int_equal(refused, 1);
    for (uint64_t i = 0; i < MANY; i++) {
        if (trail_release(audit, 1, i + 1) == 0)
            kept++;
        else
            lost++;
    }
    assert_true(kept > 0 && lost > 0 && kept + lost == MANY);
    int64_t begin_ms = clock_monotonic_ms();
    while (atomic_load(&seen.failures) <= 1 && clock_monotonic_ms() - begin_ms < PATIENCE_MS)
        ;
    assert_true(atomic_load(&seen.failures) > 1); /* an alert comes of it */
    assert_int_not_equal(status_of(audit).error, 0);
    assert_int_equal(status_of(audit).lost, refused + lost);

    limit_file_size(false);
    uint64_t before = status_of(audit).sequence;
    assert_int_equal(trail_write(audit, 1, unique), 0);
    assert_int_equal(status_of(audit).error, 0);
    audit_close(audit);
    char kinds[2048], expected[2048];
    read_kinds(fixture, FIRST_FILE, kinds, sizeof kinds);
    size_t used = (size_t)snprintf(expected, sizeof expected, "t");
    while (used < before)
        expected[used++] = 'o';
    expected[used++] = 't'; /* so many events were lost */
    for (uint64_t i = 0; i < kept; i++)
        expected[used++] = 'r';
    expected[used++] = 'o';
    expected[used] = '\0';
    assert_string_equal(kinds, expected);
    expect_whole(fixture, used);
}

/* Whoever has nothing to do must not look for it all the time. */
static void the_thread_rests_when_all_is_written(void **state)
{
    struct trail_fixture *fixture = *state;
    static const char *const modes[] = {"written", "group", "each"};
    const struct timespec span = {.tv_nsec = 200 * 1000000}; /* what is measured, not waited for */
    for (size_t i = 0; i < 3; i++) {
        memcpy(fixture->config.sync, modes[i], strlen(modes[i]) + 1);
        fixture->config.file_size = 1; /* a new file with each record: synced by that */
        struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
        assert_int_equal(trail_write(audit, 1, i + 1), 0);
        assert_int_equal(trail_release(audit, 1, i + 1), 0);
        nanosleep(&span, NULL);
        clock_t before = clock();
        nanosleep(&span, NULL);
        double ms = (double)(clock() - before) * 1000 / CLOCKS_PER_SEC;
        print_message("%s: %.1f ms of CPU in 200 ms\n", modes[i], ms);
        assert_true(ms < 50);
        audit_close(audit);
    }
}

struct writer {
    struct audit *audit;
    uint64_t number;
};

static void *open_and_release(void *context)
{
    const struct writer *writer = context;
    for (uint64_t i = 1; i <= MANY; i++) {
        if (trail_write(writer->audit, writer->number, i) < 0 ||
            trail_release(writer->audit, writer->number, i) < 0)
            return context;
    }
    return NULL;
}

static void many_threads_make_one_chain(void **state)
{
    struct trail_fixture *fixture = *state;
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    struct audit *audit = trail_open(fixture->dir.fd, &fixture->config);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){audit, i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_release, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    audit_close(audit);
    expect_whole(fixture, 1 + 2 * WRITERS * MANY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_set_up, trail_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(they_come_before_the_next_record),     TEST(one_alone_is_written_soon),
        TEST(many_at_once_are_all_written),         TEST(they_survive_a_new_file),
        TEST(they_wait_while_the_file_cannot_grow), TEST(the_thread_rests_when_all_is_written),
        TEST(many_threads_make_one_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
