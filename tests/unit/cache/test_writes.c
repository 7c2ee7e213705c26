/*
 * The disk is full at each step: every write and every sync of every call finds no room in turn,
 * and so do all after it until there is room again. The call says so, nothing is done by halves,
 * what was stored is there, and the same call comes to its end afterwards.
 *
 * The symbols below take the place of the C library's, for LMDB too.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cmocka.h>

static unsigned calls_left; /* 0 = there is room; 1 = none from now on */
static unsigned calls;
static bool failed;

static bool no_room(void)
{
    calls++;
    if (calls_left == 0 || (calls_left > 1 && --calls_left > 1))
        return false;
    failed = true;
    errno = ENOSPC;
    return true;
}

/* Once a slot is overwritten there is no room for LMDB's pages. */
static bool tidying_fails, pages_fail;
enum { SLOT_SIZE = 128, PAGE_SIZE_MIN = 4096 };

static bool no_room_for(size_t size)
{
    pages_fail = pages_fail || (tidying_fails && size == SLOT_SIZE);
    if (pages_fail && size >= PAGE_SIZE_MIN) {
        errno = ENOSPC;
        return true;
    }
    return no_room();
}

/* Under their symbols, since <unistd.h> gives the same name to two of them. */
ssize_t full_pwrite(int fd, const void *bytes, size_t size, off_t offset) __asm__("pwrite");
ssize_t full_pwrite64(int fd, const void *bytes, size_t size, off_t offset) __asm__("pwrite64");
ssize_t full_write(int fd, const void *bytes, size_t size) __asm__("write");
ssize_t full_writev(int fd, const struct iovec *parts, int count) __asm__("writev");
int full_fdatasync(int fd) __asm__("fdatasync");
int full_fsync(int fd) __asm__("fsync");

ssize_t full_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return no_room_for(size) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t full_pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    return full_pwrite(fd, bytes, size, offset);
}

ssize_t full_write(int fd, const void *bytes, size_t size)
{
    return no_room() ? -1 : syscall(SYS_write, fd, bytes, size);
}

ssize_t full_writev(int fd, const struct iovec *parts, int count)
{
    return no_room_for(PAGE_SIZE_MIN) ? -1 : syscall(SYS_writev, fd, parts, count);
}

/* No power is cut here, so nothing waits for the disk. */
int full_fdatasync(int fd)
{
    (void)fd;
    return no_room() ? -1 : 0;
}

int full_fsync(int fd)
{
    (void)fd;
    return no_room() ? -1 : 0;
}

/* --- the calls -------------------------------------------------------------------------------- */

enum { SIZE = 150000, KEPT = 3 };

static unsigned kept;

static struct store store;
static char ledger_path[] = "ledger-XXXXXX";
static int ledger_fd;
static struct certname subject;
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

static int do_admit_with_end(void)
{
    struct cache_entry entry;
    return cache_admit(store.cache, &subject, bytes_of(content, SIZE), &good, 1, 2,
                       9 * (int64_t)CACHE_PERIOD_S, &entry);
}

/* A certificate and the news of another one; they share the room and the lack of it. */
static int do_together(void)
{
    struct certname other = name_of("other.pdf");
    struct cache_entry entry;
    static uint64_t size = 1;
    struct cache_change changes[] = {
        {.kind = CACHE_ADMISSION,
         .name = &subject,
         .admission = {.content = bytes_of(content, SIZE),
                       .verdict = &good,
                       .received_at_s = 1,
                       .now_s = 2}},
        {.kind = CACHE_NEWS,
         .name = &other,
         .news = {.size = size++, .modified_s = 2, .validator = "\"v\"", .now_ns = 3}},
    };
    cache_apply(store.cache, changes, 2);
    for (unsigned i = 0; i < 2; i++) {
        int r = cache_find(store.cache, changes[i].name, &entry);
        if (changes[i].result == 0)
            assert_true(r == 0 || r == -ENOTRECOVERABLE);
    }
    return changes[0].result < 0 ? changes[0].result : changes[1].result;
}

static int do_partial(void)
{
    return cache_partial_append(store.cache, &subject, "\"v\"", SIZE, 0,
                                bytes_of(content, SIZE / 2), 5);
}

static int do_revise(void)
{
    return cache_revise(store.cache, &subject, &good);
}

static int do_hold(void)
{
    return cache_hold(store.cache, &subject, true);
}

static int do_reject(void)
{
    return cache_reject(store.cache, &subject, &bad, 9);
}

/* What is said to be erased is. */
static int erase(int (*call)(struct cache *cache, const struct certname *name))
{
    unsigned keyed = store_keyed_slots(&store);
    int r = call(store.cache, &subject);
    if (r == 0)
        assert_int_equal(store_keyed_slots(&store), keyed - 1);
    return r;
}

