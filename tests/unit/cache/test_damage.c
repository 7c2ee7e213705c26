/*
 * Damage of the closed store, bit by bit and row by row, through LMDB's own interface and in the
 * slot file: what was hit is -EIO and yields no byte; what was not is read as before.
 */
#include "store_fixture.h"

#include "base/clock.h"

#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum {
    SIZE_A = 200000, /* four chunks */
    SIZE_B = 200000,
    SIZE_SMALL = 100,
    SEED_A = 1,
    SEED_B = 2,
    SEED_SMALL = 3,
    VALUE_MAX = 70000,
};

static struct store pristine; /* A, B and a small one, closed */
static struct store damaged;
static struct cache_entry entry_a, entry_b;
static struct certname name_a, name_b, name_small;

/* Raw access, without the cache. */

struct raw {
    MDB_env *environment;
    MDB_txn *transaction;
};

static void raw_open(struct raw *raw, const struct store *store)
{
    assert_int_equal(mdb_env_create(&raw->environment), 0);
    assert_int_equal(mdb_env_set_mapsize(raw->environment, (size_t)1 << 30), 0);
    assert_int_equal(mdb_env_set_maxdbs(raw->environment, 16), 0);
    assert_int_equal(mdb_env_open(raw->environment, store->path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(raw->environment, NULL, 0, &raw->transaction), 0);
}

static void raw_close(struct raw *raw)
{
    assert_int_equal(mdb_txn_commit(raw->transaction), 0);
    mdb_env_close(raw->environment);
}

static MDB_dbi raw_table(struct raw *raw, const char *table)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(raw->transaction, table, 0, &dbi), 0);
    return dbi;
}

struct raw_key {
    uint8_t bytes[80];
    size_t size;
};

static struct raw_key key_inode(uint32_t inode)
{
    struct raw_key key = {.size = 4};
    be32_put(key.bytes, inode);
    return key;
}

static struct raw_key key_chunk(uint32_t inode, uint64_t version, uint32_t index)
{
    struct raw_key key = {.size = 16};
    be32_put(key.bytes, inode);
    be64_put(key.bytes + 4, version);
    be32_put(key.bytes + 12, index);
    return key;
}

static struct raw_key key_text(const char *text)
{
    struct raw_key key = {.size = strlen(text)};
    memcpy(key.bytes, text, key.size);
    return key;
}

static size_t raw_get(struct raw *raw, const char *table, struct raw_key key, uint8_t *out)
{
    MDB_val name = {.mv_size = key.size, .mv_data = key.bytes};
    MDB_val value;
    assert_int_equal(mdb_get(raw->transaction, raw_table(raw, table), &name, &value), 0);
    assert_true(value.mv_size <= VALUE_MAX);
    memcpy(out, value.mv_data, value.mv_size);
    return value.mv_size;
}

static void raw_put(struct raw *raw, const char *table, struct raw_key key, uint8_t *value,
                    size_t size)
{
    MDB_val name = {.mv_size = key.size, .mv_data = key.bytes};
    MDB_val content = {.mv_size = size, .mv_data = value};
    assert_int_equal(mdb_put(raw->transaction, raw_table(raw, table), &name, &content, 0), 0);
}

static void raw_delete(struct raw *raw, const char *table, struct raw_key key)
{
    MDB_val name = {.mv_size = key.size, .mv_data = key.bytes};
    assert_int_equal(mdb_del(raw->transaction, raw_table(raw, table), &name, NULL), 0);
}

static void raw_swap(struct raw *raw, const char *table, struct raw_key a, struct raw_key b)
{
    static uint8_t value_a[VALUE_MAX], value_b[VALUE_MAX];
    size_t size_a = raw_get(raw, table, a, value_a);
    size_t size_b = raw_get(raw, table, b, value_b);
    raw_put(raw, table, a, value_b, size_b);
    raw_put(raw, table, b, value_a, size_a);
}

static void slots_bytes(const struct store *store, uint32_t slot, size_t at, uint8_t *bytes,
                        size_t size, bool writing)
{
    int fd = openat(store->directory_fd, "slots", O_RDWR | O_CLOEXEC);
    off_t offset = 4096 + (off_t)slot * 128 + (off_t)at;
    assert_true(fd >= 0);
    ssize_t done = writing ? pwrite(fd, bytes, size, offset) : pread(fd, bytes, size, offset);
    assert_int_equal(done, size);
    close(fd);
}

