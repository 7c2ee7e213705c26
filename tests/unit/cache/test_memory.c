/*
 * Each allocation of our code and of OpenSSL fails in turn, in every call: the call reports an
 * error or succeeds all the same, and the store is as good afterwards as before. Linked with
 * --wrap.
 */
#include "../short_memory.h"
#include "store_fixture.h"

#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SIZE = 150000, POINTS_MAX = 20000 };

static struct store store;
static struct certname subject, bystander;
static uint8_t content[SIZE];
static struct verdict good, bad;

static int do_upsert(void)
{
    struct cache_entry entry;
    static uint64_t size = 1;
    return cache_upsert(store.cache, &subject, size++, 2, "\"v\"", 3, &entry);
}

static int do_admit(void)
{
    struct cache_entry entry;
    return cache_admit(store.cache, &subject, bytes_of(content, SIZE), &good, 1, 2, 0, &entry);
}

static int do_read(void)
{
    static uint8_t out[SIZE];
    struct cache_entry entry;
    size_t size = 0;
    int r = cache_find(store.cache, &subject, &entry);
    if (r == 0)
        r = cache_read(store.cache, entry.inode, 5, out, SIZE, &size);
    if (r == 0) {
        assert_int_equal(size, SIZE - 5);
        assert_memory_equal(out, content + 5, SIZE - 5);
    }
    return r;
}

static int do_verdict(void)
{
    static struct verdict verdict;
    return cache_verdict(store.cache, &subject, &verdict);
}

static int do_revise(void)
{
    return cache_revise(store.cache, &subject, &good);
}

static int do_list(void)
{
    struct cache_entry entries[4];
    struct cache_statistics statistics;
    uint32_t cursor = 0;
    size_t filled;
    int r = cache_list(store.cache, &cursor, entries, 4, &filled);
    return r == 0 ? cache_statistics(store.cache, &statistics) : r;
}

static int do_purge(void)
{
    return cache_purge(store.cache, &subject);
}

static int do_reject(void)
{
    return cache_reject(store.cache, &subject, &bad, 9);
}

static int do_open(void)
{
    char message[256];
    return store_try_open(&store, message);
}

static void nothing(void)
{
}

static void prepare_content(void)
{
    assert_true(do_upsert() == 0);
    assert_int_equal(do_admit(), 0);
}

static void prepare_forgotten_key(void)
{
    prepare_content();
    store_reopen(&store);
}

static void prepare_closed(void)
{
    store_close(&store);
}

/* Runs `call` with the 1st, 2nd, … allocation failing until it needs no more. A retry without
 * failures must come to `retried`, or to 0. */
static void torture(void (*prepare)(void), int (*call)(void), int retried)
{
    unsigned point = 1;
    for (; point < POINTS_MAX; point++) {
        prepare();
        failed = false;
        allocations_left = point;
        int r = call();
        allocations_left = 0;
        assert_true(r == 0 || r == CACHE_MISS || r == CACHE_PENDING || r == -ENOMEM || r == -EIO ||
                    r == -EBADMSG);
        if (!failed)
            break;
        if (r < 0 || r == CACHE_PENDING) {
            r = call();
            assert_true(r == 0 || r == retried);
        }
        assert_int_equal(store_check(&store, &bystander, SIZE, 7), 0);
    }
    assert_true(point > 1 && point < POINTS_MAX);
    if (!store.cache)
        store_open(&store);
}

static void test_every_allocation(void **state)
{
    (void)state;
    subject = name_of("subject.pdf");
    bystander = name_of("bystander.pdf");
    content_fill(content, SIZE, 3);
    verdict_for(&good, content, SIZE);
    verdict_init(&bad);
    verdict_add(&bad, CHECK_UNDECIDED, "revocation", "", "no data");
    store_new(&store);
    store_open(&store);
    assert_int_equal(store_admit(&store, &bystander, SIZE, 7, NULL), 0);
    torture(nothing, do_upsert, 0);
    torture(nothing, do_admit, 0); /* new and, after the first success, replacing */
    torture(prepare_content, do_read, 0);
    torture(prepare_forgotten_key, do_read, 0);
    torture(prepare_content, do_verdict, 0);
    torture(prepare_forgotten_key, do_revise, 0);
    torture(nothing, do_list, 0);
    torture(prepare_content, do_purge, CACHE_MISS);
    torture(prepare_content, do_reject, 0);
    torture(prepare_closed, do_open, 0);
    store_reopen(&store);
    assert_int_equal(store_check(&store, &bystander, SIZE, 7), 0);
    assert_int_equal(store_keyed_slots(&store), 1);
    store_remove(&store);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        return 1;
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
