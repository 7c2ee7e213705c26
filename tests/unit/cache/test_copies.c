/*
 * The store beside its copies: the older format, retention periods, the ledger's copy of the keys,
 * another master key, and what fsck finds.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct store store;

struct found {
    unsigned kinds[CACHE_DAMAGE_KINDS];
};

static void on_damage(void *context, enum cache_damage what, const struct certname *name)
{
    struct found *found = context;
    (void)name;
    found->kinds[what]++;
}

static uint64_t damages(struct cache *cache)
{
    struct found found = {0};
    const struct cache_check check = {.context = &found, .damaged = on_damage};
    struct cache_checked checked;
    assert_int_equal(cache_check(cache, &check, &checked), 0);
    return checked.damages;
}

static int directory_new(char *path, size_t size)
{
    snprintf(path, size, "store-copy-XXXXXX");
    assert_non_null(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void directory_remove(const char *path, int fd)
{
    static const char *const names[] = {"slots", "slots.new", "data.mdb", "lock.mdb", "lock"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlinkat(fd, names[i], 0);
    close(fd);
    assert_int_equal(rmdir(path), 0);
}

/* --- format 1 --------------------------------------------------------------------------------- */

/* Made by the last build that wrote it: c0 to c2 stored, c3 purged, c5 rejected, c6 known. */
static void test_upgrade(void **state)
{
    (void)state;
    char command[600];
    struct cache_entry entry;
    store_new(&store);
    store.settings.map_size = 16 << 20;
    snprintf(command, sizeof command, "tar -xJf '%s' -C '%s'", FORMAT_1_ARCHIVE, store.path);
    if (system(command) != 0) {
        store_remove(&store);
        print_message("skipped: no tar or xz\n");
        skip();
    }
    for (unsigned round = 0; round < 2; round++) {
        store_open(&store);
        for (unsigned i = 0; i < 3; i++) {
            struct certname name = name_number(i);
            assert_int_equal(store_check(&store, &name, 100 + (size_t)i * 10, i), 0);
        }
        for (unsigned i = 3; i < 7; i++) {
            static const int states[] = {CACHE_KNOWN, -1, CACHE_REJECTED, CACHE_KNOWN};
            struct certname name = name_number(i);
            int r = cache_find(store.cache, &name, &entry);
            assert_int_equal(r == 0 ? (int)entry.state : -1, states[i - 3]);
        }
        assert_int_equal(damages(store.cache), 0);
        store_close(&store);
    }
    store_open(&store);
    struct certname name = name_number(0);
    assert_int_equal(cache_purge(store.cache, &name), 0);
    name = name_number(9);
    assert_int_equal(store_admit(&store, &name, 5000, 9, NULL), 0);
    assert_int_equal(damages(store.cache), 0);
    store_remove(&store);
}

/* --- retention periods ------------------------------------------------------------------------ */

static void test_periods(void **state)
{
    (void)state;
    const int64_t month_s = CACHE_PERIOD_S;
    unsigned ended = 0;
    store_new(&store);
    store_open(&store);
    store.keep_until_s = 3 * month_s;
    for (unsigned i = 0; i < 4; i++) {
        struct certname name = name_number(i);
        if (i == 3)
            store.keep_until_s = 5 * month_s;
        assert_int_equal(store_admit(&store, &name, 70000, i, NULL), 0);
    }
    store_reopen(&store);
    assert_int_equal(store_keyed_slots(&store), 4 + 2);
    for (unsigned i = 0; i < 4; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_check(&store, &name, 70000, i), 0);
    }
    assert_int_equal(cache_upkeep(store.cache, 10 * month_s, &ended), 0);
    assert_int_equal(ended, 0); /* still needed */
    for (unsigned i = 0; i < 3; i++) {
        struct certname name = name_number(i);
        assert_int_equal(cache_purge(store.cache, &name), 0);
    }
    assert_int_equal(cache_upkeep(store.cache, 3 * month_s, &ended), 0);
    assert_int_equal(ended, 0); /* not over */
    assert_int_equal(cache_upkeep(store.cache, 4 * month_s, &ended), 0);
    assert_int_equal(ended, 1);
    assert_int_equal(damages(store.cache), 0);
    store_reopen(&store);
    assert_int_equal(store_keyed_slots(&store), 1 + 1);
    struct certname name = name_number(3);
    assert_int_equal(store_check(&store, &name, 70000, 3), 0);
    assert_int_equal(cache_forget(store.cache, &name), 0);
    assert_int_equal(cache_upkeep(store.cache, 10 * month_s, &ended), 0);
    assert_int_equal(ended, 1);
    store_reopen(&store);
    assert_int_equal(store_keyed_slots(&store), 0);
    store.keep_until_s = 0;
    store_remove(&store);
}