/* The slot that a record names. */
static uint32_t slot_of(struct raw *raw, uint32_t inode)
{
    uint8_t header[VALUE_MAX];
    assert_true(raw_get(raw, "records", key_inode(inode), header) >= 96);
    return be32_get(header + 40);
}

/* Expectations on a damaged copy. */

static void check_a(int expected)
{
    assert_int_equal(store_check(&damaged, &name_a, SIZE_A, SEED_A), expected);
    uint8_t byte = 0xee;
    size_t got;
    if (expected == -EIO) {
        assert_int_equal(cache_read(damaged.cache, entry_a.inode, 70000, &byte, 1, &got), -EIO);
        assert_true(byte == 0xee || byte == 0);
    }
}

static void check_others(void)
{
    assert_int_equal(store_check(&damaged, &name_b, SIZE_B, SEED_B), 0);
    assert_int_equal(store_check(&damaged, &name_small, SIZE_SMALL, SEED_SMALL), 0);
}

static void begin_case(struct raw *raw)
{
    store_copy(&pristine, &damaged);
    raw_open(raw, &damaged);
}

static void end_case(struct raw *raw)
{
    raw_close(raw);
    store_open(&damaged);
}

static void test_flipped_bits_in_chunks(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < 4; index++) {
        for (int where = 0; where < 3; where++) {
            struct raw raw;
            static uint8_t value[VALUE_MAX];
            struct raw_key key = key_chunk(entry_a.inode, 1, index);
            begin_case(&raw);
            size_t size = raw_get(&raw, "chunks", key, value);
            value[where == 0 ? 0 : where == 1 ? size / 2 : size - 1] ^= 0x40;
            raw_put(&raw, "chunks", key, value, size);
            end_case(&raw);
            assert_int_equal(store_check(&damaged, &name_a, SIZE_A, SEED_A), -EIO);
            /* Chunks that were not hit can be read; the one that was cannot, by any range. */
            uint8_t byte;
            size_t got;
            for (uint32_t other = 0; other < 4; other++)
                assert_int_equal(
                    cache_read(damaged.cache, entry_a.inode, other * 65536 + 5, &byte, 1, &got),
                    other == index ? -EIO : 0);
            check_others();
            store_close(&damaged);
        }
    }
}

static void test_resized_missing_and_swapped_chunks(void **state)
{
    (void)state;
    for (int damage = 0; damage < 9; damage++) {
        struct raw raw;
        static uint8_t value[VALUE_MAX];
        struct raw_key first = key_chunk(entry_a.inode, 1, 0);
        struct raw_key second = key_chunk(entry_a.inode, 1, 1);
        struct raw_key last = key_chunk(entry_a.inode, 1, 3);
        begin_case(&raw);
        size_t size = raw_get(&raw, "chunks", second, value);
        switch (damage) {
        case 0:
            raw_put(&raw, "chunks", second, value, size - 1);
            break;
        case 1:
            raw_put(&raw, "chunks", second, value, size + 1);
            break;
        case 2:
            raw_put(&raw, "chunks", second, value, 16);
            break;
        case 3:
            raw_put(&raw, "chunks", second, value, 0);
            break;
        case 4:
            raw_delete(&raw, "chunks", second);
            break;
        case 5: /* reordered */
            raw_swap(&raw, "chunks", first, second);
            break;
        case 6: /* of another record, at the same place */
            raw_swap(&raw, "chunks", second, key_chunk(entry_b.inode, 1, 1));
            break;
        case 7: /* repeated */
            raw_put(&raw, "chunks", first, value, size);
            break;
        case 8: /* the last one missing */
            raw_delete(&raw, "chunks", last);
            break;
        }
        end_case(&raw);
        assert_int_equal(store_check(&damaged, &name_a, SIZE_A, SEED_A), -EIO);
        if (damage != 6)
            check_others();
        else
            assert_int_equal(store_check(&damaged, &name_b, SIZE_B, SEED_B), -EIO);
        store_close(&damaged);
    }
}

/* The name behind it is for listings alone (test_walk.c): content is read as before. */
static void test_flipped_bits_in_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < 96 + strlen("A.pdf"); i++) {
        struct raw raw;
        uint8_t value[VALUE_MAX];
        begin_case(&raw);
        size_t size = raw_get(&raw, "records", key_inode(entry_a.inode), value);
        assert_int_equal(size, 96 + strlen("A.pdf"));
        value[i] ^= (uint8_t)(1u << (i % 8));
        raw_put(&raw, "records", key_inode(entry_a.inode), value, size);
        end_case(&raw);
        int expected = i < 96 ? -EIO : 0;
        check_a(expected);
        struct verdict verdict;
        assert_int_equal(cache_verdict(damaged.cache, &name_a, &verdict), expected);
        check_others();
        store_close(&damaged);
    }
}

