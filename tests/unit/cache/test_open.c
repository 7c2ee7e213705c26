/* Which directories and stores are opened, and which are refused with what message. */
#include "store_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct store store;

static int set_up(void **state)
{
    (void)state;
    store_new(&store);
    store_open(&store);
    struct certname name = name_number(1);
    return store_admit(&store, &name, 1000, 1, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    store_remove(&store);
    return 0;
}

static void expect_open(int expected, const char *words)
{
    char message[256] = "";
    int r = store_try_open(&store, message);
    if (r != expected || !strstr(message, words))
        fail_msg("%d \"%s\" instead of %d \"%s\"", r, message, expected, words);
}

static void expect_good(void)
{
    struct certname name = name_number(1);
    store_open(&store);
    assert_int_equal(store_check(&store, &name, 1000, 1), 0);
    store_close(&store);
}

static void test_other_master_key(void **state)
{
    (void)state;
    store_close(&store);
    store.ring.master[31] ^= 1;
    expect_open(-EKEYREJECTED, "master key");
    store.ring.master[31] ^= 1;
    expect_good();
}

static void test_second_opener(void **state)
{
    (void)state;
    char message[256];
    struct cache *second = NULL;
    assert_int_equal(cache_open(&store.settings, message, &second), -EBUSY);
    assert_non_null(strstr(message, "another process"));
    assert_null(second);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(cache_open(&store.settings, message, &second) == -EBUSY ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_close(&store);
    expect_good();
}

static void test_directories(void **state)
{
    (void)state;
    store_close(&store);
    static const mode_t modes[] = {0750, 0701, 0770, 0777, 01777};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(fchmod(store.directory_fd, modes[i]), 0);
        expect_open(-EPERM, "0700");
    }
    assert_int_equal(fchmod(store.directory_fd, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(fchown(store.directory_fd, 12345, 0), 0);
        expect_open(-EPERM, "12345");
        assert_int_equal(fchown(store.directory_fd, 0, 0), 0);
    }
    expect_good();

    char path[] = "/dev/shm/store-test-XXXXXX";
    if (!mkdtemp(path)) {
        print_message("not tested: no tmpfs at /dev/shm\n");
        return;
    }
    int directory_fd = store.settings.directory_fd;
    store.settings.directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect_open(-EMEDIUMTYPE, "ext4 or xfs");
    close(store.settings.directory_fd);
    store.settings.directory_fd = directory_fd;
    assert_int_equal(rmdir(path), 0);
    int file = openat(directory_fd, "slots", O_RDONLY | O_CLOEXEC);
    store.settings.directory_fd = file;
    expect_open(-EPERM, "directory");
    close(file);
    store.settings.directory_fd = directory_fd;
}

static void overwrite(const char *name, off_t at, const void *bytes, size_t size)
{
    int fd = openat(store.directory_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
    close(fd);
}

static void cut(const char *name, off_t size)
{
    int fd = openat(store.directory_fd, name, O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static void test_files(void **state)
{
    (void)state;
    struct store copy;
    uint8_t number[4];
    store_close(&store);
    store_new(&copy);
    store_copy(&store, &copy);

    cut("slots", 4095);
    expect_open(-EBADMSG, "slots");
    assert_int_equal(unlinkat(store.directory_fd, "slots", 0), 0);
    expect_open(-EBADMSG, "slots");
    assert_int_equal(symlinkat("/etc/passwd", store.directory_fd, "slots"), 0);
    expect_open(-ELOOP, "slots");
    assert_int_equal(unlinkat(store.directory_fd, "slots", 0), 0);
    for (off_t at = 0; at < 96; at++) { /* header and its checksum */
        if (at >= 8 && at < 12)
            continue; /* the format */
        store_copy(&copy, &store);
        uint8_t byte;
        int fd = openat(store.directory_fd, "slots", O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        close(fd);
        byte ^= 0x20;
        overwrite("slots", at, &byte, 1);
        expect_open(-EBADMSG, "slots");
    }
    store_copy(&copy, &store);
    be32_put(number, 2);
    overwrite("slots", 8, number, sizeof number);
    expect_open(-EPROTONOSUPPORT, "newer");

    /* Slots without records: keys that somebody separated from what they open. */
    store_copy(&copy, &store);
    assert_int_equal(unlinkat(store.directory_fd, "data.mdb", 0), 0);
    expect_open(-EBADMSG, "data.mdb is empty");
    cut("data.mdb", 0);
    expect_open(-EBADMSG, "data.mdb is empty");

    store_copy(&copy, &store);
    struct stat status;
    assert_int_equal(fstatat(store.directory_fd, "data.mdb", &status, 0), 0);
    cut("data.mdb", status.st_size / 2 / 4096 * 4096);
    expect_open(-EBADMSG, "cut off");
    store_copy(&copy, &store);
    overwrite("data.mdb", 0, (uint8_t[8192]){0}, 8192);
    expect_open(-EBADMSG, "LMDB");
    assert_int_equal(unlinkat(store.directory_fd, "data.mdb", 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", store.directory_fd, "data.mdb"), 0);
    expect_open(-EBADMSG, "data.mdb");
    assert_int_equal(unlinkat(store.directory_fd, "data.mdb", 0), 0);

    store_copy(&copy, &store);
    expect_good();
    store_remove(&copy);
}

static void edit_meta(const char *key, size_t at, uint8_t change, bool delete)
{
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi table;
    uint8_t bytes[512];
    MDB_val name, value;
    char text[32];
    snprintf(text, sizeof text, "%s", key);
    name = (MDB_val){.mv_size = strlen(text), .mv_data = text};
    assert_int_equal(mdb_env_create(&environment), 0);
    assert_int_equal(mdb_env_set_maxdbs(environment, 16), 0);
    assert_int_equal(mdb_env_set_mapsize(environment, (size_t)1 << 30), 0);
    assert_int_equal(mdb_env_open(environment, store.path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_dbi_open(transaction, "meta", 0, &table), 0);
    assert_int_equal(mdb_get(transaction, table, &name, &value), 0);
    assert_true(value.mv_size <= sizeof bytes && at < value.mv_size);
    memcpy(bytes, value.mv_data, value.mv_size);
    bytes[at] ^= change;
    value.mv_data = bytes;
    if (delete)
        assert_int_equal(mdb_del(transaction, table, &name, NULL), 0);
    else
        assert_int_equal(mdb_put(transaction, table, &name, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
}

static void test_format_row(void **state)
{
    (void)state;
    store_close(&store);
    edit_meta("format", 11, 7, false); /* 3 ^ 7 = format 4 */
    expect_open(-EPROTONOSUPPORT, "newer");
    edit_meta("format", 11, 7, false);
    for (size_t at = 0; at < 124; at++) {
        if (at >= 8 && at < 12)
            continue;
        edit_meta("format", at, 0x80, false);
        expect_open(-EBADMSG, "format row");
        edit_meta("format", at, 0x80, false);
    }
    expect_good();
    edit_meta("format", 0, 0, true);
    expect_open(-EBADMSG, "format row is missing");
}

/* Created and crashed before the first commit: opened as new. */
static void test_interrupted_creation(void **state)
{
    (void)state;
    store_close(&store);
    static const char *const names[] = {"data.mdb", "lock.mdb", "slots", "lock"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(unlinkat(store.directory_fd, names[i], 0), 0);
    store.ring.fail_with = -EHOSTDOWN; /* as far as the first key */
    expect_open(-EHOSTDOWN, "no key");
    overwrite("slots", 0, (uint8_t[4096]){1, 2, 3}, 4096);
    overwrite("slots.new", 0, "half", 4);
    store.ring.fail_with = 0;
    struct certname name = name_number(1);
    store_open(&store);
    assert_int_equal(store_check(&store, &name, 1000, 1), CACHE_MISS);
    assert_int_equal(store_admit(&store, &name, 1000, 1, NULL), 0);
    store_close(&store);
    expect_good();
}

static void test_map_size_may_change(void **state)
{
    (void)state;
    store_close(&store);
    store.settings.map_size = (uint64_t)1 << 40;
    expect_good();
    store.settings.map_size = 16 << 20;
    expect_good();
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_other_master_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_opener, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_format_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_interrupted_creation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_map_size_may_change, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
