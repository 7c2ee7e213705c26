/* What each call promises, before and after the store is opened again. */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct store store;

static int set_up(void **state)
{
    (void)state;
    store_new(&store);
    store_open(&store);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_remove(&store);
    return 0;
}

static void test_names_get_lasting_numbers(void **state)
{
    (void)state;
    struct cache_entry first, second, again;
    struct certname a = name_of("A-1.pdf");
    struct certname b = name_of("b_2.xml");
    assert_int_equal(cache_find(store.cache, &a, &first), CACHE_MISS);
    assert_int_equal(cache_find_inode(store.cache, CACHE_INODE_FIRST, &first), CACHE_MISS);
    assert_int_equal(cache_upsert(store.cache, &a, 10, 20, "\"x\"", 30, &first), 0);
    assert_int_equal(cache_upsert(store.cache, &b, 11, 21, "", 31, &second), 0);
    assert_int_equal(first.inode, CACHE_INODE_FIRST);
    assert_int_equal(second.inode, CACHE_INODE_FIRST + 1);
    assert_int_equal(first.state, CACHE_KNOWN);
    assert_int_equal(first.first_seen_ns, 30);
    store_reopen(&store);
    assert_int_equal(cache_find(store.cache, &a, &again), 0);
    assert_memory_equal(&again, &first, sizeof again);
    assert_int_equal(cache_find_inode(store.cache, second.inode, &again), 0);
    assert_memory_equal(&again, &second, sizeof again);
    assert_string_equal(again.name.text, "b_2.xml");

    for (unsigned i = 0; i < 2; i++) { /* the second time from memory, then from the disk again */
        assert_int_equal(cache_find_inode(store.cache, second.inode, &again), 0);
        assert_memory_equal(&again, &second, sizeof again);
        cache_keep_keys(store.cache, true);
    }

    /* News of a known name: number and first sight stay. */
    assert_int_equal(cache_upsert(store.cache, &a, 12, 22, "\"y\"", 99, &again), 0);
    assert_int_equal(again.inode, first.inode);
    assert_int_equal(again.first_seen_ns, 30);
    assert_int_equal(again.size, 12);
    assert_int_equal(again.modified_s, 22);
    assert_string_equal(again.validator, "\"y\"");

    /* What does not fit, and names that are none. */
    char validator[CACHE_VALIDATOR_MAX + 1];
    memset(validator, 'v', sizeof validator);
    validator[CACHE_VALIDATOR_MAX] = '\0';
    assert_int_equal(cache_upsert(store.cache, &a, 1, 1, validator, 1, &again), -EINVAL);
    validator[CACHE_VALIDATOR_MAX - 1] = '\0';
    assert_int_equal(cache_upsert(store.cache, &a, 1, 1, validator, 1, &again), 0);
    struct certname bad = {.text = "../../etc/passwd"};
    assert_int_equal(cache_upsert(store.cache, &bad, 1, 1, "", 1, &again), -EINVAL);
    assert_int_equal(cache_find(store.cache, &bad, &again), CACHE_MISS);
    struct cache_statistics statistics;
    assert_int_equal(cache_statistics(store.cache, &statistics), 0);
    assert_int_equal(statistics.known, 2);
}

static void test_admits_all_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,      4095,   65535,  65536,   65537,
                                   70000, 131071, 131072, 131073, 1000000, 5000000};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    for (unsigned i = 0; i < COUNT; i++) {
        struct cache_entry entry;
        struct certname name = name_number(i);
        assert_int_equal(store_admit(&store, &name, sizes[i], i, &entry), 0);
        assert_int_equal(entry.state, CACHE_STORED);
        assert_int_equal(entry.size, sizes[i]);
        assert_int_equal(entry.received_at_s, 100);
        assert_int_equal(entry.stored_at_s, 200);
        assert_int_equal(entry.fresh_until_s, 2000000000);
        assert_int_equal(store_check(&store, &name, sizes[i], i), 0);
    }
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            struct certname name = name_number(i);
            assert_int_equal(store_check(&store, &name, sizes[i], i), 0);
        }
        store_reopen(&store);
    }
    assert_true(store.ring.unwrapped > 0);
}