static void test_swapped_and_missing_headers(void **state)
{
    (void)state;
    for (int damage = 0; damage < 3; damage++) {
        struct raw raw;
        uint8_t value[VALUE_MAX];
        begin_case(&raw);
        raw_get(&raw, "records", key_inode(entry_a.inode), value);
        if (damage == 0)
            raw_swap(&raw, "records", key_inode(entry_a.inode), key_inode(entry_b.inode));
        else if (damage == 1)
            raw_delete(&raw, "records", key_inode(entry_a.inode));
        else
            raw_put(&raw, "records", key_inode(entry_a.inode), value, 95);
        end_case(&raw);
        check_a(-EIO);
        assert_int_equal(store_check(&damaged, &name_small, SIZE_SMALL, SEED_SMALL), 0);
        store_close(&damaged);
    }
}

static void test_damaged_entries(void **state)
{
    (void)state;
    static uint8_t value[VALUE_MAX];
    struct raw raw;
    begin_case(&raw);
    size_t size = raw_get(&raw, "entries", key_inode(entry_a.inode), value);
    raw_close(&raw);
    for (size_t i = 0; i < size + 3; i += i < size ? 7 : 1) {
        struct cache_entry entry;
        begin_case(&raw);
        raw_get(&raw, "entries", key_inode(entry_a.inode), value);
        if (i < size) {
            value[i] ^= 0x10;
            raw_put(&raw, "entries", key_inode(entry_a.inode), value, size);
        } else if (i == size) {
            raw_put(&raw, "entries", key_inode(entry_a.inode), value, size - 1);
        } else if (i == size + 1) {
            raw_put(&raw, "entries", key_inode(entry_a.inode), value, 5);
        } else {
            raw_swap(&raw, "entries", key_inode(entry_a.inode), key_inode(entry_b.inode));
        }
        end_case(&raw);
        uint8_t byte;
        size_t got;
        assert_int_equal(cache_find(damaged.cache, &name_a, &entry), -EIO);
        assert_int_equal(cache_find_inode(damaged.cache, entry_a.inode, &entry), -EIO);
        assert_int_equal(cache_read(damaged.cache, entry_a.inode, 0, &byte, 1, &got), -EIO);
        assert_int_equal(cache_upsert(damaged.cache, &name_a, 1, 1, "", 1, &entry), -EIO);
        assert_int_equal(cache_purge(damaged.cache, &name_a), -EIO);
        /* A listing passes over it. */
        struct cache_entry entries[4];
        uint32_t cursor = 0;
        size_t filled;
        assert_int_equal(cache_list(damaged.cache, &cursor, entries, 4, &filled), 0);
        assert_int_equal(filled, i == size + 2 ? 1 : 2);
        store_close(&damaged);
    }
}

static void test_damaged_names(void **state)
{
    (void)state;
    for (int damage = 0; damage < 4; damage++) {
        struct raw raw;
        struct cache_entry entry;
        uint8_t value[VALUE_MAX];
        begin_case(&raw);
        size_t size = raw_get(&raw, "names", key_text(name_a.text), value);
        if (damage == 0)
            raw_swap(&raw, "names", key_text(name_a.text), key_text(name_b.text));
        else if (damage == 1)
            raw_put(&raw, "names", key_text(name_a.text), value, size - 1);
        else if (damage == 2) {
            value[1] ^= 1;
            raw_put(&raw, "names", key_text(name_a.text), value, size);
        } else
            raw_delete(&raw, "entries", key_inode(entry_a.inode));
        end_case(&raw);
        assert_int_equal(cache_find(damaged.cache, &name_a, &entry), -EIO);
        assert_int_equal(store_check(&damaged, &name_small, SIZE_SMALL, SEED_SMALL), 0);
        /* Nothing is called erased that could come back, and nothing else is erased instead. */
        uint64_t mended = 0;
        assert_int_equal(cache_forget(damaged.cache, &name_a), -EIO);
        assert_int_equal(cache_mend(damaged.cache, &mended), 0);
        assert_true(mended > 0);
        check_others();
        if (damage < 3)
            check_a(0);
        assert_int_equal(cache_forget(damaged.cache, &name_a), damage < 3 ? 0 : CACHE_MISS);
        assert_int_equal(cache_find(damaged.cache, &name_a, &entry), CACHE_MISS);
        check_others();
        assert_int_equal(cache_mend(damaged.cache, &mended), 0);
        assert_int_equal(mended, 0);
        store_close(&damaged);
    }
}