static int do_purge(void)
{
    return erase(cache_purge);
}

static int do_forget(void)
{
    return erase(cache_forget);
}

static int do_expire(void)
{
    unsigned count;
    return cache_partial_expire(store.cache, 100, &count);
}

static int do_end_of_period(void)
{
    unsigned ended;
    return cache_upkeep(store.cache, 20 * (int64_t)CACHE_PERIOD_S, &ended);
}

static int do_rotate(void)
{
    uint32_t cursor = 0;
    uint64_t counted = 0;
    bool done = false;
    int r = 0;
    while (r == 0 && !done)
        r = cache_rewrap(store.cache, &cursor, &counted, &done);
    return r;
}

static int do_trust(void)
{
    static const uint8_t key[CACHE_TRUST_KEY_SIZE] = {1};
    return cache_trust_put(store.cache, CACHE_LISTS, key, bytes_of(content, SIZE));
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static int do_backup(void)
{
    struct cache_backed_up total;
    int fd = open("full-backup", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const struct cache_backup backup = {
        .fd = fd, .previous_fd = -1, .number = 1, .now_s = 1, .stop = never};
    int r = cache_backup(store.cache, &backup, &total);
    close(fd);
    assert_int_equal(unlink("full-backup"), 0);
    return r;
}

static int do_open(void)
{
    char message[256] = "";
    if (store.cache)
        return 0;
    int r = store_try_open(&store, message);
    assert_true(r == 0 || message[0] != '\0');
    return r;
}

/* --- what they begin with --------------------------------------------------------------------- */

static void nothing(void)
{
}

static void known(void)
{
    assert_true(cache_hold(store.cache, &subject, false) >= 0);
    assert_true(cache_forget(store.cache, &subject) >= 0);
    assert_int_equal(do_upsert(), 0);
}

/* Slots are to be prepared, too. */
static void known_and_opened(void)
{
    known();
    store_reopen(&store);
}

static void stored(void)
{
    known();
    assert_int_equal(do_admit(), 0);
}

static void stored_with_end(void)
{
    known();
    assert_int_equal(do_admit_with_end(), 0);
}

static void over(void)
{
    stored_with_end();
    assert_int_equal(do_forget(), 0);
}

static void begun(void)
{
    known();
    assert_int_equal(do_partial(), 0);
}

static void next_master_key(void)
{
    static uint8_t generation = 1;
    memcpy(store.ring.previous, store.ring.master, AEAD_KEY_SIZE);
    memset(store.ring.master, ++generation, AEAD_KEY_SIZE);
}

static void new_disks(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "slots", "slots.new", "lock"};
    store_close(&store);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlinkat(store.directory_fd, names[i], 0);
        unlinkat(ledger_fd, names[i], 0);
    }
}

static void closed_to_be_rebuilt(void)
{
    stored();
    assert_int_equal(cache_ask_rebuild(store.cache), 0);
    store_close(&store);
}

static void closed_with_keys(void)
{
    stored();
    store_close(&store);
}

/* --- what must hold --------------------------------------------------------------------------- */

static void on_damage(void *context, enum cache_damage what, const struct certname *name)
{
    (void)context;
    fail_msg("damage %d of %s", (int)what, name ? name->text : "-");
}

/* Its old content or its new one, whole, or none; and nothing of the others has changed. */
static void expect_whole(void)
{
    const struct cache_check check = {.damaged = on_damage};
    struct cache_checked checked;
    struct cache_entry entry;
    unsigned ended;
    assert_int_equal(cache_upkeep(store.cache, 0, &ended), 0);
    assert_int_equal(cache_check(store.cache, &check, &checked), 0);
    for (unsigned i = 0; i < kept; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_check(&store, &name, SIZE, 50 + i), 0);
    }
    int r = cache_find(store.cache, &subject, &entry);
    if (r == 0 && entry.state == CACHE_STORED)
        assert_int_equal(store_check(&store, &subject, SIZE, 3), 0);
    else
        assert_true(r == 0 || r == CACHE_MISS);
}

/* LMDB takes no call any more when its meta page could not be written: as the daemon, one begins
 * anew. Nothing less may need that. */
static unsigned begun_anew;
static void go_on(void)
{
    struct cache_statistics statistics;
    if (!store.cache)
        return;
    int r = cache_statistics(store.cache, &statistics);
    if (r == 0)
        return;
    assert_int_equal(r, -ENOTRECOVERABLE);
    begun_anew++;
    store_reopen(&store);
}

