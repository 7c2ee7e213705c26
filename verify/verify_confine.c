/*
 * uid          its own, [users] verify
 * capabilities none
 * files        none; documents come as sealed memory files, answers go as messages
 * network      none
 * processes    none
 * memory       [sandbox] verify_memory; time: kosekifs-mount ends it after [mount] verify_timeout
 */
#include "verify/verify_confine.h"

#include <fcntl.h>
#include <sys/resource.h>

enum { DESCRIPTORS_MAX = 32 };

static const struct syscall_rule syscalls[] = {
    /* libxml2 and xmlsec1 look for files that need not be there. */
    {"newfstatat", {SYSCALL_LACKS(3, SYSCALL_EMPTY_PATH)}, EACCES},
    /* qsort(3), which sorts a revocation list's entries, asks how much memory there is. */
    {"sysinfo"},
    /* What the XSD 1.1 process is asked. */
    {"memfd_create"},
    {"ftruncate"},
    {"lseek"},
    {"pwrite64"},
    {"fcntl", {SYSCALL_IS(1, F_ADD_SEALS)}},
    {NULL},
};

void verify_confine_init(struct verify_confine *confine, uint64_t memory_max)
{
    confine->limits[0] = (struct confine_limit){RLIMIT_NOFILE, DESCRIPTORS_MAX};
    confine->limits[1] = (struct confine_limit){RLIMIT_AS, memory_max};
    confine->table = (struct confine){
        .limits = confine->limits,
        .limit_count = sizeof confine->limits / sizeof confine->limits[0],
        .syscalls = syscalls,
    };
}
