/*
 * The map is full, the disk is full: -ENOSPC, nothing changed, everything readable, purges work and
 * make room again. The disk is a small ext4 in a file; that needs root, a loop device and
 * mkfs.ext4.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SIZE = 300000, FILL_MAX = 400 };

static unsigned fill(struct store *store, unsigned first)
{
    unsigned count = 0;
    for (; count < FILL_MAX; count++) {
        struct certname name = name_number(first + count);
        int r = store_admit(store, &name, SIZE, first + count, NULL);
        if (r == -ENOSPC)
            break;
        assert_int_equal(r, 0);
    }
    assert_true(count < FILL_MAX);
    return count;
}

static void expect_stored(struct store *store, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_check(store, &name, SIZE, i), 0);
    }
}

static void purge(struct store *store, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        struct certname name = name_number(i);
        assert_int_equal(cache_purge(store->cache, &name), 0);
        assert_int_equal(store_check(store, &name, SIZE, i), CACHE_MISS);
    }
}

static void expect_count(struct store *store, unsigned stored)
{
    struct cache_statistics statistics;
    assert_int_equal(cache_statistics(store->cache, &statistics), 0);
    assert_int_equal(statistics.stored, stored);
    assert_int_equal(statistics.stored_bytes, (uint64_t)stored * SIZE);
}

static void test_map_full(void **state)
{
    (void)state;
    struct store store;
    struct cache_entry entry;
    store_new(&store);
    store.settings.map_size = 16 << 20;
    store_open(&store);
    unsigned count = fill(&store, 0);
    assert_true(count >= 40);
    expect_count(&store, count);
    expect_stored(&store, 0, count);
    /* Names only, until they do not fit either. */
    int r = 0;
    unsigned names = 0;
    for (; r == 0 && names < 20000; names++) {
        struct certname name = name_number(100000 + names);
        r = cache_upsert(store.cache, &name, 1, 1, "\"some validator of common length\"", 1,
                         &entry);
    }
    assert_int_equal(r, -ENOSPC);
    struct certname refused = name_number(100000 + names - 1);
    assert_int_equal(cache_find(store.cache, &refused, &entry), CACHE_MISS);
    store_reopen(&store);
    expect_stored(&store, 0, count);
    purge(&store, 0, count);
    expect_count(&store, 0);
    unsigned again = fill(&store, 500);
    assert_true(again + 20 >= count);
    expect_stored(&store, 500, 500 + again);
    store_reopen(&store);
    expect_stored(&store, 500, 500 + again);
    purge(&store, 500, 500 + again);
    store_remove(&store);
}

/* Sizes at random, far more than the map holds in all: free pages are found again. */
static void test_churn(void **state)
{
    (void)state;
    struct store store;
    struct cache_statistics statistics;
    enum { LIVE = 16, ROUNDS = 600 };
    uint32_t random_state = 5;
    size_t sizes[LIVE] = {0};
    unsigned seeds[LIVE] = {0};
    store_new(&store);
    store.settings.map_size = 16 << 20;
    store_open(&store);
    for (unsigned i = 0; i < ROUNDS; i++) {
        random_state = random_state * 1664525u + 1013904223u;
        unsigned place = (random_state >> 8) % LIVE;
        struct certname name = name_number(place);
        sizes[place] = (random_state >> 12) % 600000;
        seeds[place] = i;
        assert_int_equal(store_admit(&store, &name, sizes[place], i, NULL), 0);
    }
    for (unsigned i = 0; i < LIVE; i++) {
        struct certname name = name_number(i);
        if (seeds[i] > 0)
            assert_int_equal(store_check(&store, &name, sizes[i], seeds[i]), 0);
    }
    assert_int_equal(cache_statistics(store.cache, &statistics), 0);
    print_message("%u admissions, %ju bytes live, %ju bytes of the map used\n", ROUNDS,
                  (uintmax_t)statistics.stored_bytes, (uintmax_t)statistics.map_used);
    assert_true(store_keyed_slots(&store) <= LIVE + 64);
    store_remove(&store);
}