/* Afterwards the same call must come to 0, or to `after` if the first one had done its work. */
static void fill_up_at(unsigned point, const char *what, int (*call)(void), int after)
{
    failed = false;
    calls_left = point + 1;
    int r = call();
    calls_left = 0;
    if (r != 0 && r != -ENOSPC && r != -ENOTRECOVERABLE && r != CACHE_PENDING)
        fail_msg("%s, write %u: %d", what, point, r);
    assert_true(r == 0 || failed);
    go_on();
    if (store.cache)
        expect_whole();
    r = call();
    if (r != 0 && r != after)
        fail_msg("%s, write %u, with room again: %d", what, point, r);
    expect_whole();
}

/* Most of very many writes are those of one slot after the other: some of these will do, unless
 * KOSEKIFS_TEST_WRITES is set. */
static void fill_up(const char *what, void (*prepare)(void), int (*call)(void), int after)
{
    enum { EDGE = 12, STEP = 9 };
    bool all = getenv("KOSEKIFS_TEST_WRITES") != NULL;
    unsigned tried = 0;
    prepare();
    calls = 0;
    assert_int_equal(call(), 0);
    unsigned count = calls;
    assert_true(count > 0);
    for (unsigned point = 1; point <= count; point++) {
        if (!all && point > EDGE && point + EDGE < count && point % STEP != 0)
            continue;
        prepare();
        fill_up_at(point, what, call, after);
        tried++;
    }
    print_message("%-22s %u of %u writes and syncs\n", what, tried, count);
}

/* More than are overwritten with one sync. */
static void test_erasures_that_cannot_be_tidied(void **state)
{
    (void)state;
    enum { COUNT = 70 };
    static struct store crowd;
    struct cache_statistics statistics;
    unsigned ended;
    store_new(&crowd);
    store_open(&crowd);
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        assert_int_equal(store_admit(&crowd, &name, 1000, i, NULL), 0);
    }
    unsigned keyed = store_keyed_slots(&crowd);
    tidying_fails = true;
    for (unsigned i = 0; i < COUNT; i++) {
        struct certname name = name_number(i);
        pages_fail = false;
        assert_int_equal(cache_purge(crowd.cache, &name), 0);
        assert_true(pages_fail);
        assert_int_equal(store_keyed_slots(&crowd), keyed - i - 1);
    }
    tidying_fails = pages_fail = false;
    assert_int_equal(cache_upkeep(crowd.cache, 0, &ended), 0);
    assert_int_equal(cache_statistics(crowd.cache, &statistics), 0);
    assert_int_equal(statistics.stored, 0);
    store_remove(&crowd);
}

static void test_every_write(void **state)
{
    (void)state;
    subject = name_of("subject.pdf");
    content_fill(content, SIZE, 3);
    verdict_for(&good, content, SIZE);
    verdict_init(&bad);
    verdict_add(&bad, CHECK_UNDECIDED, "revocation", "", "no data");
    assert_non_null(mkdtemp(ledger_path));
    ledger_fd = open(ledger_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(ledger_fd >= 0);
    store_new(&store);
    store.settings.outbox = true;
    store.settings.partials_max = (uint64_t)1 << 24;
    store.settings.mirror_count = 1;
    store.settings.mirror_fds[0] = ledger_fd;
    fill_up("first start", new_disks, do_open, 0);
    for (; kept < KEPT; kept++) {
        struct certname name = name_number(kept);
        assert_int_equal(store_admit(&store, &name, SIZE, 50 + kept, NULL), 0);
    }
    fill_up("look-up", nothing, do_upsert, 0);
    fill_up("admission", known, do_admit, 0);
    fill_up("first admission", known_and_opened, do_admit, 0);
    fill_up("admission with an end", known_and_opened, do_admit_with_end, 0);
    fill_up("replacement", stored, do_admit, 0);
    fill_up("two together", known, do_together, 0);
    fill_up("beginning of a body", known_and_opened, do_partial, 0);
    fill_up("end of a beginning", begun, do_expire, 0);
    fill_up("another verdict", stored, do_revise, 0);
    fill_up("hold", stored, do_hold, 0);
    fill_up("rejection", stored, do_reject, 0);
    fill_up("purge", stored, do_purge, CACHE_MISS);
    fill_up("forgetting", stored_with_end, do_forget, CACHE_MISS);
    fill_up("end of a period", over, do_end_of_period, 0);
    fill_up("rotation", next_master_key, do_rotate, 0);
    fill_up("revocation list", nothing, do_trust, 0);
    fill_up("backup", stored, do_backup, 0);
    fill_up("start", closed_with_keys, do_open, 0);
    fill_up("rebuild", closed_to_be_rebuilt, do_open, 0);
    print_message("begun anew: %u times\n", begun_anew);
    store_remove(&store);
    assert_int_equal(unlinkat(ledger_fd, "slots", 0), 0);
    close(ledger_fd);
    assert_int_equal(rmdir(ledger_path), 0);
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_write),
        cmocka_unit_test(test_erasures_that_cannot_be_tidied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
