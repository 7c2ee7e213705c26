/* Tables become rules: what Landlock of each version and a list of system calls let through. Each
 * case is a process of its own, since what it gives up is gone. */
#include "base/confine.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

/* The status of waitpid(2) of a process that does this. */
static int run(void (*act)(int), int argument)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        act(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void must(bool holds, int line)
{
    if (!holds)
        _exit(line % 251 + 1);
}
#define MUST(holds) must((holds), __LINE__)

static bool refuses(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd < 0 && errno == EACCES;
}

static const struct landlock_path etc[] = {
    {"/etc", .rights = LANDLOCK_READ},
    {"/nowhere/at/all", .rights = LANDLOCK_READ},
    {"/dev/null", .rights = LANDLOCK_KEEP}, /* no directory: it takes the rights of a file */
};

static void act_files(int abi)
{
    MUST(syscall(SYS_prctl, 38 /* PR_SET_NO_NEW_PRIVS */, 1, 0, 0, 0) == 0);
    MUST(landlock_restrict(abi, etc, 3, NULL, 0) == 0);
    MUST(!refuses("/etc/passwd", O_RDONLY) && !refuses("/etc", O_RDONLY | O_DIRECTORY));
    MUST(!refuses("/dev/null", O_RDWR));
    MUST(refuses("/usr", O_RDONLY | O_DIRECTORY) && refuses("/etc/passwd", O_RDWR));
    MUST(refuses("/etc/kosekifs-test", O_WRONLY | O_CREAT));
}

static void test_files_by_each_version(void **state)
{
    (void)state;
    int newest = landlock_abi(1000);
    if (newest == 0)
        skip();
    for (int abi = 1; abi <= newest; abi++)
        assert_int_equal(run(act_files, abi), 0);
}

static void test_versions(void **state)
{
    struct confine_report report;
    (void)state;
    assert_int_equal(landlock_abi(0), 0);
    assert_true(landlock_abi(2) <= 2);
    assert_string_equal(landlock_missing(LANDLOCK_ABI_FULL), "");
    assert_string_equal(landlock_missing(LANDLOCK_ABI_FULL + 1), "");
    assert_string_equal(landlock_missing(4), "device ioctl, signals");
    assert_non_null(strstr(landlock_missing(0), "files"));
    confine_foresee_program(0, &report);
    assert_int_equal(report.level, CONFINE_REDUCED);
    assert_true(confine_report_valid(&report));
    report.level = CONFINE_LEVEL_COUNT;
    assert_false(confine_report_valid(&report));
}

static const struct syscall_rule syscalls[] = {
    {"newfstatat", {SYSCALL_LACKS(3, SYSCALL_EMPTY_PATH)}, EACCES},
    {"socket", {SYSCALL_IS(0, AF_UNIX)}},
    {"socket", {SYSCALL_IS(0, AF_NETLINK)}, EAFNOSUPPORT},
    {"uname", .error = ENOSYS},
    {NULL},
};
static const struct confine_limit limits[] = {{RLIMIT_NOFILE, 16}};
static const struct confine table = {.limits = limits, .limit_count = 1, .syscalls = syscalls};

static void lock_in(void)
{
    const struct confine_report level = {.level = CONFINE_REDUCED};
    const char *step;
    MUST(confine(&table, &level, &step) == 0);
}

enum { LAWFUL, FORBIDDEN_CALL, FORBIDDEN_FAMILY, EXECUTABLE, OTHERS_SIGNAL };

static void act_calls(int what)
{
    char name[512];
    lock_in();
    switch (what) {
    case LAWFUL:
        MUST(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) >= 0);
        MUST(syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT);
        MUST(syscall(SYS_uname, name) < 0 && errno == ENOSYS);
        MUST(syscall(SYS_newfstatat, AT_FDCWD, "/etc", name, 0) < 0 && errno == EACCES);
        MUST(syscall(SYS_newfstatat, 0, "", name, AT_EMPTY_PATH) == 0);
        MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
             MAP_FAILED);
        break;
    case FORBIDDEN_CALL:
        (void)!open("/etc/passwd", O_RDONLY);
        break;
    case FORBIDDEN_FAMILY:
        (void)!socket(AF_INET, SOCK_STREAM, 0);
        break;
    case EXECUTABLE:
        (void)!mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        break;
    default:
        (void)!syscall(SYS_tgkill, getppid(), getppid(), 0);
        break;
    }
    syscall(SYS_exit_group, 0);
}

static void test_system_calls(void **state)
{
    (void)state;
    assert_int_equal(run(act_calls, LAWFUL), 0);
    for (int what = FORBIDDEN_CALL; what <= OTHERS_SIGNAL; what++) {
        int status = run(act_calls, what);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

/* More descriptors than the limit to come, as between fork and exec. */
static void act_many_descriptors(int abi)
{
    const struct confine narrow = {
        .paths = etc, .path_count = 3, .limits = limits, .limit_count = 1, .syscalls = syscalls};
    const struct confine_report level = {.level = CONFINE_REDUCED, .landlock_abi = (uint32_t)abi};
    const char *step;
    for (int i = 0; i < 40; i++)
        MUST(dup(0) >= 0);
    MUST(confine(&narrow, &level, &step) == 0);
    syscall(SYS_exit_group, 0);
}

static void test_many_descriptors(void **state)
{
    (void)state;
    assert_int_equal(run(act_many_descriptors, landlock_abi(1000)), 0);
}

static void act_wrong_name(int argument)
{
    const struct syscall_rule wrong[] = {{"no_such_call"}, {NULL}};
    const struct syscall_rule *const lists[] = {wrong};
    (void)argument;
    MUST(syscall_filter_apply(lists, 1) == -ENOENT);
}

static void test_wrong_name(void **state)
{
    (void)state;
    assert_int_equal(run(act_wrong_name, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),     cmocka_unit_test(test_files_by_each_version),
        cmocka_unit_test(test_system_calls), cmocka_unit_test(test_many_descriptors),
        cmocka_unit_test(test_wrong_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