/* --- the ledger ------------------------------------------------------------------------------- */

static void use_ledger(struct store *to, int ledger_fd)
{
    to->settings.mirror_count = 1;
    to->settings.mirror_fds[0] = ledger_fd;
}

static void test_an_older_copy_brings_nothing_back(void **state)
{
    (void)state;
    static struct store copy;
    char path[64];
    int ledger_fd = directory_new(path, sizeof path);
    store_new(&store);
    store_new(&copy);
    use_ledger(&store, ledger_fd);
    use_ledger(&copy, ledger_fd);
    store_open(&store);
    for (unsigned i = 0; i < 6; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_admit(&store, &name, 100000, i, NULL), 0);
    }
    store_close(&store);
    store_copy(&store, &copy);
    store_open(&store);
    for (unsigned i = 0; i < 3; i++) {
        struct certname name = name_number(i);
        assert_int_equal(cache_purge(store.cache, &name), 0);
    }
    store_close(&store);

    copy.ring = store.ring;
    store_open(&copy);
    for (unsigned i = 0; i < 6; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_check(&copy, &name, 100000, i), i < 3 ? CACHE_MISS : 0);
    }
    assert_int_equal(damages(copy.cache), 0);
    store_close(&copy);
    assert_int_equal(store_keyed_slots(&copy), 3);
    store_remove(&copy);
    store_remove(&store);
    directory_remove(path, ledger_fd);
}

static void test_a_ledger_of_another_store_is_refused(void **state)
{
    (void)state;
    static struct store other;
    char path[64], message[256];
    int ledger_fd = directory_new(path, sizeof path);
    store_new(&store);
    store_new(&other);
    use_ledger(&store, ledger_fd);
    use_ledger(&other, ledger_fd);
    store_open(&store);
    store_close(&store);
    assert_int_equal(store_try_open(&other, message), -EBADMSG);
    assert_non_null(strstr(message, "another store"));
    store_remove(&other);
    store_remove(&store);
    directory_remove(path, ledger_fd);
}

/* A copy that was lost is made anew; a damaged slot of ours is mended from it. */
static void test_copies_mend_one_another(void **state)
{
    (void)state;
    char path[64];
    uint8_t noise[SHA256_SIZE];
    int ledger_fd = directory_new(path, sizeof path);
    store_new(&store);
    use_ledger(&store, ledger_fd);
    store_open(&store);
    struct certname name = name_number(1);
    assert_int_equal(store_admit(&store, &name, 100000, 1, NULL), 0);
    store_close(&store);
    assert_int_equal(unlinkat(ledger_fd, "slots", 0), 0);
    store_open(&store);
    store_close(&store);
    /* All our slots, as a bad sector would. */
    int fd = openat(store.directory_fd, "slots", O_RDWR | O_CLOEXEC);
    assert_int_equal(random_bytes(noise, sizeof noise), 0);
    for (off_t at = 4096; at < 4096 + 64 * 128; at += 128)
        assert_int_equal(pwrite(fd, noise, sizeof noise, at + 30), sizeof noise);
    close(fd);
    store_open(&store);
    assert_int_equal(store_check(&store, &name, 100000, 1), 0);
    assert_int_equal(damages(store.cache), 0);
    store_remove(&store);
    directory_remove(path, ledger_fd);
}

/* --- another master key ----------------------------------------------------------------------- */