static void test_damaged_verdicts(void **state)
{
    (void)state;
    struct raw raw;
    struct verdict verdict;
    static uint8_t value[VALUE_MAX];
    begin_case(&raw);
    size_t size = raw_get(&raw, "verdicts", key_inode(entry_a.inode), value);
    raw_close(&raw);
    for (size_t i = 0; i < size + 3; i += i < size ? 11 : 1) {
        begin_case(&raw);
        raw_get(&raw, "verdicts", key_inode(entry_a.inode), value);
        if (i < size) {
            value[i] ^= 0x01;
            raw_put(&raw, "verdicts", key_inode(entry_a.inode), value, size);
        } else if (i == size) {
            raw_put(&raw, "verdicts", key_inode(entry_a.inode), value, 27);
        } else if (i == size + 1) {
            raw_delete(&raw, "verdicts", key_inode(entry_a.inode));
        } else {
            raw_swap(&raw, "verdicts", key_inode(entry_a.inode), key_inode(entry_b.inode));
        }
        end_case(&raw);
        assert_int_equal(cache_verdict(damaged.cache, &name_a, &verdict), -EIO);
        check_a(0);
        store_close(&damaged);
    }
}

static void test_damaged_slots(void **state)
{
    (void)state;
    struct raw raw;
    for (size_t i = 0; i < 128 + 3; i++) {
        uint8_t slot_a[128], slot_b[128];
        begin_case(&raw);
        uint32_t number_a = slot_of(&raw, entry_a.inode);
        uint32_t number_b = slot_of(&raw, entry_b.inode);
        raw_close(&raw);
        slots_bytes(&damaged, number_a, 0, slot_a, sizeof slot_a, false);
        slots_bytes(&damaged, number_b, 0, slot_b, sizeof slot_b, false);
        if (i < 128) {
            slot_a[i] ^= (uint8_t)(1u << (i % 8));
            slots_bytes(&damaged, number_a, 0, slot_a, sizeof slot_a, true);
        } else if (i == 128) {
            memset(slot_a, 0, sizeof slot_a);
            slots_bytes(&damaged, number_a, 0, slot_a, sizeof slot_a, true);
        } else if (i == 129) { /* exchanged */
            slots_bytes(&damaged, number_a, 0, slot_b, sizeof slot_b, true);
            slots_bytes(&damaged, number_b, 0, slot_a, sizeof slot_a, true);
        } else { /* exchanged, with number and checksum made to fit */
            be32_put(slot_b + 4, number_a);
            assert_int_equal(sha256(slot_b, 96, slot_b + 96), 0);
            slots_bytes(&damaged, number_a, 0, slot_b, sizeof slot_b, true);
        }
        store_open(&damaged);
        check_a(-EIO);
        if (i != 129)
            check_others();
        /* A certificate with a damaged slot can be purged and fetched again. */
        assert_int_equal(cache_purge(damaged.cache, &name_a), 0);
        assert_int_equal(store_admit(&damaged, &name_a, SIZE_A, SEED_A, NULL), 0);
        check_a(0);
        store_close(&damaged);
    }
    /* The end of the file is missing. */
    store_copy(&pristine, &damaged);
    int fd = openat(damaged.directory_fd, "slots", O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 4096), 0);
    close(fd);
    store_open(&damaged);
    check_a(-EIO);
    store_close(&damaged);
}

/* Everything of an older version put back, in all combinations of its parts. Even the complete one
 * fails, as the slot was unused meanwhile; only the whole store rolled back could pass. */
