/*
 * Beginnings of bodies: what was appended comes back whole or not at all, bound to its version and
 * place; erased with its key; never content.
 */
#include "store_fixture.h"

#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    BODY_SIZE = 700001, /* no multiple of a row */
    CEILING = 2 * BODY_SIZE,
};

static const char tag[] = "7 \"v1\"";
static uint8_t body[BODY_SIZE], out[BODY_SIZE];
static struct store store;
static struct certname name;

static int set_up(void **state)
{
    (void)state;
    struct cache_entry entry;
    name = name_number(1);
    content_fill(body, sizeof body, 1);
    store_new(&store);
    store.settings.partials_max = CEILING;
    store_open(&store);
    assert_int_equal(cache_upsert(store.cache, &name, BODY_SIZE, 7, tag, 1, &entry), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_remove(&store);
    return 0;
}

static int append(const struct certname *of, size_t from, size_t upto)
{
    return cache_partial_append(store.cache, of, tag, BODY_SIZE, from,
                                bytes_of(body + from, upto - from), 100);
}

static void assert_held(size_t held)
{
    struct cache_partial partial;
    size_t size = 0;
    memset(out, 0x5a, sizeof out);
    assert_int_equal(cache_partial_find(store.cache, &name, &partial), 0);
    assert_int_equal(partial.held, held);
    assert_int_equal(partial.size, BODY_SIZE);
    assert_string_equal(partial.validator, tag);
    assert_int_equal(cache_partial_load(store.cache, &name, out, sizeof out, &size), 0);
    assert_int_equal(size, held);
    assert_memory_equal(out, body, held);
}

static void assert_none(const struct certname *of)
{
    struct cache_partial partial;
    size_t size = 0;
    assert_int_equal(cache_partial_find(store.cache, of, &partial), CACHE_MISS);
    assert_int_equal(cache_partial_load(store.cache, of, out, sizeof out, &size), CACHE_MISS);
}

/* Wrapped keys of slots that stand in the files of the store; number 0 is the store's own. */
static unsigned count_wrapped(void)
{
    unsigned found = 0;
    for (unsigned i = 1; i < store.ring.generated && i < RING_MAX; i++)
        found += store_contains(&store, store.ring.given[i].wrapped, CACHE_WRAPPED_SIZE);
    return found;
}

static void test_grows_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const size_t ends[] = {1, 65535, 65536, 65537, 262144, 262145, 524289, BODY_SIZE};
    size_t from = 0;
    assert_none(&name);
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
        assert_int_equal(append(&name, from, ends[i]), 0);
        from = ends[i];
        assert_held(from);
        if (i % 3 == 2)
            store_reopen(&store);
    }
    store_reopen(&store);
    assert_held(BODY_SIZE);
}