static void test_rewrap(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    uint32_t cursor = 0;
    uint64_t counted = 0;
    bool done = false;
    char message[256];
    store_new(&store);
    store_open(&store);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_admit(&store, &name, 100, i, NULL), 0);
    }
    memcpy(store.ring.previous, store.ring.master, AEAD_KEY_SIZE);
    memset(store.ring.master, 0x99, AEAD_KEY_SIZE);
    assert_int_equal(cache_rewrap(store.cache, &cursor, &counted, &done), 0);
    assert_false(done);
    store_reopen(&store); /* as after a crash */
    cursor = 0;
    while (!done)
        assert_int_equal(cache_rewrap(store.cache, &cursor, &counted, &done), 0);
    assert_true(counted >= COUNT + 1);
    store_close(&store);
    for (unsigned i = 0; i < store.ring.generated && i < COUNT; i++)
        assert_false(i > 0 && store_contains(&store, store.ring.given[i].wrapped + 16, 48) &&
                     i < COUNT / 2);
    memset(store.ring.previous, 0, AEAD_KEY_SIZE);
    store_open(&store);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_check(&store, &name, 100, i), 0);
    }
    store_close(&store);
    memset(store.ring.master, 0x77, AEAD_KEY_SIZE);
    assert_int_equal(store_try_open(&store, message), -EKEYREJECTED);
    store_remove(&store);
}

/* --- fsck ------------------------------------------------------------------------------------- */

static const char *const tables[] = {"names",    "entries", "records", "chunks",
                                     "verdicts", "unused",  "periods", "ages"};

/* Changes one row of a table: a flipped bit of its value or, of an index, of its key; or takes it
 * away. False when there are no more rows. */