static void test_rolled_back(void **state)
{
    (void)state;
    static const char *const tables[] = {"entries", "records", "verdicts"};
    enum { PARTS = 5 }; /* the three rows, the chunks, the slot */
    static uint8_t rows[3][VALUE_MAX], chunks[4][VALUE_MAX];
    size_t row_sizes[3], chunk_sizes[4];
    uint8_t slot[128];
    struct raw raw;
    store_copy(&pristine, &damaged);
    raw_open(&raw, &damaged);
    uint32_t number = slot_of(&raw, entry_a.inode);
    for (unsigned i = 0; i < 3; i++)
        row_sizes[i] = raw_get(&raw, tables[i], key_inode(entry_a.inode), rows[i]);
    for (uint32_t i = 0; i < 4; i++)
        chunk_sizes[i] = raw_get(&raw, "chunks", key_chunk(entry_a.inode, 1, i), chunks[i]);
    raw_close(&raw);
    slots_bytes(&damaged, number, 0, slot, sizeof slot, false);

    struct store newer;
    store_new(&newer);
    store_copy(&pristine, &newer);
    newer.ring = pristine.ring;
    store_open(&newer);
    assert_int_equal(store_admit(&newer, &name_a, SIZE_A, SEED_A + 10, NULL), 0);
    store_close(&newer);

    for (unsigned parts = 1; parts < 1u << PARTS; parts++) {
        store_copy(&newer, &damaged);
        raw_open(&raw, &damaged);
        for (unsigned i = 0; i < 3; i++)
            if (parts & (1u << i))
                raw_put(&raw, tables[i], key_inode(entry_a.inode), rows[i], row_sizes[i]);
        for (uint32_t i = 0; (parts & 8) && i < 4; i++)
            raw_put(&raw, "chunks", key_chunk(entry_a.inode, 1, i), chunks[i], chunk_sizes[i]);
        raw_close(&raw);
        if (parts & 16)
            slots_bytes(&damaged, number, 0, slot, sizeof slot, true);
        store_open(&damaged);
        /* Parts that are not looked at, or overwritten at the start, leave the present version. */
        assert_int_equal(store_check(&damaged, &name_a, SIZE_A, SEED_A + 10),
                         (parts & 3) == 0 ? 0 : -EIO);
        assert_int_equal(store_check(&damaged, &name_b, SIZE_B, SEED_B), 0);
        store_close(&damaged);
    }
    store_remove(&newer);
}

/* Chunks of the older version under the name of the newer, whose header differs. */
static void test_chunks_of_another_version(void **state)
{
    (void)state;
    struct raw raw;
    static uint8_t value[VALUE_MAX];
    store_copy(&pristine, &damaged);
    raw_open(&raw, &damaged);
    size_t size = raw_get(&raw, "chunks", key_chunk(entry_a.inode, 1, 0), value);
    raw_close(&raw);
    store_open(&damaged);
    assert_int_equal(store_admit(&damaged, &name_a, SIZE_A, SEED_A, NULL), 0);
    store_close(&damaged);
    raw_open(&raw, &damaged);
    raw_put(&raw, "chunks", key_chunk(entry_a.inode, 2, 0), value, size);
    end_case(&raw);
    assert_int_equal(store_check(&damaged, &name_a, SIZE_A, SEED_A), -EIO);
    store_close(&damaged);
}

/* Rows that steer where slots are written: believed only if they are authentic. */
static void test_forged_rows_destroy_nothing(void **state)
{
    (void)state;
    for (int damage = 0; damage < 4; damage++) {
        struct raw raw;
        uint8_t value[VALUE_MAX] = {0};
        struct certname other = name_number(77);
        begin_case(&raw);
        struct raw_key victim = key_inode(slot_of(&raw, entry_a.inode));
        if (damage == 0) { /* the victim's slot is free, says an empty row */
            raw_put(&raw, "unused", victim, value, 0);
        } else if (damage == 1) { /* or a good row of another slot */
            size_t size = raw_get(&raw, "unused", key_inode(60), value);
            raw_put(&raw, "unused", victim, value, size);
        } else if (damage == 2) { /* or an erasure */
            raw_put(&raw, "erasures", victim, value, 24);
        } else { /* or counters rolled back, which give an inode number again */
            size_t size = raw_get(&raw, "meta", key_text("counters"), value);
            raw_close(&raw);
            store_open(&damaged);
            struct cache_entry entry;
            assert_int_equal(cache_upsert(damaged.cache, &other, 1, 1, "", 1, &entry), 0);
            store_close(&damaged);
            raw_open(&raw, &damaged);
            raw_put(&raw, "meta", key_text("counters"), value, size);
            other = name_number(78);
        }
        raw_close(&raw);
        char message[256];
        int r = store_try_open(&damaged, message);
        if (damage == 2) {
            assert_int_equal(r, -EBADMSG);
            continue;
        }
        assert_int_equal(r, 0);
        check_a(0);
        r = store_admit(&damaged, &other, 10, 10, NULL);
        assert_int_equal(r, damage == 3 ? -EIO : 0);
        store_reopen(&damaged);
        check_a(0);
        check_others();
        store_close(&damaged);
    }
}