static uint64_t map_used(struct store *store)
{
    struct cache_statistics statistics;
    assert_int_equal(cache_statistics(store->cache, &statistics), 0);
    return statistics.map_used;
}

static size_t size_at_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return 50 * 1024 + (*state >> 4) % (500 * 1024);
}

/* One leaves, another one comes, at random: the file grows a little, and then no more. Told against
 * what it had when it was filled for the first time. KOSEKIFS_TEST_CHURN sets how often; then ten
 * times as many are live. */
static void test_growth(void **state)
{
    (void)state;
    struct store store;
    enum { LIVE_DEFAULT = 100, LIVE_MAX = 1000, ROUNDS_DEFAULT = 300 };
    const char *text = getenv("KOSEKIFS_TEST_CHURN");
    unsigned rounds = text ? (unsigned)atoi(text) : ROUNDS_DEFAULT;
    unsigned live = text ? LIVE_MAX : LIVE_DEFAULT;
    static size_t sizes[LIVE_MAX];
    uint32_t random_state = 7;
    uint64_t bytes = 0;
    store_new(&store);
    store_open(&store);
    for (unsigned i = 0; i < live; i++) {
        struct certname name = name_number(i);
        sizes[i] = size_at_random(&random_state);
        bytes += sizes[i];
        assert_int_equal(store_admit(&store, &name, sizes[i], i, NULL), 0);
    }
    uint64_t first_used = map_used(&store), first_bytes = bytes, most = bytes;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned place = (random_state >> 9) % live;
        struct certname name = name_number(place);
        assert_int_equal(cache_purge(store.cache, &name), 0);
        bytes -= sizes[place];
        sizes[place] = size_at_random(&random_state);
        bytes += sizes[place];
        most = bytes > most ? bytes : most;
        assert_int_equal(store_admit(&store, &name, sizes[place], i, NULL), 0);
    }
    double growth =
        (double)map_used(&store) / (double)first_used / ((double)most / (double)first_bytes) - 1;
    print_message("%u left and came: the file grew by %.1f %%\n", rounds, growth * 100);
    assert_true(growth <= 0.08);
    store_remove(&store);
}

static void fill_disk(const char *path)
{
    static const uint8_t block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    ssize_t written;
    while ((written = write(fd, block, sizeof block)) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(fsync(fd), 0);
    close(fd);
}

static void use_full_disk(struct store *store)
{
    struct cache_entry entry;
    store_open(store);
    unsigned count = fill(store, 0);
    assert_true(count >= 20);
    expect_count(store, count);
    expect_stored(store, 0, count);
    /* Not a block is left by somebody else. */
    fill_disk("../filler");
    struct certname name = name_number(900);
    assert_int_equal(store_admit(store, &name, SIZE, 900, NULL), -ENOSPC);
    int r = 0;
    for (unsigned i = 0; r == 0 && i < 5000; i++) {
        name = name_number(2000 + i);
        r = cache_upsert(store->cache, &name, 1, 1, "", 1, &entry);
    }
    assert_int_equal(r, -ENOSPC);
    expect_stored(store, 0, count);
    purge(store, 0, count / 2);
    store_reopen(store);
    expect_count(store, count - count / 2);
    expect_stored(store, count / 2, count);
    purge(store, count / 2, count);
    assert_int_equal(unlink("../filler"), 0);
    store_reopen(store);
    assert_int_equal(store_keyed_slots(store), 0);
    unsigned again = fill(store, 500);
    print_message("%u certificates at first, %u after all were purged\n", count, again);
    assert_true(again + 15 >= count);
    expect_stored(store, 500, 500 + again);
}

static void test_disk_full(void **state)
{
    (void)state;
    struct store store;
    if (!small_disk_enter())
        skip();
    store_new(&store);
    use_full_disk(&store);
    store_remove(&store);
    small_disk_leave();
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_full),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_disk_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
