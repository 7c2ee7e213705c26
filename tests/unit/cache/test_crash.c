/*
 * kill -9, and a power cut, at random moments of admissions, replacements, rejections and purges:
 * what was acknowledged is there, what was purged is gone with its key, and every other certificate
 * is as it was. KOSEKIFS_TEST_KILLS and KOSEKIFS_TEST_CUTS set how often.
 */
#include "store_fixture.h"

#include "base/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { NAMES = 6, KILLS_DEFAULT = 60, CUTS_DEFAULT = 12 };

enum operation { OP_ADMIT, OP_PURGE, OP_REJECT, OP_COUNT };

/* Written before (done = 0) and after each operation; one write, so never torn. */
struct report {
    uint32_t operation;
    uint32_t name;
    uint32_t size;
    uint32_t seed;
    uint32_t done;
};

/* What is expected under a name: content of a seed, or none. */
struct expected {
    bool stored;
    uint32_t size;
    uint32_t seed;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void run_operation(struct store *store, const struct report *report)
{
    struct certname name = name_number(report->name);
    struct cache_entry entry;
    struct verdict rejection;
    int r = 0;
    if (report->operation == OP_ADMIT) {
        r = store_admit(store, &name, report->size, report->seed, NULL);
    } else if (report->operation == OP_PURGE) {
        r = cache_purge(store->cache, &name);
    } else {
        verdict_init(&rejection);
        verdict_add(&rejection, CHECK_UNDECIDED, "revocation", "", "no data");
        r = cache_upsert(store->cache, &name, 1, 1, "", 1, &entry);
        if (r == 0)
            r = cache_reject(store->cache, &name, &rejection, 1);
    }
    if (r < 0 || r == CACHE_PENDING)
        _exit(3);
}

static void run_until_killed(struct store *store, int out, uint32_t random_state)
{
    char message[256];
    if (store_try_open(store, message) != 0)
        _exit(2);
    for (;;) {
        struct report report = {.name = next_random(&random_state) % NAMES,
                                .size = next_random(&random_state) % 400000,
                                .seed = next_random(&random_state)};
        uint32_t choice = next_random(&random_state) % 10;
        report.operation = choice < 6 ? OP_ADMIT : choice < 9 ? OP_PURGE : OP_REJECT;
        if (write(out, &report, sizeof report) != sizeof report)
            _exit(4);
        run_operation(store, &report);
        report.done = 1;
        if (write(out, &report, sizeof report) != sizeof report)
            _exit(4);
    }
}

static struct expected outcome_of(const struct report *report)
{
    return (struct expected){
        .stored = report->operation == OP_ADMIT, .size = report->size, .seed = report->seed};
}

static bool holds(struct store *store, unsigned number, const struct expected *expected)
{
    struct certname name = name_number(number);
    struct cache_entry entry;
    int r = cache_find(store->cache, &name, &entry);
    bool stored = r == 0 && entry.state == CACHE_STORED;
    if (!expected->stored)
        return !stored;
    if (!stored || entry.size != expected->size)
        return false;
    uint8_t *content = malloc(expected->size + 1);
    uint8_t digest[SHA256_SIZE];
    content_fill(content, expected->size, expected->seed);
    assert_int_equal(sha256(content, expected->size, digest), 0);
    free(content);
    return memcmp(digest, entry.sha256, sizeof digest) == 0;
}

static void check_survivors(struct store *store, struct expected *state,
                            const struct report *interrupted)
{
    struct cache_statistics statistics;
    unsigned stored = 0;
    uint64_t bytes = 0;
    store_open(store);
    for (unsigned i = 0; i < NAMES; i++) {
        struct expected after = outcome_of(interrupted);
        if (!holds(store, i, &state[i])) {
            /* Only the operation under way may have happened, or not. */
            assert_true(interrupted->done == 0 && interrupted->name == i);
            if (!holds(store, i, &after))
                fail_msg("name %u is in neither state", i);
            state[i] = after;
        }
        struct certname name = name_number(i);
        if (state[i].stored) {
            assert_int_equal(store_check(store, &name, state[i].size, state[i].seed), 0);
            stored++;
            bytes += state[i].size;
        }
    }
    assert_int_equal(cache_statistics(store->cache, &statistics), 0);
    assert_int_equal(statistics.stored, stored);
    assert_int_equal(statistics.stored_bytes, bytes);
    /* No key without a certificate: what was purged cannot come back. */
    assert_int_equal(store_keyed_slots(store), stored);
    store_close(store);
}

/* Reads reports until the child is gone; strikes once, after wait_ms. */
static unsigned follow(int in, pid_t child, bool power_cut, uint32_t wait_ms,
                       struct expected *state, struct report *last)
{
    int64_t end_ms = clock_monotonic_ms() + wait_ms;
    unsigned done = 0;
    bool struck = false;
    for (;;) {
        struct pollfd ready = {.fd = in, .events = POLLIN};
        int64_t left_ms = end_ms - clock_monotonic_ms();
        if (!struck && left_ms <= 0) {
            if (power_cut)
                small_disk_cut(); /* the child fails at its next write */
            else
                kill(child, SIGKILL);
            struck = true;
        }
        if (poll(&ready, 1, struck ? -1 : (int)left_ms) <= 0)
            continue;
        struct report report;
        ssize_t size = read(in, &report, sizeof report);
        if (size == 0)
            return done;
        assert_int_equal(size, sizeof report);
        *last = report;
        if (report.done) {
            state[report.name] = outcome_of(&report);
            done++;
        }
    }
}

/* Returns how many operations were acknowledged. */
static unsigned strike(struct store *store, bool power_cut, uint32_t child_state, uint32_t wait_ms,
                       struct expected *state, struct report *last)
{
    int pipe_fds[2];
    int status;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipe_fds[0]);
        run_until_killed(store, pipe_fds[1], child_state);
    }
    close(pipe_fds[1]);
    unsigned done = follow(pipe_fds[0], child, power_cut, wait_ms, state, last);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (power_cut) /* it met an error, in opening or in an operation */
        assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 2 || WEXITSTATUS(status) == 3));
    else
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return done;
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text ? (unsigned)atoi(text) : otherwise;
}