static bool damage_row(const char *table_name, unsigned number, bool take_away)
{
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_cursor *cursor;
    MDB_dbi table;
    MDB_val key, value;
    static uint8_t bytes[70000];
    assert_int_equal(mdb_env_create(&environment), 0);
    assert_int_equal(mdb_env_set_mapsize(environment, (size_t)1 << 30), 0);
    assert_int_equal(mdb_env_set_maxdbs(environment, 16), 0);
    assert_int_equal(mdb_env_open(environment, store.path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_dbi_open(transaction, table_name, 0, &table), 0);
    assert_int_equal(mdb_cursor_open(transaction, table, &cursor), 0);
    int result = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (unsigned i = 0; result == 0 && i < number; i++)
        result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    if (result == 0 && take_away) {
        assert_int_equal(mdb_cursor_del(cursor, 0), 0);
    } else if (result == 0 && value.mv_size > 0) {
        assert_true(value.mv_size <= sizeof bytes);
        memcpy(bytes, value.mv_data, value.mv_size);
        bytes[value.mv_size / 2] ^= 1;
        value.mv_data = bytes;
        assert_int_equal(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    } else if (result == 0) {
        memcpy(bytes, key.mv_data, key.mv_size);
        assert_int_equal(mdb_cursor_del(cursor, 0), 0);
        bytes[key.mv_size - 1] ^= 0x40;
        key.mv_data = bytes;
        assert_int_equal(mdb_put(transaction, table, &key, &value, 0), 0);
    }
    mdb_cursor_close(cursor);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
    return result == 0;
}

static void make_store(void)
{
    store_new(&store);
    store_open(&store);
    for (unsigned i = 0; i < 3; i++) {
        struct certname name = name_number(i);
        store.keep_until_s = i == 2 ? CACHE_PERIOD_S : 0;
        assert_int_equal(store_admit(&store, &name, 70000, i, NULL), 0);
    }
    store.keep_until_s = 0;
    store_close(&store);
}

/* While it is open, or at the next start. */
static void mend(bool open)
{
    uint64_t mended;
    int r = open ? cache_mend(store.cache, &mended) : cache_ask_rebuild(store.cache);
    assert_true(r == 0 || r == CACHE_PENDING);
    if (!open || r == CACHE_PENDING)
        store_reopen(&store);
}

/* Each row of each table, one at a time: found; and after the store was asked to mend itself, what
 * is left is whole. */
static void test_fsck_finds_every_damage(void **state)
{
    (void)state;
    unsigned injected = 0;
    for (size_t table = 0; table < sizeof tables / sizeof *tables; table++) {
        for (unsigned row = 0; row < 4; row++) {
            for (unsigned take_away = 0; take_away < 2; take_away++) {
                make_store();
                if (!damage_row(tables[table], row, take_away)) {
                    store_remove(&store);
                    continue;
                }
                injected++;
                store_open(&store);
                if (damages(store.cache) == 0)
                    fail_msg("%s, row %u, %s: not found", tables[table], row,
                             take_away ? "taken away" : "changed");
                for (unsigned i = 0; i < 3; i++) {
                    struct certname name = name_number(i);
                    int r = store_check(&store, &name, 70000, i);
                    assert_true(r == 0 || r == -EIO || r == CACHE_MISS);
                    if (r == -EIO) { /* once more: the name itself, which is mended */
                        r = cache_forget(store.cache, &name);
                        assert_true(r == 0 || r == -EIO);
                    }
                }
                mend(row % 2 == take_away);
                struct certname name = name_number(7);
                assert_int_equal(store_admit(&store, &name, 5000, 7, NULL), 0);
                uint64_t left = damages(store.cache);
                /* A lost verdict or chunk is found by reading only, and forgotten by fsck. */
                if (left > 0 && strcmp(tables[table], "verdicts") != 0 &&
                    strcmp(tables[table], "chunks") != 0)
                    fail_msg("%s, row %u: not mended", tables[table], row);
                store_remove(&store);
            }
        }
    }
    print_message("%u damages, each found\n", injected);
}

/* Where the key of a month is cannot be read, and a certificate of it is held: mending and
 * making anew leave the key, so that the row from an undamaged copy makes it readable again. */
static void test_mending_leaves_the_key_of_a_held_one(void **state)
{
    (void)state;
    for (unsigned held = 0; held < 2; held++) {
        uint64_t mended;
        struct found found = {0};
        const struct cache_check check = {.context = &found, .damaged = on_damage};
        struct cache_checked checked;
        struct certname name = name_number(2);
        make_store();
        store_open(&store);
        assert_int_equal(cache_hold(store.cache, &name, held), 0);
        store_close(&store);
        assert_true(damage_row("periods", 0, false));
        store_open(&store);
        assert_int_equal(cache_check(store.cache, &check, &checked), 0);
        assert_int_equal(found.kinds[CACHE_DAMAGE_PERIOD], 1);
        assert_int_equal(cache_forget(store.cache, &name), held ? -EBUSY : 0);
        for (unsigned round = 0; round < 2; round++) {
            assert_int_equal(cache_mend(store.cache, &mended), 0);
            assert_int_equal(mended > 0, !held && round == 0);
        }
        mend(false);
        assert_int_equal(damages(store.cache) > 0, held);
        if (!held) {
            store.keep_until_s = CACHE_PERIOD_S;
            assert_int_equal(store_admit(&store, &name, 70000, 2, NULL), 0);
            store.keep_until_s = 0;
        }
        store_close(&store);
        if (held)
            assert_true(damage_row("periods", 0, false)); /* the bit is as it was */
        store_open(&store);
        assert_int_equal(store_check(&store, &name, 70000, 2), 0);
        assert_int_equal(cache_mend(store.cache, &mended), 0);
        assert_int_equal(damages(store.cache), 0);
        store_remove(&store);
    }
}

/* A name leads to another certificate of that name, which came later. */
static void test_mending_leaves_a_hidden_one_that_is_held(void **state)
{
    (void)state;
    for (unsigned held = 0; held < 2; held++) {
        uint64_t mended;
        struct found found = {0};
        const struct cache_check check = {.context = &found, .damaged = on_damage};
        struct cache_checked checked;
        struct cache_entry entry;
        struct certname name = name_number(2);
        uint8_t byte;
        size_t got;
        make_store();
        store_open(&store);
        assert_int_equal(cache_find(store.cache, &name, &entry), 0);
        assert_int_equal(cache_hold(store.cache, &name, held), 0);
        store_close(&store);
        assert_true(damage_row("names", 2, true));
        store_open(&store);
        assert_int_equal(store_admit(&store, &name, 5000, 7, NULL), 0);
        assert_int_equal(cache_check(store.cache, &check, &checked), 0);
        assert_int_equal(found.kinds[CACHE_DAMAGE_HIDDEN], !held);
        assert_int_equal(found.kinds[CACHE_DAMAGE_NAME], held);
        for (unsigned round = 0; round < 2; round++) {
            assert_int_equal(cache_mend(store.cache, &mended), 0);
            assert_int_equal(mended > 0, !held && round == 0);
        }
        assert_int_equal(damages(store.cache) > 0, held);
        assert_int_equal(cache_read(store.cache, entry.inode, 0, &byte, 1, &got),
                         held ? 0 : CACHE_MISS);
        assert_int_equal(store_check(&store, &name, 5000, 7), 0);
        store_reopen(&store);
        assert_int_equal(store_keyed_slots(&store), 4 + held);
        store_remove(&store);
    }
}

/* The entry of a certificate was damaged and went: the key of its month does not wait for it. */
static void test_mending_counts_what_needs_a_key(void **state)
{
    (void)state;
    for (unsigned forgotten = 0; forgotten < 2; forgotten++) {
        uint64_t mended;
        unsigned ended = 0;
        struct certname name = name_number(2), other = name_number(3);
        make_store();
        store_open(&store);
        store.keep_until_s = CACHE_PERIOD_S;
        assert_int_equal(store_admit(&store, &other, 70000, 3, NULL), 0);
        store.keep_until_s = 0;
        store_close(&store);
        assert_true(damage_row("entries", 2, false));
        store_open(&store);
        if (forgotten)
            assert_int_equal(cache_forget(store.cache, &name), 0);
        assert_int_equal(cache_mend(store.cache, &mended), 0);
        assert_int_equal(damages(store.cache), 0);
        assert_int_equal(cache_upkeep(store.cache, 9 * CACHE_PERIOD_S, &ended), 0);
        assert_int_equal(ended, 0); /* another needs it */
        assert_int_equal(store_check(&store, &other, 70000, 3), 0);
        assert_int_equal(cache_purge(store.cache, &other), 0);
        assert_int_equal(cache_upkeep(store.cache, 9 * CACHE_PERIOD_S, &ended), 0);
        assert_int_equal(ended, 1);
        store_reopen(&store);
        assert_int_equal(store_keyed_slots(&store), 2);
        assert_int_equal(damages(store.cache), 0);
        store_remove(&store);
    }
}

/* Another process, since this one has the store open. */
static void put_unreadable_erasure(void)
{
    pid_t child = fork();
    int status;
    assert_true(child >= 0);
    if (child == 0) {
        MDB_env *environment;
        MDB_txn *transaction;
        MDB_dbi table;
        uint8_t slot[4] = {0, 0, 0, 1}, noise[52] = {0};
        MDB_val key = {sizeof slot, slot}, value = {sizeof noise, noise};
        bool put = mdb_env_create(&environment) == 0 &&
                   mdb_env_set_mapsize(environment, (size_t)1 << 30) == 0 &&
                   mdb_env_set_maxdbs(environment, 16) == 0 &&
                   mdb_env_open(environment, store.path, 0, 0600) == 0 &&
                   mdb_txn_begin(environment, NULL, 0, &transaction) == 0 &&
                   mdb_dbi_open(transaction, "erasures", 0, &table) == 0 &&
                   mdb_put(transaction, table, &key, &value, 0) == 0 &&
                   mdb_txn_commit(transaction) == 0;
        _exit(put ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* No restart is asked for that would end in a store which does not open. */
static void test_an_unreadable_erasure_is_told_of(void **state)
{
    (void)state;
    uint64_t mended;
    struct found found = {0};
    const struct cache_check check = {.context = &found, .damaged = on_damage};
    struct cache_checked checked;
    char message[256];
    make_store();
    store_open(&store);
    put_unreadable_erasure();
    assert_int_equal(cache_check(store.cache, &check, &checked), 0);
    assert_int_equal(found.kinds[CACHE_DAMAGE_ERASURE], 1);
    assert_int_equal(cache_mend(store.cache, &mended), -EIO);
    for (unsigned i = 0; i < 3; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_check(&store, &name, 70000, i), 0);
    }
    store_close(&store);
    assert_int_equal(store_try_open(&store, message), -EBADMSG);
    store_remove(&store);
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_periods),
        cmocka_unit_test(test_an_older_copy_brings_nothing_back),
        cmocka_unit_test(test_a_ledger_of_another_store_is_refused),
        cmocka_unit_test(test_copies_mend_one_another),
        cmocka_unit_test(test_rewrap),
        cmocka_unit_test(test_fsck_finds_every_damage),
        cmocka_unit_test(test_mending_leaves_the_key_of_a_held_one),
        cmocka_unit_test(test_mending_leaves_a_hidden_one_that_is_held),
        cmocka_unit_test(test_mending_counts_what_needs_a_key),
        cmocka_unit_test(test_an_unreadable_erasure_is_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
