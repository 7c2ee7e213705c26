/*
 * The system calls that a process may still make, as a list of rules; any other ends the process
 * (seccomp, SECCOMP_RET_KILL_PROCESS). libseccomp makes the program of it.
 *
 * Thread rule: holds for all threads, those that are there already too.
 */
#ifndef BASE_SYSCALL_FILTER_H
#define BASE_SYSCALL_FILTER_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

enum {
    SYSCALL_CONDITION_MAX = 3,
    SYSCALL_EMPTY_PATH = 0x1000, /* AT_EMPTY_PATH */
};

/* Holds when (argument & mask) == value; mask 0: no condition. */
struct syscall_condition {
    unsigned argument; /* from 0; the kernel takes 32 bits of an int */
    uint32_t mask, value;
};

struct syscall_rule {
    const char *name; /* "openat"; NULL ends a list. One that this machine lacks is passed over */
    /* All hold. Rules of one name but with different errors must not hold at the same time. */
    struct syscall_condition conditions[SYSCALL_CONDITION_MAX];
    int error; /* 0: allowed; else the call does nothing and fails with this errno */
};

#define SYSCALL_IS(number, wanted)                                                                 \
    {                                                                                              \
        .argument = (number), .mask = UINT32_MAX, .value = (wanted)                                \
    }
#define SYSCALL_HAS(number, bits)                                                                  \
    {                                                                                              \
        .argument = (number), .mask = (bits), .value = (bits)                                      \
    }
#define SYSCALL_LACKS(number, bits)                                                                \
    {                                                                                              \
        .argument = (number), .mask = (bits), .value = 0                                           \
    }

/* Applies the lists together. -ENOENT: a name that libseccomp does not know. Needs no_new_privs. */
_must_use_ int syscall_filter_apply(const struct syscall_rule *const *lists, size_t count);

#endif
