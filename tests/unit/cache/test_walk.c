/*
 * The walk of a listing: all that is shown, in order, within its limits; and that an entry is asked
 * for again whenever something changed that could matter, and not before.
 */
#include "store_fixture.h"

#include <lmdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { COUNT = 40, LISTED_MAX = 100 };

static struct store store;

/* What a walk did. */
struct listing {
    const char *unwanted; /* a name */
    const char *hidden;   /* the name of an entry that is not shown */
    uint64_t standing;
    size_t room;
    size_t asked;     /* entries */
    const char *amid; /* when this entry is asked for, another thread does that: */
    void *(*act)(void *argument);
    size_t count;
    struct {
        uint32_t inode;
        struct certname name;
        bool entry;
    } listed[LISTED_MAX];
};

static uint64_t standing_of(void *context)
{
    const struct listing *listing = context;
    return listing->standing;
}

static bool wanted(void *context, const struct certname *name)
{
    struct listing *listing = context;
    assert_true(certname_valid(name));
    return !listing->unwanted || strcmp(name->text, listing->unwanted) != 0;
}

static bool shown(void *context, const struct cache_entry *entry)
{
    struct listing *listing = context;
    listing->asked++;
    if (listing->amid && strcmp(entry->name.text, listing->amid) == 0) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, listing->act, listing), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    return !listing->hidden || strcmp(entry->name.text, listing->hidden) != 0;
}

static bool add(void *context, uint32_t inode, const struct certname *name,
                const struct cache_entry *entry)
{
    struct listing *listing = context;
    if (listing->count == listing->room)
        return false;
    if (entry)
        assert_string_equal(entry->name.text, name->text);
    listing->listed[listing->count].inode = inode;
    listing->listed[listing->count].name = *name;
    listing->listed[listing->count++].entry = entry != NULL;
    return true;
}

static bool walk_from(struct listing *listing, uint64_t standing, bool entries, size_t names_max,
                      size_t entries_max, uint32_t *cursor)
{
    const struct cache_walk walk = {.context = listing,
                                    .standing = standing_of,
                                    .entries = entries,
                                    .names_max = names_max,
                                    .entries_max = entries_max,
                                    .wanted = wanted,
                                    .shown = shown,
                                    .add = add};
    bool end;
    listing->standing = standing;
    assert_int_equal(cache_walk(store.cache, &walk, cursor, &end), 0);
    return end;
}

/* All of it; returns how many entries were asked for. */
static size_t walk_all(struct listing *listing, uint64_t standing)
{
    uint32_t cursor = 0;
    listing->room = LISTED_MAX;
    listing->asked = listing->count = 0;
    assert_true(walk_from(listing, standing, false, LISTED_MAX, LISTED_MAX, &cursor));
    for (size_t i = 1; i < listing->count; i++)
        assert_true(listing->listed[i - 1].inode < listing->listed[i].inode);
    return listing->asked;
}

static bool lists(const struct listing *listing, const char *name)
{
    bool found = false;
    for (size_t i = 0; i < listing->count; i++)
        found |= strcmp(listing->listed[i].name.text, name) == 0;
    return found;
}

static int fill(void **state)
{
    (void)state;
    store_new(&store);
    store_open(&store);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_admit(&store, &name, 100, i, NULL), 0);
    }
    return 0;
}

static int clear(void **state)
{
    (void)state;
    store_remove(&store);
    return 0;
}

static void test_asked_once(void **state)
{
    (void)state;
    static struct listing listing;
    listing = (struct listing){0};
    assert_int_equal(walk_all(&listing, 1), COUNT);
    assert_int_equal(listing.count, COUNT);
    assert_int_equal(walk_all(&listing, 1), 0);
    assert_int_equal(listing.count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_string_equal(listing.listed[i].name.text, name.text);
        assert_false(listing.listed[i].entry);
    }
    /* Under another standing all are asked for, and under the first one again. */
    assert_int_equal(walk_all(&listing, 2), COUNT);
    assert_int_equal(walk_all(&listing, 1), COUNT);
    /* What is not shown is asked for each time, what is not wanted never. */
    listing.hidden = "c7.pdf";
    listing.unwanted = "c9.pdf";
    assert_int_equal(walk_all(&listing, 3), COUNT - 1);
    assert_int_equal(walk_all(&listing, 3), 1);
    assert_int_equal(listing.count, COUNT - 2);
    listing.hidden = listing.unwanted = NULL;
    assert_int_equal(walk_all(&listing, 3), 2);
    assert_int_equal(listing.count, COUNT);
    /* After the next start nothing is known. */
    store_reopen(&store);
    assert_int_equal(walk_all(&listing, 3), COUNT);
}

