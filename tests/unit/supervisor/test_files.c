/* Key files and certificates: what is opened, and what is refused unread. */
#include "fs/supervisor_files.h"

#include "scratch_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

static const uint8_t key[32] = {1, 2, 3};

static void refuse_key(struct scratch *scratch, const char *path, size_t size, const char *words)
{
    int fd = -7;
    scratch->mistakes[0] = '\0';
    assert_true(supervisor_open_key(path, size, scratch_note, scratch, &fd) < 0);
    assert_int_equal(fd, -7);
    if (!strstr(scratch->mistakes, words))
        fail_msg("\"%s\" lacks \"%s\"", scratch->mistakes, words);
}

static void good_key_is_opened(void **state)
{
    struct scratch *scratch = *state;
    static const mode_t modes[] = {0400, 0600, 0700};
    for (size_t i = 0; i < 3; i++) {
        _cleanup_close_ int fd = -1;
        const char *path = scratch_write(scratch, "key", key, sizeof key, modes[i]);
        assert_int_equal(supervisor_open_key(path, 32, scratch_note, scratch, &fd), 0);
        uint8_t content[64];
        assert_int_equal(read(fd, content, sizeof content), 32);
        assert_memory_equal(content, key, 32);
    }
    assert_string_equal(scratch->mistakes, "");
}

static void key_of_others_is_refused(void **state)
{
    struct scratch *scratch = *state;
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        refuse_key(scratch, scratch_write(scratch, "key", key, sizeof key, modes[i]), 32,
                   "group and others must have no access");
}

static void key_of_other_sizes_is_refused(void **state)
{
    struct scratch *scratch = *state;
    static uint8_t large[SUPERVISOR_KEY_MAX + 1];
    refuse_key(scratch, scratch_write(scratch, "key", key, 31, 0400), 32, "has 31 bytes");
    refuse_key(scratch, scratch_write(scratch, "key", large, 33, 0400), 32, "has 33 bytes");
    refuse_key(scratch, scratch_write(scratch, "key", key, 0, 0400), 32, "is empty");
    refuse_key(scratch, scratch_write(scratch, "key", key, 0, 0400), 0, "is empty");
    refuse_key(scratch, scratch_write(scratch, "key", large, sizeof large, 0400), 0,
               "is larger than 65536");
}

static void other_kinds_of_files_are_refused(void **state)
{
    struct scratch *scratch = *state;
    char target[PATH_MAX];
    snprintf(target, sizeof target, "%s", scratch_write(scratch, "target", key, 32, 0400));
    assert_int_equal(symlink(target, scratch_path(scratch, "link")), 0);
    refuse_key(scratch, scratch_path(scratch, "link"), 32, "link:0: is a symbolic link");
    assert_int_equal(mkfifo(scratch_path(scratch, "pipe"), 0400), 0);
    refuse_key(scratch, scratch_path(scratch, "pipe"), 32, "is not a regular file");
    refuse_key(scratch, scratch->path, 32, "is not a regular file");
    refuse_key(scratch, "/dev/zero", 32, "is not a regular file");
    refuse_key(scratch, scratch_path(scratch, "absent"), 32, "No such file");
}

static int read_it(struct scratch *scratch, const char *path, size_t size_max, bool guarded,
                   struct buffer *content)
{
    scratch->mistakes[0] = '\0';
    return supervisor_read_file(path, size_max, guarded, scratch_note, scratch, content);
}

static void files_are_read_up_to_their_ceiling(void **state)
{
    struct scratch *scratch = *state;
    static uint8_t large[70000];
    _cleanup_buffer_ struct buffer content = {0};
    large[69999] = 9;
    const char *path = scratch_write(scratch, "pem", large, sizeof large, 0644);
    assert_int_equal(read_it(scratch, path, sizeof large, true, &content), 0);
    assert_int_equal(content.size, sizeof large);
    assert_memory_equal(content.data, large, sizeof large);

    _cleanup_buffer_ struct buffer none = {0};
    assert_int_equal(read_it(scratch, path, sizeof large - 1, true, &none), -EFBIG);
    assert_non_null(strstr(scratch->mistakes, "is larger than 69999 bytes"));
    assert_null(none.data);
    assert_true(read_it(scratch, "/dev/zero", 100, false, &none) < 0);
    assert_true(read_it(scratch, scratch->path, 100, false, &none) < 0);
    assert_true(read_it(scratch, scratch_path(scratch, "absent"), 100, false, &none) < 0);
    assert_true(read_it(scratch, scratch_write(scratch, "empty", "", 0, 0644), 9, false, &none) <
                0);
}

static void guarded_files_are_writable_by_their_owner_only(void **state)
{
    struct scratch *scratch = *state;
    static const mode_t modes[] = {0664, 0646, 0666, 0622};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        _cleanup_buffer_ struct buffer content = {0};
        const char *path = scratch_write(scratch, "pem", "x", 1, modes[i]);
        assert_int_equal(read_it(scratch, path, 10, true, &content), -EPERM);
        assert_int_equal(read_it(scratch, path, 10, false, &content), 0);
    }
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_open, scratch_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(good_key_is_opened),
        FILE_TEST(key_of_others_is_refused),
        FILE_TEST(key_of_other_sizes_is_refused),
        FILE_TEST(other_kinds_of_files_are_refused),
        FILE_TEST(files_are_read_up_to_their_ceiling),
        FILE_TEST(guarded_files_are_writable_by_their_owner_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