/* Any range against the content itself. */
static void test_reads_ranges(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    static uint8_t content[SIZE], out[SIZE + 10];
    struct cache_entry entry;
    struct certname name = name_number(1);
    assert_int_equal(store_admit(&store, &name, SIZE, 9, &entry), 0);
    content_fill(content, SIZE, 9);
    static const uint64_t edges[] = {0,        1,      65535,    65536,      65537,
                                     131071,   131072, 200000,   262143,     262144,
                                     SIZE - 1, SIZE,   SIZE + 1, UINT64_MAX, 1 << 20};
    static const size_t sizes[] = {0, 1, 2, 4096, 65535, 65536, 65537, 131072, SIZE, SIZE + 10};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            size_t got = 12345;
            uint64_t left = edges[i] < SIZE ? SIZE - edges[i] : 0;
            size_t expected = left < sizes[k] ? (size_t)left : sizes[k];
            memset(out, 0xee, sizeof out);
            assert_int_equal(cache_read(store.cache, entry.inode, edges[i], out, sizes[k], &got),
                             0);
            assert_int_equal(got, expected);
            assert_memory_equal(out, content + (expected > 0 ? edges[i] : 0), expected);
            assert_int_equal(out[expected], 0xee);
        }
    }
    size_t got = 7;
    static const uint32_t inodes[] = {0, 1, CACHE_INODE_FIRST + 1, CACHE_INODE_LAST, UINT32_MAX};
    for (size_t i = 0; i < sizeof inodes / sizeof *inodes; i++)
        assert_int_equal(cache_read(store.cache, inodes[i], 0, out, 10, &got), CACHE_MISS);
    assert_int_equal(got, 7);
}

/* Nothing but exactly what was verified, with an accepting verdict, under a known name. */
static void test_refuses_to_admit(void **state)
{
    (void)state;
    uint8_t content[1000];
    struct verdict verdict;
    struct cache_entry entry;
    struct cache_statistics statistics;
    struct certname known = name_number(1);
    struct certname unknown = name_number(2);
    struct bytes bytes = bytes_of(content, sizeof content);
    content_fill(content, sizeof content, 1);
    verdict_for(&verdict, content, sizeof content);
    assert_int_equal(cache_upsert(store.cache, &known, 1000, 1, "", 1, &entry), 0);

    assert_int_equal(cache_admit(store.cache, &unknown, bytes, &verdict, 1, 1, 0, &entry), -ENOENT);
    static const uint8_t indications[] = {VERDICT_INDETERMINATE, VERDICT_TOTAL_FAILED, 3, 255};
    for (size_t i = 0; i < sizeof indications; i++) {
        struct verdict bad = verdict;
        bad.indication = indications[i];
        assert_int_equal(cache_admit(store.cache, &known, bytes, &bad, 1, 1, 0, &entry), -EINVAL);
    }
    struct verdict bad = verdict;
    bad.document_size = 999;
    assert_int_equal(cache_admit(store.cache, &known, bytes, &bad, 1, 1, 0, &entry), -EINVAL);
    assert_int_equal(
        cache_admit(store.cache, &known, bytes_of(content, 999), &verdict, 1, 1, 0, &entry),
        -EINVAL);
    for (size_t i = 0; i < SHA256_SIZE; i += 31) {
        bad = verdict;
        bad.document_sha256[i] ^= 1;
        assert_int_equal(cache_admit(store.cache, &known, bytes, &bad, 1, 1, 0, &entry), -EINVAL);
    }
    content[500] ^= 1;
    assert_int_equal(cache_admit(store.cache, &known, bytes, &verdict, 1, 1, 0, &entry), -EINVAL);
    content[500] ^= 1;
    /* A verdict that contradicts itself. */
    bad = verdict;
    verdict_add(&bad, CHECK_FAILED, "profile", "", "no");
    assert_int_equal(cache_admit(store.cache, &known, bytes, &bad, 1, 1, 0, &entry), -EINVAL);

    assert_int_equal(cache_find(store.cache, &known, &entry), 0);
    assert_int_equal(entry.state, CACHE_KNOWN);
    assert_int_equal(cache_statistics(store.cache, &statistics), 0);
    assert_int_equal(statistics.stored, 0);
    assert_int_equal(cache_admit(store.cache, &known, bytes, &verdict, 1, 1, 0, &entry), 0);
    assert_int_equal(store_check(&store, &known, sizeof content, 1), 0);
}

