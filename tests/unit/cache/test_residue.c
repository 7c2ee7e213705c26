/*
 * What a stolen disk tells: no plaintext, no data key at any time; after a purge, a rejection or a
 * replacement no usable wrapped key either, though the master key be known.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

static void expect_no_secrets(const struct store *store)
{
    unsigned count = store->ring.generated < RING_MAX ? store->ring.generated : RING_MAX;
    assert_false(store_contains(store, content_marker, strlen(content_marker)));
    for (unsigned i = 0; i < count; i++)
        assert_false(store_contains(store, store->ring.given[i].key, AEAD_KEY_SIZE));
}

/* Wrapped keys of slots; number 0 is the store key, which stays. */
static unsigned count_wrapped(const struct store *store)
{
    unsigned found = 0;
    for (unsigned i = 1; i < store->ring.generated && i < RING_MAX; i++)
        found += store_contains(store, store->ring.given[i].wrapped, CACHE_WRAPPED_SIZE);
    return found;
}

static void test_nothing_remains(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct store store;
    struct verdict rejection;
    struct cache_entry entry;
    verdict_init(&rejection);
    verdict_add(&rejection, CHECK_UNDECIDED, "revocation", "", "no data");
    store_new(&store);
    store_open(&store);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_admit(&store, &name, 5000 + i * 4000, i, NULL), 0);
    }
    expect_no_secrets(&store);
    /* The pool holds keys that protect nothing yet. */
    assert_true(count_wrapped(&store) >= COUNT);

    /* A third purged, a third rejected, a third replaced and then purged. */
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        if (i % 3 == 1) {
            assert_int_equal(cache_reject(store.cache, &name, &rejection, 9), 0);
            continue;
        }
        if (i % 3 == 2)
            assert_int_equal(store_admit(&store, &name, 3000, i + 100, &entry), 0);
        assert_int_equal(cache_purge(store.cache, &name), 0);
    }
    expect_no_secrets(&store);
    store_reopen(&store); /* which clears the pool */
    expect_no_secrets(&store);
    assert_int_equal(count_wrapped(&store), 0);
    assert_int_equal(store_keyed_slots(&store), 0);
    store_remove(&store);
}

/* An admission that fails after its content was encrypted: its key is used for nothing else. */
static void test_failed_admissions_leave_no_key(void **state)
{
    (void)state;
    struct store store;
    struct cache_entry entry;
    struct verdict verdict;
    static uint8_t content[100000];
    struct certname name = name_number(1);
    store_new(&store);
    store_open(&store);
    content_fill(content, sizeof content, 1);
    verdict_for(&verdict, content, sizeof content);
    verdict.document_sha256[5] ^= 1;
    assert_int_equal(cache_upsert(store.cache, &name, 1, 1, "", 1, &entry), 0);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(cache_admit(store.cache, &name, bytes_of(content, sizeof content),
                                     &verdict, 1, 1, 0, &entry),
                         -EINVAL);
    /* Slots are given new keys, not new slots for ever. */
    assert_true(store_keyed_slots(&store) <= 128);
    store_reopen(&store);
    assert_int_equal(count_wrapped(&store), 0);
    store_remove(&store);
}

static bool image_contains(const uint8_t *image, size_t size, const void *bytes, size_t length)
{
    return memmem(image, size, bytes, length) != NULL;
}

static uint8_t *load_image(size_t *ret_size)
{
    struct stat status;
    int fd = small_disk_image();
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    uint8_t *image = malloc((size_t)status.st_size);
    assert_non_null(image);
    for (off_t at = 0; at < status.st_size;) {
        ssize_t got = pread(fd, image + at, (size_t)(status.st_size - at), at);
        assert_true(got > 0);
        at += got;
    }
    close(fd);
    *ret_size = (size_t)status.st_size;
    return image;
}

/* The whole disk, journal and free blocks too, as a thief with the master key would read it. */
static void test_raw_disk(void **state)
{
    (void)state;
    enum { COUNT = 30 };
    static struct store store;
    size_t size;
    unsigned wrapped = 0;
    if (!small_disk_enter()) {
        skip();
    }
    store_new(&store);
    store_open(&store);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        store.keep_until_s = i % 2 ? CACHE_PERIOD_S : 0;
        assert_int_equal(store_admit(&store, &name, 5000 + i * 4000, i, NULL), 0);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_int_equal(i % 3 ? cache_purge(store.cache, &name) : cache_forget(store.cache, &name),
                         0);
    }
    unsigned ended;
    assert_int_equal(cache_upkeep(store.cache, 10 * (int64_t)CACHE_PERIOD_S, &ended), 0);
    assert_int_equal(ended, 1);
    store_reopen(&store); /* clears the keys that were prepared */
    store_close(&store);
    close(store.directory_fd);
    small_disk_reboot();
    uint8_t *image = load_image(&size);
    assert_false(image_contains(image, size, content_marker, strlen(content_marker)));
    assert_true(image_contains(image, size, "KSKSTORE", 8)); /* we look in the right place */
    for (unsigned i = 0; i < store.ring.generated && i < RING_MAX; i++) {
        assert_false(image_contains(image, size, store.ring.given[i].key, AEAD_KEY_SIZE));
        wrapped += image_contains(image, size, store.ring.given[i].wrapped, CACHE_WRAPPED_SIZE);
    }
    /* The store key, and what the file system's journal keeps of nothing else. */
    print_message("%u keys given, wrapped forms on the disk: %u\n", store.ring.generated, wrapped);
    assert_int_equal(wrapped, 1);
    free(image);
    store.directory_fd = open(store.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    store_remove(&store);
    small_disk_leave();
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_remains),
        cmocka_unit_test(test_failed_admissions_leave_no_key),
        cmocka_unit_test(test_raw_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