static void test_only_behind_its_end_and_of_its_version(void **state)
{
    (void)state;
    struct certname other = name_number(2);
    struct bytes piece = bytes_of(body, 1000);
    char endless[CACHE_VALIDATOR_MAX + 1];
    memset(endless, 'v', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(append(&other, 0, 1000), -ENOENT);
    assert_int_equal(append(&name, 1000, 2000), -ESTALE); /* there is nothing to continue */
    assert_int_equal(append(&name, 0, 1000), 0);
    struct cache *cache = store.cache;
    for (unsigned which = 0; which < 10; which++) {
        int r = 0;
        switch (which) {
        case 0:
            r = append(&name, 999, 2000);
            break;
        case 1:
            r = append(&name, 1001, 2000);
            break;
        case 2:
            r = cache_partial_append(cache, &name, "7 \"v2\"", BODY_SIZE, 1000, piece, 1);
            break;
        case 3:
            r = cache_partial_append(cache, &name, tag, BODY_SIZE + 1, 1000, piece, 1);
            break;
        case 4:
            r = cache_partial_append(cache, &name, tag, 1999, 1000, piece, 1);
            break;
        case 5:
            r = cache_partial_append(cache, &name, tag, 999, 1000, piece, 1);
            break;
        case 6:
            r = cache_partial_append(cache, &name, tag, BODY_SIZE, 1000, bytes_of(body, 0), 1);
            break;
        case 7:
            r = cache_partial_append(cache, &name, tag, UINT64_MAX, 1000, piece, 1);
            break;
        case 8:
            r = cache_partial_append(cache, &name, tag, BODY_SIZE, UINT64_MAX - 10, piece, 1);
            break;
        default:
            r = cache_partial_append(cache, &name, endless, BODY_SIZE, 0, piece, 1);
        }
        assert_int_equal(r, which < 4 ? -ESTALE : -EINVAL);
        assert_held(1000);
    }
    assert_int_equal(append(&name, 1000, 2000), 0);
    assert_held(2000);
}

static void test_begins_anew_in_place(void **state)
{
    (void)state;
    struct cache_partial partial;
    assert_int_equal(append(&name, 0, 300000), 0);
    assert_int_equal(
        cache_partial_append(store.cache, &name, "8 \"v2\"", 5000, 0, bytes_of(body, 10), 200), 0);
    assert_int_equal(cache_partial_find(store.cache, &name, &partial), 0);
    assert_int_equal(partial.held, 10);
    assert_int_equal(partial.size, 5000);
    assert_int_equal(partial.updated_at_s, 200);
    assert_string_equal(partial.validator, "8 \"v2\"");
    assert_int_equal(append(&name, 300000, 300001), -ESTALE);
}

static void test_ceiling_of_all(void **state)
{
    (void)state;
    struct cache_entry entry;
    for (unsigned i = 2; i < 5; i++) {
        struct certname one = name_number(i);
        assert_int_equal(cache_upsert(store.cache, &one, BODY_SIZE, 7, tag, 1, &entry), 0);
        assert_int_equal(append(&one, 0, BODY_SIZE), i < 4 ? 0 : -ENOSPC);
    }
    assert_int_equal(append(&name, 0, 1), -ENOSPC);
    struct certname one = name_number(2);
    assert_int_equal(cache_partial_drop(store.cache, &one), 0);
    assert_int_equal(append(&name, 0, BODY_SIZE), 0);
    assert_int_equal(append(&one, 0, 1), -ENOSPC);
}

/* What is on its way is no certificate: neither listed nor readable, nor in clear on the disk. */
static void test_is_not_content(void **state)
{
    (void)state;
    struct cache_entry entry;
    uint32_t cursor = 0;
    size_t filled = 0;
    assert_int_equal(append(&name, 0, BODY_SIZE), 0);
    assert_int_equal(cache_list(store.cache, &cursor, &entry, 1, &filled), 0);
    assert_int_equal(filled, 0);
    assert_int_equal(cache_find(store.cache, &name, &entry), 0);
    assert_int_not_equal(cache_read(store.cache, entry.inode, 0, out, 100, &filled), 0);
    assert_int_not_equal(cache_load(store.cache, entry.inode, out, sizeof out, &filled), 0);
    assert_false(store_contains(&store, content_marker, strlen(content_marker)));
    for (unsigned i = 0; i < store.ring.generated && i < RING_MAX; i++)
        assert_false(store_contains(&store, store.ring.given[i].key, AEAD_KEY_SIZE));
}

/* However it goes, its key goes with it. */
static void test_goes_with_its_key(void **state)
{
    (void)state;
    unsigned expired = 0;
    for (unsigned which = 0; which < 5; which++) {
        assert_int_equal(append(&name, 0, 200000), 0);
        switch (which) {
        case 0:
            assert_int_equal(cache_partial_drop(store.cache, &name), 0);
            assert_int_equal(cache_partial_drop(store.cache, &name), CACHE_MISS);
            break;
        case 1:
            assert_int_equal(cache_partial_expire(store.cache, 101, &expired), 0);
            assert_int_equal(expired, 1);
            break;
        case 2:
            assert_int_equal(cache_purge(store.cache, &name), 0);
            break;
        case 3: /* another beginning, that goes */
            assert_int_equal(append(&name, 0, 10), 0);
            assert_int_equal(cache_partial_drop(store.cache, &name), 0);
            break;
        default:
            assert_int_equal(cache_forget(store.cache, &name), 0);
        }
        assert_none(&name);
        store_reopen(&store); /* which clears the pool */
        assert_int_equal(count_wrapped(), 0);
        assert_int_equal(store_keyed_slots(&store), 0);
    }
}

static void test_expires_by_its_last_piece(void **state)
{
    (void)state;
    enum { COUNT = 150 }; /* more than one step of it */
    struct cache_entry entry;
    struct cache_partial partial;
    unsigned expired = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname one = name_number(i + 10);
        assert_int_equal(cache_upsert(store.cache, &one, 100, 7, tag, 1, &entry), 0);
        assert_int_equal(cache_partial_append(store.cache, &one, tag, 100, 0, bytes_of(body, 9),
                                              i % 2 ? 1000 : 2000),
                         0);
    }
    assert_int_equal(append(&name, 0, 10), 0); /* at 100, and again at 3000: */
    assert_int_equal(
        cache_partial_append(store.cache, &name, tag, BODY_SIZE, 10, bytes_of(body + 10, 10), 3000),
        0);
    assert_int_equal(cache_partial_expire(store.cache, 1000, &expired), 0);
    assert_int_equal(expired, 0);
    assert_int_equal(cache_partial_expire(store.cache, 1001, &expired), 0);
    assert_int_equal(expired, COUNT / 2);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname one = name_number(i + 10);
        assert_int_equal(cache_partial_find(store.cache, &one, &partial), i % 2 ? CACHE_MISS : 0);
    }
    assert_int_equal(cache_partial_expire(store.cache, INT64_MAX, &expired), 0);
    assert_int_equal(expired, COUNT / 2 + 1);
    assert_none(&name);
}