static void test_upsert_of_stored_keeps_content_attributes(void **state)
{
    (void)state;
    struct cache_entry entry;
    struct certname name = name_number(1);
    assert_int_equal(store_admit(&store, &name, 1000, 1, NULL), 0);
    assert_int_equal(cache_upsert(store.cache, &name, 2000, 77, "\"v2\"", 88, &entry), 0);
    assert_int_equal(entry.state, CACHE_STORED);
    assert_int_equal(entry.size, 1000);
    assert_int_equal(entry.modified_s, 1700000000);
    assert_int_equal(entry.first_seen_ns, 5);
    assert_int_equal(store_check(&store, &name, 1000, 1), 0);
}

static void test_replaces(void **state)
{
    (void)state;
    struct cache_entry first, second;
    struct cache_statistics statistics;
    struct certname name = name_number(1);
    assert_int_equal(store_admit(&store, &name, 200000, 1, &first), 0);
    assert_int_equal(store_admit(&store, &name, 70000, 2, &second), 0);
    assert_int_equal(first.inode, second.inode);
    assert_memory_not_equal(first.sha256, second.sha256, SHA256_SIZE);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(store_check(&store, &name, 70000, 2), 0);
        assert_int_equal(cache_statistics(store.cache, &statistics), 0);
        assert_int_equal(statistics.stored, 1);
        assert_int_equal(statistics.stored_bytes, 70000);
        store_reopen(&store);
    }
    /* The key of the first version is gone. */
    assert_int_equal(store_keyed_slots(&store), 1);
}

