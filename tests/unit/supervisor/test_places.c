/* Control socket, state directory and mount point: what is taken, what is left alone. */
#include "fs/mountpoint.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_socket.h"
#include "fs/supervisor_state.h"
#include "scratch_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (const struct sockaddr *)&address, sizeof address);
}

static void socket_is_made_and_removed(void **state)
{
    struct scratch *scratch = *state;
    struct control_socket made = {.fd = -1};
    struct stat status;
    const char *path = scratch_path(scratch, "run/c.sock");
    assert_int_equal(control_socket_open(path, getegid(), &made), 0);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_int_equal(connect_to(path), 0);
    control_socket_remove(&made);
    assert_int_equal(lstat(path, &status), -1);
    control_socket_remove(&made);
}

static void answering_socket_is_left_alone(void **state)
{
    struct scratch *scratch = *state;
    struct control_socket first = {.fd = -1}, second = {.fd = -1};
    const char *path = scratch_path(scratch, "run/c.sock");
    assert_int_equal(control_socket_open(path, getegid(), &first), 0);
    assert_int_equal(control_socket_open(path, getegid(), &second), EXIT_CANTCREATE);
    assert_int_equal(second.fd, -1);
    assert_int_equal(connect_to(path), 0);
    control_socket_remove(&first);
}

static void stale_socket_is_replaced(void **state)
{
    struct scratch *scratch = *state;
    struct control_socket first = {.fd = -1}, second = {.fd = -1};
    const char *path = scratch_path(scratch, "run/c.sock");
    assert_int_equal(control_socket_open(path, getegid(), &first), 0);
    close(first.fd); /* as after a kill */
    assert_int_equal(control_socket_open(path, getegid(), &second), 0);
    assert_int_equal(connect_to(path), 0);
    control_socket_remove(&second);
}

static void other_files_are_left_alone(void **state)
{
    struct scratch *scratch = *state;
    struct control_socket made = {.fd = -1};
    struct stat status;
    const char *path = scratch_write(scratch, "file", "x", 1, 0600);
    assert_int_equal(control_socket_open(path, getegid(), &made), EXIT_CANTCREATE);
    assert_int_equal(lstat(path, &status), 0);
    path = scratch_path(scratch, "link");
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(control_socket_open(path, getegid(), &made), EXIT_CANTCREATE);
    assert_int_equal(lstat(path, &status), 0);
    path = scratch_path(scratch, "a/b/c.sock");
    assert_int_equal(control_socket_open(path, getegid(), &made), EXIT_CANTCREATE);
}

static void log_service_that_is_not_there(void **state)
{
    struct scratch *scratch = *state;
    int fd = -7;
    char path[200];
    assert_int_equal(log_socket_connect(scratch_path(scratch, "log"), &fd), -ENOENT);
    memset(path, 'x', sizeof path);
    path[199] = '\0';
    assert_int_equal(log_socket_connect(path, &fd), -ENAMETOOLONG);
    assert_int_equal(fd, -7);
}

static void state_directory_is_made_and_locked(void **state)
{
    struct scratch *scratch = *state;
    const struct child_identity self = {.uid = geteuid(), .gid = getegid()};
    const char *path = scratch_path(scratch, "state");
    struct stat status;
    _cleanup_close_ int first = -1;
    int second = -7;
    assert_int_equal(supervisor_state_open(path, &self, &first), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(supervisor_state_open(path, &self, &second), EXIT_CANTCREATE);
    assert_int_equal(second, -7);
    cleanup_close(&first);
    first = -1;
    assert_int_equal(supervisor_state_open(path, &self, &first), 0);
}

static void state_directory_of_others_is_refused(void **state)
{
    struct scratch *scratch = *state;
    const struct child_identity self = {.uid = geteuid(), .gid = getegid()};
    const struct child_identity other = {.uid = geteuid() + 1, .gid = getegid()};
    static const mode_t modes[] = {0750, 0705, 0710, 0777, 0770};
    int fd = -7;
    const char *path = scratch_path(scratch, "state");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(supervisor_state_open(path, &other, &fd), EXIT_CANTCREATE);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(supervisor_state_open(path, &self, &fd), EXIT_CANTCREATE);
    }
    path = scratch_write(scratch, "file", "x", 1, 0700);
    assert_int_equal(supervisor_state_open(path, &self, &fd), EXIT_CANTCREATE);
    assert_int_equal(fd, -7);
}

static void mount_points(void **state)
{
    struct scratch *scratch = *state;
    struct mountpoint mountpoint = {.fd = -7};
    const char *path = scratch_path(scratch, "mnt");
    assert_int_equal(mountpoint_open(path, &mountpoint), -ENOENT);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mountpoint_open(scratch->path, &mountpoint), -ENOTEMPTY);
    assert_int_equal(mountpoint_open("/proc", &mountpoint), -EBUSY);
    assert_int_equal(mountpoint_open("/dev/null", &mountpoint), -ENOTDIR);
    assert_int_equal(mountpoint_open("", &mountpoint), -ENOENT);
    assert_int_equal(mountpoint.fd, -7);
    assert_int_equal(mountpoint_open(path, &mountpoint), 0);
    assert_false(mountpoint_is_mounted(&mountpoint));
    mountpoint_unmount(&mountpoint);
    mountpoint_close(&mountpoint);

    char target[PATH_MAX];
    snprintf(target, sizeof target, "%s", path);
    path = scratch_path(scratch, "link");
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(mountpoint_open(path, &mountpoint), 0);
    assert_non_null(strstr(mountpoint.path, "/mnt"));
    mountpoint_close(&mountpoint);
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_open, scratch_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(socket_is_made_and_removed),
        PLACE_TEST(answering_socket_is_left_alone),
        PLACE_TEST(stale_socket_is_replaced),
        PLACE_TEST(other_files_are_left_alone),
        PLACE_TEST(log_service_that_is_not_there),
        PLACE_TEST(state_directory_is_made_and_locked),
        PLACE_TEST(state_directory_of_others_is_refused),
        PLACE_TEST(mount_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