static void test_too_large_for_who_asks(void **state)
{
    (void)state;
    size_t size = 77;
    assert_int_equal(append(&name, 0, 5000), 0);
    assert_int_equal(cache_partial_load(store.cache, &name, out, 4999, &size), -EFBIG);
    assert_int_equal(size, 77);
    assert_int_equal(cache_partial_load(store.cache, &name, out, 5000, &size), 0);
}

static void test_the_keys_are_away(void **state)
{
    (void)state;
    size_t size = 0;
    assert_int_equal(append(&name, 0, 5000), 0);
    store_reopen(&store);
    store.ring.fail_with = -EHOSTDOWN;
    assert_int_equal(cache_partial_load(store.cache, &name, out, sizeof out, &size), -EHOSTDOWN);
    assert_int_equal(append(&name, 5000, 6000), -EHOSTDOWN);
    store.ring.fail_with = 0;
    assert_held(5000);
    assert_int_equal(append(&name, 5000, 6000), 0);
    assert_held(6000);
}

/* --- damage, through LMDB's own interface ----------------------------------------------------- */

enum blow { FLIP_FIRST, FLIP_LAST, CUT, EMPTY, GONE, SWAPPED, BLOWS };

/* Strikes row number `which` of the closed store's pieces; false: there is no such row. */
static bool strike(unsigned which, enum blow blow)
{
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi table;
    MDB_cursor *cursor;
    MDB_val key, value;
    static uint8_t copy[70000], other[70000];
    assert_int_equal(mdb_env_create(&environment), 0);
    assert_int_equal(mdb_env_set_mapsize(environment, (size_t)1 << 30), 0);
    assert_int_equal(mdb_env_set_maxdbs(environment, 20), 0);
    assert_int_equal(mdb_env_open(environment, store.path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_dbi_open(transaction, "pieces", 0, &table), 0);
    assert_int_equal(mdb_cursor_open(transaction, table, &cursor), 0);
    int r = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    MDB_val first = value;
    for (unsigned i = 0; r == 0 && i < which; i++)
        r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    if (r == 0) {
        size_t size = value.mv_size;
        memcpy(copy, value.mv_data, size);
        copy[0] ^= blow == FLIP_FIRST;
        copy[size - 1] ^= blow == FLIP_LAST;
        MDB_val put = {.mv_size = blow == CUT     ? size - 1
                                  : blow == EMPTY ? 1
                                                  : size,
                       .mv_data = copy};
        if (blow == SWAPPED) { /* a sound piece, at another place */
            memcpy(other, first.mv_data, first.mv_size);
            put = (MDB_val){.mv_size = first.mv_size, .mv_data = other};
        }
        assert_int_equal(blow == GONE ? mdb_cursor_del(cursor, 0)
                                      : mdb_cursor_put(cursor, &key, &put, MDB_CURRENT),
                         0);
    }
    mdb_cursor_close(cursor);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
    return r == 0;
}

static void test_damage_yields_nothing(void **state)
{
    (void)state;
    static const uint8_t nothing[BODY_SIZE];
    for (enum blow blow = 0; blow < BLOWS; blow++) {
        for (unsigned row = blow == SWAPPED ? 1 : 0;; row += 3) {
            size_t size = 77;
            assert_int_equal(append(&name, 0, BODY_SIZE), 0);
            store_close(&store);
            bool struck = strike(row, blow);
            store_open(&store);
            if (!struck)
                break;
            memset(out, 0x5a, sizeof out);
            assert_int_equal(cache_partial_load(store.cache, &name, out, sizeof out, &size), -EIO);
            assert_int_equal(size, 77);
            assert_memory_equal(out, nothing, sizeof out);
            assert_true(cache_partial_drop(store.cache, &name) >= 0);
            assert_none(&name);
        }
    }
}

int main(void)
{
    if (!store_possible())
        return 77;
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_grows_in_pieces_of_any_size),
        TEST(test_only_behind_its_end_and_of_its_version),
        TEST(test_begins_anew_in_place),
        TEST(test_ceiling_of_all),
        TEST(test_is_not_content),
        TEST(test_goes_with_its_key),
        TEST(test_expires_by_its_last_piece),
        TEST(test_too_large_for_who_asks),
        TEST(test_the_keys_are_away),
        TEST(test_damage_yields_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
