/*
 * kill -9, and a power cut of the store's disk, at random moments while certificates come, go, the
 * master key changes, backups are written and a replica follows. Then the store is whole, and so is
 * what the replica and the last backup give: nothing acknowledged is missing, nothing erased is
 * back. KOSEKIFS_TEST_COPY_KILLS and KOSEKIFS_TEST_COPY_CUTS set how often.
 */
#include "store_fixture.h"

#include "base/clock.h"
#include "cache/replica.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { NAMES = 5, KILLS_DEFAULT = 16, CUTS_DEFAULT = 6, STORES_EVERY = 4 };

enum operation { OP_ADMIT, OP_PURGE, OP_FORGET, OP_ROTATE, OP_BACKUP };

struct report {
    uint32_t operation, name, size, seed, done;
};

struct expected {
    bool stored;
    bool backed_up; /* in the last backup, as it is */
    uint32_t size, seed;
};

struct site {
    struct store store;
    char ledger[64], replica[64], backups[64];
    int ledger_fd, replica_fd, backups_fd, home_fd;
    uint8_t generation; /* of the master key */
    uint32_t backup;    /* number of the last acknowledged one; 0 = none */
    struct expected names[NAMES];
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static int make_directory(int home_fd, char *path, const char *name)
{
    snprintf(path, 64, "%s", name);
    assert_true(mkdirat(home_fd, path, 0700) == 0 || errno == EEXIST);
    int fd = openat(home_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void set_keys(struct site *site, struct store *store)
{
    memset(store->ring.master, 0x50 + site->generation, AEAD_KEY_SIZE);
    memset(store->ring.previous, 0x50 + site->generation - 1, AEAD_KEY_SIZE);
}

/* --- the child -------------------------------------------------------------------------------- */

static bool never(void *context)
{
    (void)context;
    return false;
}

static void backup_name(uint32_t number, char name[32])
{
    snprintf(name, 32, "%u", number);
}

static int make_backup(struct site *site, uint32_t number)
{
    char name[32];
    struct cache_backed_up done;
    backup_name(number, name);
    int fd = openat(site->backups_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int previous_fd = -1;
    if (site->backup > 0) {
        backup_name(site->backup, name);
        previous_fd = openat(site->backups_fd, name, O_RDONLY | O_CLOEXEC);
    }
    const struct cache_backup backup = {
        .fd = fd, .previous_fd = previous_fd, .number = number, .now_s = 1, .stop = never};
    int r = cache_backup(site->store.cache, &backup, &done);
    close(fd);
    if (previous_fd >= 0)
        close(previous_fd);
    return r == 0 && done.damaged > 0 ? -EIO : r;
}

static int rotate(struct store *store)
{
    uint32_t cursor = 0;
    uint64_t counted = 0;
    bool done = false;
    int r = 0;
    while (r == 0 && !done)
        r = cache_rewrap(store->cache, &cursor, &counted, &done);
    return r;
}

static int run_operation(struct site *site, const struct report *report)
{
    struct certname name = name_number(report->name);
    struct store *store = &site->store;
    int r = 0;
    switch ((enum operation)report->operation) {
    case OP_ADMIT:
        store->keep_until_s = report->seed % 2 ? CACHE_PERIOD_S : 0;
        r = store_admit(store, &name, report->size, report->seed, NULL);
        break;
    case OP_PURGE:
        r = cache_purge(store->cache, &name);
        break;
    case OP_FORGET:
        r = cache_forget(store->cache, &name);
        break;
    case OP_ROTATE:
        site->generation++;
        set_keys(site, store);
        r = rotate(store);
        break;
    case OP_BACKUP:
        r = make_backup(site, report->seed);
        if (r == 0)
            site->backup = report->seed;
        break;
    }
    return r == CACHE_PENDING ? -EIO : r < 0 ? r : 0;
}

static int follow_replica(struct site *site, struct cache_replica *replica, bool all)
{
    struct cache_outbox_done done;
    bool more = true;
    int r = 0;
    for (unsigned i = 0; r == 0 && more && (all || i < 2); i++) {
        r = cache_replica_step(replica, &done, &more);
        if (r == 0 && done.count > 0)
            r = cache_outbox_clear(site->store.cache, &done);
    }
    return r;
}

static void choose(struct site *site, uint32_t *random_state, struct report *report)
{
    uint32_t choice = next_random(random_state) % 20;
    *report = (struct report){.name = next_random(random_state) % NAMES,
                              .size = next_random(random_state) % 200000,
                              .seed = next_random(random_state)};
    report->operation = choice < 10   ? OP_ADMIT
                        : choice < 14 ? OP_PURGE
                        : choice < 17 ? OP_FORGET
                        : choice < 18 ? OP_ROTATE
                                      : OP_BACKUP;
    if (report->operation == OP_ROTATE && site->generation > 150)
        report->operation = OP_PURGE;
    if (report->operation == OP_BACKUP)
        report->seed = site->backup + 1;
}

static void run_until_killed(struct site *site, int out, uint32_t random_state)
{
    char message[256];
    struct cache_replica *replica;
    if (store_try_open(&site->store, message) != 0 || rotate(&site->store) != 0 ||
        cache_replica_open(site->store.cache, site->replica_fd, message, &replica) != 0)
        _exit(2);
    for (;;) {
        struct report report;
        choose(site, &random_state, &report);
        if (write(out, &report, sizeof report) != sizeof report)
            _exit(4);
        if (run_operation(site, &report) < 0)
            _exit(3);
        report.done = 1;
        if (write(out, &report, sizeof report) != sizeof report)
            _exit(4);
        if (follow_replica(site, replica, false) < 0)
            _exit(3);
    }
}

/* --- the parent ------------------------------------------------------------------------------- */

static void take_report(struct site *site, const struct report *report)
{
    struct expected *name = &site->names[report->name];
    if (report->operation == OP_ADMIT) {
        *name = (struct expected){true, false, report->size, report->seed};
    } else if (report->operation == OP_PURGE || report->operation == OP_FORGET) {
        *name = (struct expected){0};
    } else if (report->operation == OP_ROTATE) {
        site->generation++;
    } else {
        site->backup = report->seed;
        for (unsigned i = 0; i < NAMES; i++)
            site->names[i].backed_up = site->names[i].stored;
    }
}

static bool is_as_expected(struct store *store, unsigned number, const struct expected *expected)
{
    struct certname name = name_number(number);
    struct cache_entry entry;
    bool stored = cache_find(store->cache, &name, &entry) == 0 && entry.state == CACHE_STORED;
    if (!expected->stored || !stored)
        return stored == expected->stored;
    if (entry.size != expected->size)
        return false;
    uint8_t *content = malloc(expected->size + 1);
    uint8_t digest[SHA256_SIZE];
    content_fill(content, expected->size, expected->seed);
    assert_int_equal(sha256(content, expected->size, digest), 0);
    free(content);
    return memcmp(digest, entry.sha256, sizeof digest) == 0 &&
           store_check(store, &name, expected->size, expected->seed) == 0;
}

static void on_damage(void *context, enum cache_damage what, const struct certname *name)
{
    print_message("  damage %d of %s\n", (int)what, name ? name->text : "-");
    (void)context;
}

static void expect_clean(struct store *store)
{
    const struct cache_check check = {.damaged = on_damage};
    struct cache_checked checked;
    assert_int_equal(cache_check(store->cache, &check, &checked), 0);
    assert_int_equal(checked.damages, 0);
}

/* What was interrupted may have happened or not; `last` is it. */
static void check_store(struct site *site, const struct report *last)
{
    store_open(&site->store);
    if (last->done == 0 && (last->operation == OP_ADMIT || last->operation == OP_PURGE ||
                            last->operation == OP_FORGET)) {
        struct expected before = site->names[last->name];
        if (!is_as_expected(&site->store, last->name, &before)) {
            struct report happened = *last;
            take_report(site, &happened);
        }
    }
    for (unsigned i = 0; i < NAMES; i++)
        if (!is_as_expected(&site->store, i, &site->names[i]))
            fail_msg("name %u is in neither state", i);
    expect_clean(&site->store);
    assert_int_equal(rotate(&site->store), 0);
    store_close(&site->store);
}

static int open_backup(void *context, uint32_t number)
{
    struct site *site = context;
    char name[32];
    backup_name(number, name);
    int fd = openat(site->backups_fd, name, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* A store of its own out of the copies, opened with the same keys. */
static void open_other(struct site *site, struct store *other, const char *path, int directory_fd)
{
    memset(other, 0, sizeof *other);
    snprintf(other->path, sizeof other->path, "%s", path);
    other->directory_fd = directory_fd;
    other->settings = site->store.settings;
    other->settings.directory_fd = directory_fd;
    other->settings.mirror_count = 0;
    set_keys(site, other);
    store_open(other);
}

static void check_backup(struct site *site)
{
    static struct store restored;
    char message[256], path[64];
    uint64_t certificates;
    if (site->backup == 0)
        return;
    int fd = make_directory(site->home_fd, path, "restored");
    const struct cache_restore restore = {.directory_fd = fd,
                                          .ledger_fd = site->ledger_fd,
                                          .newest = site->backup,
                                          .context = site,
                                          .open_backup = open_backup};
    int r = cache_restore(&restore, message, &certificates);
    if (r != 0)
        fail_msg("restore: %d: %s", r, message);
    open_other(site, &restored, path, fd);
    for (unsigned i = 0; i < NAMES; i++) {
        const struct expected *expected = &site->names[i];
        const struct expected gone = {0};
        /* In the backup and unchanged since: there. All else: gone, with its key. */
        if (!is_as_expected(&restored, i, expected->backed_up ? expected : &gone))
            fail_msg("name %u is not what the backup of it was", i);
    }
    expect_clean(&restored);
    store_close(&restored);
    for (unsigned i = 0; i < 4; i++) {
        static const char *const names[] = {"data.mdb", "lock.mdb", "slots", "lock"};
        unlinkat(fd, names[i], 0);
    }
    close(fd);
}

/* The replica takes the store's place, after it got the rest. Nothing else is done to it, so that
 * it can follow on: it is copied first. */
static void check_replica(struct site *site)
{
    static struct store copy;
    static struct store standin;
    struct cache_replica *replica;
    char message[256], path[64];
    store_open(&site->store);
    assert_int_equal(cache_replica_open(site->store.cache, site->replica_fd, message, &replica), 0);
    assert_int_equal(follow_replica(site, replica, true), 0);
    cache_replica_close(replica);
    store_close(&site->store);
    int fd = make_directory(site->home_fd, path, "switched");
    standin.directory_fd = site->replica_fd;
    copy.directory_fd = fd;
    store_copy(&standin, &copy);
    open_other(site, &copy, path, fd);
    for (unsigned i = 0; i < NAMES; i++)
        if (!is_as_expected(&copy, i, &site->names[i]))
            fail_msg("name %u is another one in the replica", i);
    expect_clean(&copy);
    store_close(&copy);
    for (unsigned i = 0; i < 4; i++) {
        static const char *const names[] = {"data.mdb", "lock.mdb", "slots", "lock"};
        unlinkat(fd, names[i], 0);
    }
    close(fd);
}

static void strike(struct site *site, bool cut, uint32_t child_state, uint32_t wait_ms,
                   struct report *last, unsigned *done)
{
    int pipe_fds[2], status;
    bool struck = false;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipe_fds[0]);
        run_until_killed(site, pipe_fds[1], child_state);
    }
    close(pipe_fds[1]);
    int64_t end_ms = clock_monotonic_ms() + wait_ms;
    for (;;) {
        struct pollfd ready = {.fd = pipe_fds[0], .events = POLLIN};
        struct report report;
        int64_t left_ms = end_ms - clock_monotonic_ms();
        if (!struck && left_ms <= 0) {
            if (cut)
                small_disk_cut();
            else
                kill(child, SIGKILL);
            struck = true;
        }
        if (poll(&ready, 1, struck ? -1 : (int)left_ms) <= 0)
            continue;
        if (read(pipe_fds[0], &report, sizeof report) != sizeof report)
            break;
        *last = report;
        if (report.done) {
            take_report(site, &report);
            (*done)++;
        } else if (report.operation == OP_ROTATE) {
            last->done = 0;
        }
    }
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (cut)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 3);
    else
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* A rotation that was begun goes on under the new key. */
    if (last->operation == OP_ROTATE && !last->done)
        site->generation++;
    set_keys(site, &site->store);
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text ? (unsigned)atoi(text) : otherwise;
}

static void open_site(struct site *site, int home_fd)
{
    site->home_fd = home_fd;
    site->ledger_fd = make_directory(home_fd, site->ledger, "ledger");
    site->replica_fd = make_directory(home_fd, site->replica, "replica");
    site->backups_fd = make_directory(home_fd, site->backups, "backups");
    store_new(&site->store);
    site->generation = 1;
    set_keys(site, &site->store);
    site->store.settings.outbox = true;
    site->store.settings.mirror_count = 2;
    site->store.settings.mirror_fds[0] = site->ledger_fd;
    site->store.settings.mirror_fds[1] = site->replica_fd;
}

static void strike_often(struct site *site, bool cut, unsigned count)
{
    uint32_t random_state = (uint32_t)clock_realtime_ns();
    unsigned done = 0;
    print_message("seed %u\n", random_state);
    for (unsigned i = 1; i <= count; i++) {
        struct report last = {.done = 1};
        uint32_t child_state = next_random(&random_state);
        strike(site, cut, child_state, 20 + next_random(&random_state) % 200, &last, &done);
        if (cut) {
            close(site->store.directory_fd);
            small_disk_reboot();
            site->store.directory_fd = open(site->store.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            assert_true(site->store.directory_fd >= 0);
            site->store.settings.directory_fd = site->store.directory_fd;
        }
        check_store(site, &last);
        if (i % STORES_EVERY == 0) {
            check_backup(site);
            check_replica(site);
        }
    }
    print_message("%u times, %u operations acknowledged, backup %u, master key %u\n", count, done,
                  site->backup, site->generation);
}

static void remove_site(const char *where)
{
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", where);
    assert_int_equal(system(command), 0);
}

static void test_kills(void **state)
{
    (void)state;
    static struct site site;
    assert_true(mkdir("crash-copies", 0700) == 0 && chdir("crash-copies") == 0);
    open_site(&site, open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    strike_often(&site, false, from_environment("KOSEKIFS_TEST_COPY_KILLS", KILLS_DEFAULT));
    assert_int_equal(chdir(".."), 0);
    remove_site("crash-copies");
}

/* The store's disk fails, the others do not. */
static void test_power_cuts(void **state)
{
    (void)state;
    static struct site site;
    assert_int_equal(mkdir("cut-copies", 0700), 0);
    int home_fd = open("cut-copies", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!small_disk_enter()) {
        remove_site("cut-copies");
        skip();
    }
    open_site(&site, home_fd);
    int directory_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fsync(directory_fd), 0);
    close(directory_fd);
    strike_often(&site, true, from_environment("KOSEKIFS_TEST_COPY_CUTS", CUTS_DEFAULT));
    store_remove(&site.store);
    small_disk_leave();
    remove_site("cut-copies");
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kills),
        cmocka_unit_test(test_power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
