/*
 * Several changes in one transaction: each has a result of its own, what is refused leaves the
 * others alone, and after kill -9 either all of them are there or none. KOSEKIFS_TEST_KILLS sets
 * how often.
 */
#include "store_fixture.h"

#include "base/clock.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 100000, MANY = CACHE_CHANGES_MAX, KILLS_DEFAULT = 12 };

static struct store store;
static uint8_t contents[MANY][SIZE];
static struct verdict verdicts[MANY];
static struct certname names[MANY];
static struct cache_change changes[MANY];

static void prepare(unsigned i, uint32_t seed)
{
    names[i] = name_number(i);
    content_fill(contents[i], SIZE, seed);
    verdict_for(&verdicts[i], contents[i], SIZE);
}

static void ask_news(unsigned at, unsigned i, uint64_t size, const char *validator)
{
    changes[at] = (struct cache_change){
        .kind = CACHE_NEWS,
        .name = &names[i],
        .news = {.size = size, .modified_s = 1700000000, .validator = validator, .now_ns = 5}};
}

static void ask_admission(unsigned at, unsigned i, const char *validator)
{
    changes[at] = (struct cache_change){.kind = CACHE_ADMISSION,
                                        .name = &names[i],
                                        .admission = {.content = bytes_of(contents[i], SIZE),
                                                      .verdict = &verdicts[i],
                                                      .received_at_s = 100,
                                                      .now_s = 200,
                                                      .validator = validator}};
}

static int set_up(void **state)
{
    (void)state;
    store_new(&store);
    for (unsigned i = 0; i < MANY; i++)
        prepare(i, 1000 + i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_remove(&store);
    return 0;
}

static void learn_names(void)
{
    for (unsigned i = 0; i < MANY; i++)
        ask_news(i, i, SIZE, "\"v1\"");
    cache_apply(store.cache, changes, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(changes[i].result, 0);
        assert_int_equal(changes[i].entry.inode, CACHE_INODE_FIRST + i);
        assert_int_equal(changes[i].entry.state, CACHE_KNOWN);
    }
}

static void admit_all(void)
{
    store_open(&store);
    learn_names();
    for (unsigned i = 0; i < MANY; i++)
        ask_admission(i, i, "\"v1\"");
    cache_apply(store.cache, changes, MANY);
}

static void test_all_at_once(void **state)
{
    (void)state;
    admit_all();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(changes[i].result, 0);
        assert_true(changes[i].first);
        assert_int_equal(changes[i].entry.state, CACHE_STORED);
    }
    store_reopen(&store);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(store_check(&store, &names[i], SIZE, 1000 + i), 0);
    assert_int_equal(store_keyed_slots(&store), MANY);
}

/* Content of an older version does not come to stand under a newer one, in whichever order. */
static void test_news_before_content(void **state)
{
    (void)state;
    store_open(&store);
    learn_names();
    ask_news(0, 0, SIZE, "\"v2\"");
    ask_admission(1, 0, "\"v1\"");
    ask_admission(2, 1, "\"v1\"");
    ask_news(3, 1, SIZE, "\"v2\"");
    cache_apply(store.cache, changes, 4);
    assert_int_equal(changes[0].result, 0);
    assert_int_equal(changes[1].result, -ESTALE);
    assert_int_equal(changes[2].result, 0);
    assert_int_equal(changes[3].result, 0);
    assert_int_equal(changes[3].entry.state, CACHE_STORED);
    struct cache_entry entry;
    assert_int_equal(cache_find(store.cache, &names[0], &entry), 0);
    assert_int_equal(entry.state, CACHE_KNOWN);
    assert_string_equal(entry.validator, "\"v2\"");
    assert_int_equal(store_check(&store, &names[1], SIZE, 1001), 0);
}

/* The same name twice: the second is a new version, and the first one's key goes. */
static void test_one_name_twice(void **state)
{
    (void)state;
    store_open(&store);
    learn_names();
    ask_admission(0, 0, NULL);
    ask_admission(1, 0, NULL);
    cache_apply(store.cache, changes, 2);
    assert_int_equal(changes[0].result, 0);
    assert_int_equal(changes[1].result, 0);
    assert_true(changes[0].first);
    assert_false(changes[1].first);
    assert_int_equal(store_check(&store, &names[0], SIZE, 1000), 0);
    store_reopen(&store);
    assert_int_equal(store_keyed_slots(&store), 1);
}