static void revise(unsigned number, enum verdict_indication indication)
{
    static struct verdict verdict;
    struct certname name = name_number(number);
    uint8_t content[100];
    content_fill(content, sizeof content, number);
    verdict_for(&verdict, content, sizeof content);
    verdict.indication = (uint8_t)indication;
    assert_int_equal(cache_revise(store.cache, &name, &verdict), 0);
}

static void test_changes_are_seen(void **state)
{
    (void)state;
    static struct listing listing;
    struct certname name = name_number(5), late = name_of("late.xml");
    struct cache_entry entry;
    listing = (struct listing){0};
    walk_all(&listing, 1);
    revise(5, VERDICT_INDETERMINATE);
    assert_int_equal(walk_all(&listing, 1), 0);
    assert_false(lists(&listing, "c5.pdf"));
    revise(5, VERDICT_TOTAL_PASSED);
    assert_int_equal(walk_all(&listing, 1), 1);
    assert_true(lists(&listing, "c5.pdf"));
    assert_int_equal(walk_all(&listing, 1), 0);
    assert_int_equal(cache_purge(store.cache, &name), 0);
    assert_int_equal(walk_all(&listing, 1), 0);
    assert_false(lists(&listing, "c5.pdf"));
    assert_int_equal(store_admit(&store, &name, 100, 5, NULL), 0);
    assert_int_equal(store_admit(&store, &late, 100, 77, NULL), 0);
    assert_int_equal(walk_all(&listing, 1), 2);
    assert_true(lists(&listing, "c5.pdf") && lists(&listing, "late.xml"));
    assert_int_equal(cache_forget(store.cache, &late), 0);
    assert_int_equal(walk_all(&listing, 1), 0);
    assert_int_equal(listing.count, COUNT);
    /* A name that is only looked up changes nothing. */
    assert_int_equal(cache_upsert(store.cache, &late, 1, 1, "v", 1, &entry), 0);
    assert_int_equal(walk_all(&listing, 1), 0);
    assert_int_equal(cache_forget(store.cache, &late), 0);
}

static void test_limits(void **state)
{
    (void)state;
    static struct listing listing;
    uint32_t cursor = 0;
    size_t calls = 0;
    listing = (struct listing){.room = LISTED_MAX};
    while (!walk_from(&listing, 4, false, 7, LISTED_MAX, &cursor))
        calls++;
    assert_int_equal(calls, COUNT / 7);
    assert_int_equal(listing.count, COUNT);
    /* As many entries as are decrypted count, not names. */
    cursor = 0;
    calls = listing.count = 0;
    while (!walk_from(&listing, 5, true, LISTED_MAX, 9, &cursor))
        calls++;
    assert_int_equal(calls, COUNT / 9);
    assert_int_equal(listing.count, COUNT);
    assert_true(listing.listed[0].entry && listing.listed[COUNT - 1].entry);
    /* Full: it goes on with what found no room. */
    listing.room = 3;
    listing.count = 0;
    cursor = 0;
    assert_true(walk_from(&listing, 5, false, LISTED_MAX, LISTED_MAX, &cursor));
    assert_int_equal(cursor, listing.listed[2].inode);
    listing.room = 4;
    assert_true(walk_from(&listing, 5, false, LISTED_MAX, LISTED_MAX, &cursor));
    assert_int_equal(listing.listed[3].inode, cursor);
    cursor = CACHE_INODE_LAST;
    listing.count = 0;
    assert_true(walk_from(&listing, 5, false, LISTED_MAX, LISTED_MAX, &cursor));
    cursor = UINT32_MAX;
    assert_true(walk_from(&listing, 5, false, LISTED_MAX, LISTED_MAX, &cursor));
    assert_int_equal(listing.count, 0);
}

/* Before the walk comes to 5, which it reads as it was, 5 is withheld; at 9 another walk begins. */
static struct listing other;
static void *withhold_then_list(void *argument)
{
    struct listing *listing = argument;
    if (strcmp(listing->amid, "c4.pdf") == 0) {
        revise(5, VERDICT_INDETERMINATE);
        listing->amid = "c9.pdf";
        return NULL;
    }
    other = (struct listing){0};
    walk_all(&other, 6);
    return NULL;
}

