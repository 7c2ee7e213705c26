/*
 * How a process locks itself in: one table a role, beside the role's main, says what it still
 * needs; everything else is given up for ever. Order: first whatever the libraries open on first
 * use, then confine(), then the first byte from outside.
 *
 * Thread rule: before the first thread (Landlock holds for the thread that asks).
 */
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include "base/cleanup.h"
#include "base/landlock.h"
#include "base/syscall_filter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct confine_limit {
    int resource; /* RLIMIT_… */
    uint64_t most;
};

struct confine {
    const struct landlock_path *paths;
    size_t path_count;
    const uint16_t *ports; /* TCP ports that may be connected to; 0: may bind to one of the
                              kernel's choice */
    size_t port_count;
    const struct confine_limit *limits; /* besides RLIMIT_CORE 0 */
    size_t limit_count;
    const struct syscall_rule *syscalls; /* besides those that every process has; confine.c */
};

enum confine_level {
    CONFINE_NONE = 0,  /* not confined: it is starting, or must not be (the supervisor) */
    CONFINE_SANITIZER, /* a build for tests, whose sanitizers need what the tables forbid */
    CONFINE_REDUCED,   /* this kernel's Landlock cannot forbid all */
    CONFINE_FULL,
    CONFINE_LEVEL_COUNT,
};

struct confine_report {
    uint32_t level;        /* enum confine_level */
    uint32_t landlock_abi; /* 0: none */
};

const char *confine_level_text(uint32_t level);
_must_use_ bool confine_report_valid(const struct confine_report *report);

/* What this process can come to here, with Landlock up to abi_max; or a program that is about to be
 * executed and no build of ours. */
void confine_foresee(int64_t abi_max, struct confine_report *ret_report);
void confine_foresee_program(int64_t abi_max, struct confine_report *ret_report);

/*
 * Gives up everything beyond the table, to the level foreseen: new privileges, core dumps, ptrace
 * and /proc/PID by the same user, files, network and system calls. Returns 0, or a negative errno
 * with *ret_step naming what failed; the process must not go on then.
 */
_must_use_ int confine(const struct confine *table, const struct confine_report *level,
                       const char **ret_step);

#endif