static void test_each_has_its_result(void **state)
{
    (void)state;
    store.settings.quota = 4 * SIZE;
    store_open(&store);
    learn_names();
    struct certname stranger = name_of("stranger.pdf");
    for (unsigned i = 0; i < 8; i++)
        ask_admission(i, i, "\"v1\"");
    changes[0].name = &stranger;
    verdicts[1].document_sha256[0] ^= 1;
    verdicts[2].indication = VERDICT_INDETERMINATE;
    cache_apply(store.cache, changes, 8);
    assert_int_equal(changes[0].result, -ENOENT);
    assert_int_equal(changes[1].result, -EINVAL); /* found when all was written: one by one */
    assert_int_equal(changes[2].result, -EINVAL);
    for (unsigned i = 3; i < 7; i++)
        assert_int_equal(changes[i].result, 0);
    assert_int_equal(changes[7].result, -ENOSPC);
    store_reopen(&store);
    assert_int_equal(store_keyed_slots(&store), 4);
    for (unsigned i = 3; i < 7; i++)
        assert_int_equal(store_check(&store, &names[i], SIZE, 1000 + i), 0);
}

/* Too much for the map together, yet not one by one until it is full. */
static void test_as_many_as_fit(void **state)
{
    (void)state;
    unsigned stored = 0;
    store.settings.map_size = 3 * 1024 * 1024;
    admit_all();
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(changes[i].result == 0 || changes[i].result == -ENOSPC);
        stored += changes[i].result == 0;
        if (changes[i].result == 0)
            assert_int_equal(store_check(&store, &names[i], SIZE, 1000 + i), 0);
    }
    assert_in_range(stored, 8, MANY - 1);
}

static void test_no_keys(void **state)
{
    (void)state;
    store_open(&store);
    learn_names();
    store.ring.fail_with = -ECONNREFUSED;
    ask_admission(0, 0, NULL);
    ask_news(1, 1, SIZE + 1, "\"v2\"");
    ask_admission(2, 2, NULL);
    cache_apply(store.cache, changes, 3);
    assert_int_equal(changes[0].result, -ECONNREFUSED);
    assert_int_equal(changes[1].result, 0);
    assert_int_equal(changes[2].result, -ECONNREFUSED);
}

/* Each question takes as long as kosekifs-keys may take: it is asked once for all of them. */
static void test_keys_do_not_answer(void **state)
{
    static const int failures[] = {-EHOSTDOWN, -ETIMEDOUT};
    (void)state;
    store_open(&store);
    learn_names();
    for (size_t f = 0; f < sizeof failures / sizeof *failures; f++) {
        store.ring.fail_with = failures[f];
        store.ring.failed = 0;
        for (unsigned i = 0; i < MANY; i += 2) {
            ask_admission(i, i, NULL);
            ask_news(i + 1, i + 1, SIZE + 1 + f, "\"v2\"");
        }
        cache_apply(store.cache, changes, MANY);
        for (unsigned i = 0; i < MANY; i++)
            assert_int_equal(changes[i].result, i % 2 == 0 ? failures[f] : 0);
        assert_in_range(store.ring.failed, 1, 2); /* the key, and perhaps one of the pool */
    }
}

/* --- kill -9 ---------------------------------------------------------------------------------- */

enum { TOGETHER = 5 };

static void run_until_killed(int out)
{
    char message[256];
    if (store_try_open(&store, message) != 0)
        _exit(2);
    for (uint32_t round = 1;; round++) {
        for (unsigned i = 0; i < TOGETHER; i++) {
            prepare(i, round);
            ask_admission(i, i, NULL);
        }
        cache_apply(store.cache, changes, TOGETHER);
        for (unsigned i = 0; i < TOGETHER; i++)
            if (changes[i].result != 0)
                _exit(3);
        if (write(out, &round, sizeof round) != sizeof round)
            _exit(4);
    }
}

static uint32_t kill_after(int64_t delay_ms)
{
    int pipe_fds[2], status;
    uint32_t round = 0, last = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0)
        run_until_killed(pipe_fds[1]);
    close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &last, sizeof last), sizeof last);
    poll(NULL, 0, (int)delay_ms);
    kill(child, SIGKILL);
    while (read(pipe_fds[0], &round, sizeof round) == sizeof round)
        last = round;
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return last;
}

static void test_all_or_none_after_kill(void **state)
{
    (void)state;
    const char *asked = getenv("KOSEKIFS_TEST_KILLS");
    long kills = asked ? strtol(asked, NULL, 10) : KILLS_DEFAULT;
    store_open(&store);
    learn_names();
    store_close(&store);
    for (long i = 0; i < kills; i++) {
        uint32_t last = kill_after(i * 7 % 40), seed;
        struct cache_entry entry;
        size_t got = 0;
        store_open(&store);
        assert_int_equal(cache_find(store.cache, &names[0], &entry), 0);
        assert_int_equal(cache_read(store.cache, entry.inode, 0, &seed, sizeof seed, &got), 0);
        assert_in_range(seed, last, last + 1); /* acknowledged, or under way */
        for (unsigned n = 0; n < TOGETHER; n++)
            assert_int_equal(store_check(&store, &names[n], SIZE, seed), 0);
        assert_int_equal(store_keyed_slots(&store), TOGETHER);
        store_close(&store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_news_before_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_name_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_has_its_result, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_as_many_as_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_do_not_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_or_none_after_kill, set_up, tear_down),
    };
    return store_possible() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