static void test_a_walk_under_way_marks_nothing(void **state)
{
    (void)state;
    static struct listing listing;
    listing = (struct listing){.amid = "c4.pdf", .act = withhold_then_list};
    walk_all(&listing, 6);
    assert_true(lists(&listing, "c5.pdf")); /* as it was at the beginning */
    assert_int_equal(other.count, COUNT - 1);
    assert_false(lists(&other, "c5.pdf"));
    listing.amid = NULL;
    walk_all(&listing, 6);
    assert_false(lists(&listing, "c5.pdf"));
    revise(5, VERDICT_TOTAL_PASSED);
    walk_all(&listing, 6);
    assert_true(lists(&listing, "c5.pdf"));
}

static void *change_standing(void *argument)
{
    struct listing *listing = argument;
    listing->standing++;
    return NULL;
}

/* By which standing an entry was found to be shown is not known then. */
static void test_a_standing_that_changes_amid(void **state)
{
    (void)state;
    static struct listing listing;
    listing = (struct listing){.amid = "c9.pdf", .act = change_standing};
    assert_int_equal(walk_all(&listing, 20), COUNT);
    listing.amid = NULL;
    assert_int_equal(walk_all(&listing, 20), COUNT);
    assert_int_equal(walk_all(&listing, 20), 0);
}

/* Writes another name behind the header of a record. */
static void rename_record(uint32_t inode, const char *name, size_t size)
{
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi records;
    uint8_t number[4], row[96 + 200];
    store_close(&store);
    be32_put(number, inode);
    MDB_val key = {.mv_size = sizeof number, .mv_data = number}, value;
    assert_int_equal(mdb_env_create(&environment), 0);
    assert_int_equal(mdb_env_set_mapsize(environment, (size_t)1 << 30), 0);
    assert_int_equal(mdb_env_set_maxdbs(environment, 16), 0);
    assert_int_equal(mdb_env_open(environment, store.path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_dbi_open(transaction, "records", 0, &records), 0);
    assert_int_equal(mdb_get(transaction, records, &key, &value), 0);
    memcpy(row, value.mv_data, 96);
    memcpy(row + 96, name, size);
    value = (MDB_val){.mv_size = 96 + size, .mv_data = row};
    assert_int_equal(mdb_put(transaction, records, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
    store_open(&store);
}

/* The name in clear is a hint: what is listed is the sealed one. */
static void test_false_names(void **state)
{
    (void)state;
    static struct listing listing;
    char long_id[CERTNAME_MAX + 1] = "", long_row[101] = "";
    memset(long_id, 'x', CERTNAME_MAX);
    memset(long_row, 'x', 100);
    const struct {
        const char *text;
        size_t size;
    } names[] = {{"", 0},
                 {"x", 1},
                 {".pdf", 4},
                 {"Z1.pdf", 6},
                 {"c1.pdf", 6},
                 {"a/b.pdf", 7},
                 {"\0\0\0\0\0\0", 6},
                 {"\0c2.pdf", 7},
                 {"c2\0.pdf", 7},
                 {"c2.pdf\0x", 8},
                 {"c2.pd", 5},
                 {"c2.txt", 6},
                 {long_id, CERTNAME_MAX},
                 {long_row, 100},
                 {"c2.pdf", 6}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rename_record(CACHE_INODE_FIRST + 2, names[i].text, names[i].size);
        listing = (struct listing){0};
        bool is = names[i].size == 6 && memcmp(names[i].text, "c2.pdf", 6) == 0;
        for (int round = 0; round < 3; round++) {
            walk_all(&listing, 1);
            assert_int_equal(listing.count, COUNT);
            assert_string_equal(listing.listed[2].name.text, "c2.pdf");
            assert_int_equal(listing.asked, round == 0 ? COUNT : is ? 0 : 1);
        }
        /* Whoever may not list what it is does not get it for what it is said to be. */
        listing.unwanted = "c2.pdf";
        walk_all(&listing, 1);
        assert_int_equal(listing.count, COUNT - 1);
        struct certname real = name_number(2);
        assert_int_equal(store_check(&store, &real, 100, 2), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked_once),
        cmocka_unit_test(test_changes_are_seen),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_standing_that_changes_amid),
        cmocka_unit_test(test_a_walk_under_way_marks_nothing),
        cmocka_unit_test(test_false_names),
    };
    if (!store_possible())
        return 77;
    return cmocka_run_group_tests(tests, fill, clear);
}
