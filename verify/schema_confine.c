/*
 * uid          its own, [users] schema
 * capabilities none
 * files        Python and its modules, for reading; the program itself
 * network      none: an empty network namespace besides
 * processes    none; it may execute what it may read, once, and nothing more by that
 */
#include "verify/schema_confine.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { DESCRIPTORS_MAX = 32, FILE_SIZE_MAX = 0, READABLE = LANDLOCK_READ | LANDLOCK_EXECUTE };

static const struct landlock_path paths[] = {
    {"/usr", .rights = READABLE},
    {"/lib", .rights = READABLE},
    {"/lib64", .rights = READABLE},
    {"/etc/ld.so.cache", .rights = READABLE},
    {.fd = SCHEMA_PROGRAM_FD, .rights = READABLE},
};

static const struct confine_limit limits[] = {
    {RLIMIT_FSIZE, FILE_SIZE_MAX},
    {RLIMIT_NOFILE, DESCRIPTORS_MAX},
};

static const struct syscall_rule syscalls[] = {
    /* Becoming Python. */
    {"execve"},
    {"arch_prctl"},
    {"set_tid_address"},
    {"set_robust_list"},
    {"rseq"},
    {"prlimit64"}, /* the address space, last; no limit can be raised */
    {"mmap"},      /* libraries are executable */
    {"mprotect"},
    /* Its modules. */
    {"openat", {SYSCALL_LACKS(2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)}},
    {"newfstatat", {SYSCALL_LACKS(3, SYSCALL_EMPTY_PATH)}},
    {"access"},
    {"readlink"},
    {"getcwd"},
    {"getdents64"},
    {"lseek"},
    {"pread64"},
    {"ioctl", {SYSCALL_IS(1, TCGETS)}},
    {"ioctl", {SYSCALL_IS(1, FIOCLEX)}},
    {"dup"},
    {"fcntl", {SYSCALL_IS(1, F_DUPFD_CLOEXEC)}},
    /* What the interpreter asks of itself. */
    {"getuid"},
    {"geteuid"},
    {"getgid"},
    {"getegid"},
    {"sysinfo"},
    {"sched_getaffinity"},
    {"sigaltstack"},
    {"getrusage"},
    {"epoll_create1"},
    {"socket", {SYSCALL_IS(0, AF_UNIX)}, EAFNOSUPPORT}, /* nscd, for its user's home */
    /* Its connection. */
    {"sendto"},
    {"recvfrom"},
    {"getsockname"},
    {"getsockopt"},
    {NULL},
};

void schema_confine_network(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        (void)unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

int schema_confine(uint64_t memory_max, const struct confine_report *level)
{
    static const struct confine table = {
        .paths = paths,
        .path_count = sizeof paths / sizeof paths[0],
        .limits = limits,
        .limit_count = sizeof limits / sizeof limits[0],
        .syscalls = syscalls,
    };
    const struct rlimit memory = {memory_max, memory_max};
    const char *step;
    int r = confine(&table, level, &step);
    /* Last: whoever calls may have more already, and then gets no page more before it executes. */
    if (r == 0 && setrlimit(RLIMIT_AS, &memory) < 0)
        r = -errno;
    return r;
}