static void strike_often(struct store *store, bool power_cut, unsigned count)
{
    struct expected state[NAMES] = {0};
    uint32_t random_state = (uint32_t)clock_realtime_ns();
    unsigned done = 0, interrupted = 0;
    print_message("seed %u\n", random_state);
    for (unsigned i = 0; i < count; i++) {
        struct report last = {.done = 1};
        uint32_t child_state = next_random(&random_state);
        uint32_t wait_ms = 5 + next_random(&random_state) % 60;
        done += strike(store, power_cut, child_state, wait_ms, state, &last);
        if (power_cut) {
            close(store->directory_fd);
            small_disk_reboot();
            store->directory_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            assert_true(store->directory_fd >= 0);
            store->settings.directory_fd = store->directory_fd;
        }
        interrupted += last.done == 0;
        check_survivors(store, state, &last);
    }
    print_message("%u times, %u operations acknowledged, %u interrupted\n", count, done,
                  interrupted);
}

static void test_kills(void **state)
{
    (void)state;
    static struct store store;
    store_new(&store);
    strike_often(&store, false, from_environment("KOSEKIFS_TEST_KILLS", KILLS_DEFAULT));
    store_remove(&store);
}

static void test_power_cuts(void **state)
{
    (void)state;
    static struct store store;
    if (!small_disk_enter())
        skip();
    store_new(&store);
    int directory_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fsync(directory_fd), 0); /* the store's directory itself */
    close(directory_fd);
    strike_often(&store, true, from_environment("KOSEKIFS_TEST_CUTS", CUTS_DEFAULT));
    store_remove(&store);
    small_disk_leave();
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kills),
        cmocka_unit_test(test_power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