static void test_verdicts(void **state)
{
    (void)state;
    struct verdict verdict, read_back;
    struct cache_entry entry;
    struct cache_statistics statistics;
    uint8_t content[5000];
    struct certname name = name_number(1);
    struct certname unknown = name_number(2);
    content_fill(content, sizeof content, 3);
    verdict_for(&verdict, content, sizeof content);
    assert_int_equal(cache_verdict(store.cache, &name, &read_back), CACHE_MISS);
    assert_int_equal(cache_revise(store.cache, &name, &verdict), CACHE_MISS);
    assert_int_equal(cache_upsert(store.cache, &name, sizeof content, 1, "\"v1\"", 1, &entry), 0);
    assert_int_equal(cache_verdict(store.cache, &name, &read_back), CACHE_MISS);
    assert_int_equal(cache_revise(store.cache, &name, &verdict), CACHE_MISS);

    /* Rejected, then the link system has another version, then accepted. */
    struct verdict rejection = verdict;
    rejection.indication = VERDICT_TOTAL_FAILED;
    rejection.sub = VERDICT_HASH_FAILURE;
    verdict_add(&rejection, CHECK_FAILED, "integrity", "", "digest differs");
    assert_int_equal(cache_reject(store.cache, &unknown, &rejection, 50), -ENOENT);
    assert_int_equal(cache_reject(store.cache, &name, &verdict, 50), -EINVAL);
    assert_int_equal(cache_reject(store.cache, &name, &rejection, 50), 0);
    store_reopen(&store);
    assert_int_equal(cache_verdict(store.cache, &name, &read_back), 0);
    assert_int_equal(read_back.sub, VERDICT_HASH_FAILURE);
    assert_int_equal(read_back.reason_count, 2);
    assert_int_equal(cache_find(store.cache, &name, &entry), 0);
    assert_int_equal(entry.state, CACHE_REJECTED);
    assert_memory_equal(entry.trust_generation, verdict.trust_generation, SHA256_SIZE);
    size_t got;
    assert_int_equal(cache_read(store.cache, entry.inode, 0, content, 1, &got), CACHE_MISS);
    assert_int_equal(cache_purge(store.cache, &name), CACHE_MISS);
    assert_int_equal(cache_statistics(store.cache, &statistics), 0);
    assert_int_equal(statistics.rejected, 1);
    assert_int_equal(cache_upsert(store.cache, &name, sizeof content, 9, "\"v1\"", 1, &entry), 0);
    assert_int_equal(entry.state, CACHE_REJECTED);
    assert_int_equal(cache_upsert(store.cache, &name, sizeof content, 9, "\"v2\"", 1, &entry), 0);
    assert_int_equal(entry.state, CACHE_KNOWN);
    assert_int_equal(cache_verdict(store.cache, &name, &read_back), CACHE_MISS);
    assert_int_equal(cache_reject(store.cache, &name, &rejection, 50), 0);
    content_fill(content, sizeof content, 3);
    assert_int_equal(cache_admit(store.cache, &name, bytes_of(content, sizeof content), &verdict, 1,
                                 2, 0, &entry),
                     0);
    assert_int_equal(cache_statistics(store.cache, &statistics), 0);
    assert_int_equal(statistics.rejected, 0);
    assert_int_equal(statistics.stored, 1);

    /* Verified again under newer trust. */
    struct verdict revised = verdict;
    revised.fresh_until_s = 2100000000;
    memset(revised.trust_generation, 0x55, SHA256_SIZE);
    snprintf(revised.signer, sizeof revised.signer, "CN=Other");
    size_t count;
    uint32_t cursor = 0;
    struct cache_entry listed;
    /* Withheld: unreadable and unlisted, for verification only. */
    assert_int_equal(cache_revise(store.cache, &name, &rejection), 0);
    for (int round = 0; round < 2; round++) {
        static uint8_t loaded[sizeof content];
        assert_int_equal(cache_find(store.cache, &name, &entry), 0);
        assert_int_equal(entry.state, CACHE_WITHHELD);
        assert_int_equal(cache_read(store.cache, entry.inode, 0, loaded, 1, &got), CACHE_MISS);
        assert_int_equal(cache_list(store.cache, &cursor, &listed, 1, &count), 0);
        assert_int_equal(count, 0);
        uint32_t content_cursor = 0;
        assert_int_equal(cache_list_content(store.cache, &content_cursor, &listed, 1, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(listed.state, CACHE_WITHHELD);
        assert_int_equal(listed.inode, entry.inode);
        assert_int_equal(cache_load(store.cache, entry.inode, loaded, sizeof loaded, &got), 0);
        assert_int_equal(got, sizeof loaded);
        assert_memory_equal(loaded, content, sizeof loaded);
        assert_int_equal(cache_verdict(store.cache, &name, &read_back), 0);
        assert_int_equal(read_back.sub, VERDICT_HASH_FAILURE);
        store_reopen(&store);
    }
    assert_int_equal(cache_load(store.cache, entry.inode + 1, content, 1, &got), CACHE_MISS);
    assert_int_equal(cache_revise(store.cache, &name, &verdict), 0);
    cursor = 0;
    assert_int_equal(cache_list(store.cache, &cursor, &listed, 1, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(store_check(&store, &name, sizeof content, 3), 0);
    struct verdict other = revised;
    other.document_size++;
    assert_int_equal(cache_revise(store.cache, &name, &other), -EINVAL);
    other = revised;
    other.document_sha256[0] ^= 1;
    assert_int_equal(cache_revise(store.cache, &name, &other), -EINVAL);
    assert_int_equal(cache_verdict(store.cache, &name, &read_back), 0);
    assert_string_equal(read_back.signer, verdict.signer);
    assert_int_equal(cache_revise(store.cache, &name, &revised), 0);
    store_reopen(&store);
    assert_int_equal(cache_verdict(store.cache, &name, &read_back), 0);
    assert_string_equal(read_back.signer, "CN=Other");
    assert_int_equal(cache_find(store.cache, &name, &entry), 0);
    assert_int_equal(entry.fresh_until_s, 2100000000);
    assert_memory_equal(entry.trust_generation, revised.trust_generation, SHA256_SIZE);
    assert_int_equal(store_check(&store, &name, sizeof content, 3), 0);

    /* Rejected after all: the content goes. */
    assert_int_equal(cache_reject(store.cache, &name, &rejection, 60), 0);
    assert_int_equal(cache_read(store.cache, entry.inode, 0, content, 1, &got), CACHE_MISS);
    assert_int_equal(cache_statistics(store.cache, &statistics), 0);
    assert_int_equal(statistics.stored, 0);
    assert_int_equal(statistics.stored_bytes, 0);
    assert_int_equal(statistics.rejected, 1);
    store_reopen(&store);
    assert_int_equal(store_keyed_slots(&store), 0);
}

static void test_purge(void **state)
{
    (void)state;
    struct cache_entry before, after;
    struct cache_statistics first, second;
    struct verdict verdict;
    struct certname name = name_number(1);
    assert_int_equal(cache_purge(store.cache, &name), CACHE_MISS);
    assert_int_equal(store_admit(&store, &name, 300000, 1, &before), 0);
    assert_int_equal(cache_statistics(store.cache, &first), 0);
    assert_int_equal(cache_purge(store.cache, &name), 0);
    assert_int_equal(store_check(&store, &name, 300000, 1), CACHE_MISS);
    assert_int_equal(cache_verdict(store.cache, &name, &verdict), CACHE_MISS);
    assert_int_equal(cache_purge(store.cache, &name), CACHE_MISS);
    assert_int_equal(cache_find(store.cache, &name, &after), 0);
    assert_int_equal(after.inode, before.inode);
    assert_int_equal(after.state, CACHE_KNOWN);
    assert_int_equal(after.size, 300000);
    assert_int_equal(after.first_seen_ns, before.first_seen_ns);
    assert_string_equal(after.validator, before.validator);
    assert_int_equal(cache_statistics(store.cache, &second), 0);
    assert_int_equal(second.stored, 0);
    assert_true(second.changed_at_ns > first.changed_at_ns);
    store_reopen(&store);
    assert_int_equal(store_keyed_slots(&store), 0);
    assert_int_equal(store_admit(&store, &name, 1000, 2, &after), 0);
    assert_int_equal(after.inode, before.inode);
    assert_int_equal(store_check(&store, &name, 1000, 2), 0);
}

static void test_lists_what_is_stored(void **state)
{
    (void)state;
    struct cache_entry entries[7];
    struct verdict rejection;
    verdict_init(&rejection);
    verdict_add(&rejection, CHECK_UNDECIDED, "revocation", "", "no data");
    for (unsigned i = 0; i < 60; i++) {
        struct certname name = name_number(i);
        struct cache_entry entry;
        if (i % 3 == 0)
            assert_int_equal(store_admit(&store, &name, 10 + i, i, NULL), 0);
        else
            assert_int_equal(cache_upsert(store.cache, &name, 1, 1, "", 1, &entry), 0);
        if (i % 3 == 1)
            assert_int_equal(cache_reject(store.cache, &name, &rejection, 1), 0);
    }
    for (int round = 0; round < 2; round++) {
        uint32_t cursor = 0;
        size_t filled;
        unsigned seen = 0;
        do {
            assert_int_equal(cache_list(store.cache, &cursor, entries, 7, &filled), 0);
            for (size_t i = 0; i < filled; i++, seen++) {
                struct certname name = name_number(seen * 3);
                assert_string_equal(entries[i].name.text, name.text);
                assert_int_equal(entries[i].inode, CACHE_INODE_FIRST + seen * 3);
                assert_int_equal(entries[i].size, 10 + seen * 3);
            }
        } while (filled > 0);
        assert_int_equal(seen, 20);
        uint32_t inodes[60];
        struct certname one = name_number(33);
        assert_int_equal(cache_list_names(store.cache, one.text, inodes, 60, &filled), 0);
        assert_int_equal(filled, 1);
        assert_int_equal(inodes[0], CACHE_INODE_FIRST + 33);
        assert_int_equal(cache_list_names(store.cache, one.text, inodes, 0, &filled), 0);
        assert_int_equal(filled, 0);
        assert_int_equal(cache_list_names(store.cache, "no such", inodes, 60, &filled), 0);
        assert_int_equal(filled, 0);
        one.text[2] = '\0'; /* c3, c30 to c39 */
        assert_int_equal(cache_list_names(store.cache, one.text, inodes, 60, &filled), 0);
        assert_int_equal(filled, 11);
        assert_int_equal(inodes[0], CACHE_INODE_FIRST + 3);
        assert_int_equal(inodes[10], CACHE_INODE_FIRST + 39);
        assert_int_equal(cache_list_names(store.cache, one.text, inodes, 7, &filled), 0);
        assert_int_equal(filled, 7);
        assert_int_equal(inodes[6], CACHE_INODE_FIRST + 35);
        store_reopen(&store);
    }
    /* The cursor outlives what it points at, and additions behind it are seen. */
    uint32_t cursor = 0;
    size_t filled;
    assert_int_equal(cache_list(store.cache, &cursor, entries, 2, &filled), 0);
    struct certname gone = name_number(3);
    struct certname added = name_number(100);
    assert_int_equal(cache_purge(store.cache, &gone), 0);
    assert_int_equal(store_admit(&store, &added, 5, 5, NULL), 0);
    unsigned rest = 0;
    while (cache_list(store.cache, &cursor, entries, 7, &filled) == 0 && filled > 0)
        rest += (unsigned)filled;
    assert_int_equal(rest, 19);
    assert_string_equal(entries[(rest - 1) % 7].name.text, added.text);
    cursor = UINT32_MAX;
    assert_int_equal(cache_list(store.cache, &cursor, entries, 7, &filled), 0);
    assert_int_equal(filled, 0);
}

static void test_quota(void **state)
{
    (void)state;
    struct cache_statistics statistics;
    struct cache_entry entry;
    struct certname a = name_number(1), b = name_number(2), c = name_number(3);
    store.settings.quota = 100000;
    store_reopen(&store);
    assert_int_equal(store_admit(&store, &a, 60000, 1, NULL), 0);
    assert_int_equal(store_admit(&store, &b, 40001, 2, NULL), -ENOSPC);
    assert_int_equal(store_admit(&store, &b, 100001, 2, NULL), -ENOSPC);
    assert_int_equal(cache_find(store.cache, &b, &entry), 0);
    assert_int_equal(entry.state, CACHE_KNOWN);
    assert_int_equal(store_admit(&store, &b, 40000, 2, NULL), 0);
    assert_int_equal(store_admit(&store, &c, 1, 3, NULL), -ENOSPC);
    /* A replacement counts once. */
    assert_int_equal(store_admit(&store, &a, 60001, 4, NULL), -ENOSPC);
    assert_int_equal(store_check(&store, &a, 60000, 1), 0);
    assert_int_equal(store_admit(&store, &a, 60000, 4, NULL), 0);
    assert_int_equal(store_check(&store, &a, 60000, 4), 0);
    assert_int_equal(cache_purge(store.cache, &b), 0);
    assert_int_equal(store_admit(&store, &c, 40000, 3, NULL), 0);
    assert_int_equal(cache_statistics(store.cache, &statistics), 0);
    assert_int_equal(statistics.stored, 2);
    assert_int_equal(statistics.stored_bytes, 100000);
}

/* Slots prepared ahead carry admissions while kosekifs-keys is away; reads of what is in use too.
 */
static void test_keys_process_away(void **state)
{
    (void)state;
    struct certname name;
    unsigned admitted = 0;
    name = name_number(0);
    assert_int_equal(store_admit(&store, &name, 100, 0, NULL), 0);
    store.ring.fail_with = -EHOSTDOWN;
    for (unsigned i = 1; i < 200; i++) {
        name = name_number(i);
        int r = store_admit(&store, &name, 100, i, NULL);
        if (r == -EHOSTDOWN)
            break;
        assert_int_equal(r, 0);
        admitted++;
    }
    assert_true(admitted > 30 && admitted < 100);
    name = name_number(1);
    assert_int_equal(store_check(&store, &name, 100, 1), 0);
    assert_int_equal(cache_purge(store.cache, &name), 0);
    store_close(&store);
    char message[256];
    assert_int_equal(store_try_open(&store, message), -EHOSTDOWN);
    store.ring.fail_with = 0;
    store_open(&store);
    store.ring.fail_with = -ETIMEDOUT;
    name = name_number(2);
    assert_int_equal(store_check(&store, &name, 100, 2), -ETIMEDOUT);
    store.ring.fail_with = 0;
    assert_int_equal(store_check(&store, &name, 100, 2), 0);
    assert_int_equal(store.ring.unwrapped, 2);
    assert_int_equal(store_check(&store, &name, 100, 2), 0);
    assert_int_equal(store.ring.unwrapped, 2);
}

/* Under a seal of everything each key is wiped after its use. */
static void test_keys_are_not_kept(void **state)
{
    (void)state;
    struct certname name = name_number(0);
    assert_int_equal(store_admit(&store, &name, 100, 0, NULL), 0);
    cache_keep_keys(store.cache, false);
    unsigned before = store.ring.unwrapped;
    assert_int_equal(store_check(&store, &name, 100, 0), 0);
    unsigned once = store.ring.unwrapped - before;
    assert_true(once > 0);
    assert_int_equal(store_check(&store, &name, 100, 0), 0);
    assert_int_equal(store.ring.unwrapped - before, 2 * once);
    cache_keep_keys(store.cache, true);
    assert_int_equal(store_check(&store, &name, 100, 0), 0);
    before = store.ring.unwrapped;
    assert_int_equal(store_check(&store, &name, 100, 0), 0);
    assert_int_equal(store.ring.unwrapped, before);
}

/* More certificates than keys are kept in memory. */
static void test_many(void **state)
{
    (void)state;
    enum { COUNT = 1300 };
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_admit(&store, &name, 50 + i % 7, i, NULL), 0);
    }
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < COUNT; i++) {
            struct certname name = name_number(i * 7 % COUNT);
            unsigned number = i * 7 % COUNT;
            assert_int_equal(store_check(&store, &name, 50 + number % 7, number), 0);
        }
    for (unsigned i = 0; i < COUNT; i += 2) {
        struct certname name = name_number(i);
        assert_int_equal(cache_purge(store.cache, &name), 0);
    }
    store_reopen(&store);
    assert_int_equal(store_keyed_slots(&store), COUNT / 2);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_check(&store, &name, 50 + i % 7, i), i % 2 ? 0 : CACHE_MISS);
    }
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_get_lasting_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_admits_all_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reads_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuses_to_admit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upsert_of_stored_keeps_content_attributes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_replaces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verdicts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_purge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lists_what_is_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_quota, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_process_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_are_not_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
