/* See base/confine.h. */
#include "base/confine.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#if defined __SANITIZE_ADDRESS__
#define SANITIZED true
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* What the C library does in every process: memory, locks, time, the descriptors it holds. */
static const struct syscall_rule everywhere[] = {
    {"brk"},
    {"mmap", {SYSCALL_LACKS(2, PROT_EXEC)}},
    {"mprotect", {SYSCALL_LACKS(2, PROT_EXEC)}},
    {"mremap"},
    {"munmap"},
    {"madvise"},
    {"futex"},
    {"sched_yield"},
    {"getrandom"},
    {"clock_gettime"}, /* where the vDSO cannot */
    {"clock_nanosleep"},
    {"gettimeofday"},
    {"time"},
    {"restart_syscall"},
    {"rt_sigaction"},
    {"rt_sigprocmask"},
    {"rt_sigreturn"},
    {"getpid"}, /* OpenSSL looks whether it was forked */
    {"gettid"},
    {"exit"},
    {"exit_group"},
    {"poll"},
    {"ppoll"},
    {"recvmsg"}, /* base/ipc.h */
    {"sendmsg"},
    {"read"},
    {"write"},
    {"writev"}, /* the C library's last words */
    {"close"},
    {"fstat"},
    {"newfstatat", {SYSCALL_HAS(3, SYSCALL_EMPTY_PATH)}}, /* fstat(3) */
    {"fcntl", {SYSCALL_IS(1, F_GETFD)}},
    {"fcntl", {SYSCALL_IS(1, F_SETFD)}},
    {"fcntl", {SYSCALL_IS(1, F_GETFL)}},
    {"fcntl", {SYSCALL_IS(1, F_SETFL)}},
    {"fcntl", {SYSCALL_IS(1, F_GET_SEALS)}},
    {NULL},
};

const char *confine_level_text(uint32_t level)
{
    static const char *const texts[CONFINE_LEVEL_COUNT] = {"none", "sanitizer", "reduced", "full"};
    return level < CONFINE_LEVEL_COUNT ? texts[level] : "?";
}

bool confine_report_valid(const struct confine_report *report)
{
    return report->level < CONFINE_LEVEL_COUNT && report->landlock_abi <= 1000;
}

void confine_foresee_program(int64_t abi_max, struct confine_report *ret_report)
{
    int abi = landlock_abi(abi_max);
    *ret_report = (struct confine_report){
        .level = abi >= LANDLOCK_ABI_FULL ? CONFINE_FULL : CONFINE_REDUCED,
        .landlock_abi = (uint32_t)abi,
    };
}

void confine_foresee(int64_t abi_max, struct confine_report *ret_report)
{
    if (SANITIZED)
        *ret_report = (struct confine_report){.level = CONFINE_SANITIZER};
    else
        confine_foresee_program(abi_max, ret_report);
}

static int limit(int resource, rlim_t most)
{
    struct rlimit rlimit;
    if (getrlimit((__rlimit_resource_t)resource, &rlimit) < 0)
        return -errno;
    if (rlimit.rlim_max < most)
        most = rlimit.rlim_max;
    rlimit = (struct rlimit){most, most};
    return setrlimit((__rlimit_resource_t)resource, &rlimit) < 0 ? -errno : 0;
}

/* abort(3) signals its own thread; nobody else's. */
static int filter(const struct confine *table)
{
    const struct syscall_rule itself[] = {{"tgkill", {SYSCALL_IS(0, (uint32_t)getpid())}}, {NULL}};
    const struct syscall_rule *const lists[] = {everywhere, itself, table->syscalls};
    return syscall_filter_apply(lists, sizeof lists / sizeof lists[0]);
}

static int forbid(void)
{
    tzset(); /* the first conversion of a time would look for files */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    return limit(RLIMIT_CORE, 0);
}

/* After Landlock, whose rules take descriptors: between fork and exec there may be many. */
static int set_limits(const struct confine *table)
{
    int r = 0;
    for (size_t i = 0; i < table->limit_count && r == 0; i++)
        if (!SANITIZED || table->limits[i].resource != RLIMIT_AS) /* they reserve terabytes */
            r = limit(table->limits[i].resource, table->limits[i].most);
    return r;
}

int confine(const struct confine *table, const struct confine_report *level, const char **ret_step)
{
    *ret_step = "forbid new privileges and core dumps";
    int r = forbid();
    if (r == 0 && level->landlock_abi > 0) {
        *ret_step = "close files and network (Landlock)";
        r = landlock_restrict((int)level->landlock_abi, table->paths, table->path_count,
                              table->ports, table->port_count);
    }
    if (r == 0) {
        *ret_step = "set limits";
        r = set_limits(table);
    }
    if (r == 0 && level->level != CONFINE_SANITIZER) {
        *ret_step = "limit system calls (seccomp)";
        r = filter(table);
    }
    return r;
}