/*
 * Any byte of the files, LMDB's own pages included, which have no checksum: LMDB may then end the
 * process, but nobody is given a wrong byte. Each in a process of its own.
 */
static int read_everything(void)
{
    char message[256];
    static uint8_t expected[SIZE_A], actual[SIZE_A];
    static const uint32_t seeds[] = {SEED_A, SEED_B, SEED_SMALL};
    static const size_t sizes[] = {SIZE_A, SIZE_B, SIZE_SMALL};
    const struct certname *names[] = {&name_a, &name_b, &name_small};
    int outcome = 0;
    if (store_try_open(&damaged, message) != 0)
        return 1;
    for (unsigned i = 0; i < 3; i++) {
        struct cache_entry entry;
        size_t got = 0;
        int r = cache_find(damaged.cache, names[i], &entry);
        if (r == 0)
            r = cache_read(damaged.cache, entry.inode, 0, actual, sizeof actual, &got);
        if (r != 0) {
            outcome = 1;
            continue;
        }
        content_fill(expected, sizes[i], seeds[i]);
        if (got != sizes[i] || memcmp(expected, actual, got) != 0)
            return 2;
    }
    return outcome;
}

static void flip_anywhere(const char *name, uint32_t random_number, bool early)
{
    int fd = openat(damaged.directory_fd, name, O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    uint8_t byte;
    /* The first pages of the data file are the structure; chunks are most of the rest. */
    off_t at = (off_t)(random_number % (uint32_t)(early ? size / 8 : size));
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (uint8_t)(1u << (random_number >> 29));
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_any_byte(void **state)
{
    (void)state;
    enum { ROUNDS = 300 };
    uint32_t random_state = (uint32_t)clock_realtime_ns();
    unsigned unharmed = 0, refused = 0, killed = 0;
    print_message("seed %u\n", random_state);
    for (unsigned i = 0; i < ROUNDS; i++) {
        random_state = random_state * 1664525u + 1013904223u;
        store_copy(&pristine, &damaged);
        flip_anywhere(i % 4 == 3 ? "slots" : "data.mdb", random_state, i % 4 == 1);
        pid_t child = fork();
        int status;
        assert_true(child >= 0);
        if (child == 0) {
            if (!freopen("/dev/null", "w", stderr)) /* LMDB's assertions */
                _exit(3);
            _exit(read_everything());
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status))
            killed++;
        else if (WEXITSTATUS(status) == 0)
            unharmed++;
        else if (WEXITSTATUS(status) == 1)
            refused++;
        else if (WEXITSTATUS(status) == 2)
            fail_msg("wrong bytes were read");
        else
            killed++; /* a sanitizer's exit */
    }
    print_message("%u flips: %u without effect, %u refused, %u ended the process\n", ROUNDS,
                  unharmed, refused, killed);
    assert_true(refused > 0);
}

static int make_pristine(void **state)
{
    (void)state;
    store_new(&pristine);
    store_new(&damaged);
    store_open(&pristine);
    name_a = name_of("A.pdf");
    name_b = name_of("B.xml");
    name_small = name_of("small.pdf");
    assert_int_equal(store_admit(&pristine, &name_a, SIZE_A, SEED_A, &entry_a), 0);
    assert_int_equal(store_admit(&pristine, &name_b, SIZE_B, SEED_B, &entry_b), 0);
    assert_int_equal(store_admit(&pristine, &name_small, SIZE_SMALL, SEED_SMALL, NULL), 0);
    store_close(&pristine);
    damaged.ring = pristine.ring;
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    store_remove(&pristine);
    store_remove(&damaged);
    return 0;
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped_bits_in_chunks),
        cmocka_unit_test(test_resized_missing_and_swapped_chunks),
        cmocka_unit_test(test_flipped_bits_in_headers),
        cmocka_unit_test(test_swapped_and_missing_headers),
        cmocka_unit_test(test_damaged_entries),
        cmocka_unit_test(test_damaged_names),
        cmocka_unit_test(test_damaged_verdicts),
        cmocka_unit_test(test_damaged_slots),
        cmocka_unit_test(test_rolled_back),
        cmocka_unit_test(test_chunks_of_another_version),
        cmocka_unit_test(test_forged_rows_destroy_nothing),
        cmocka_unit_test(test_any_byte),
    };
    return cmocka_run_group_tests(tests, make_pristine, remove_all);
}
