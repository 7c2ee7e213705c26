/*
 * Runs the operator's alert hook, one process an alert (fs/alerts.h says what it finds in its
 * environment). At most HOOK_RUNNING_MAX at a time, each for HOOK_TIME_MS at most: a hook that
 * hangs costs alerts, nothing else.
 */
#ifndef FS_SUPERVISOR_HOOK_H
#define FS_SUPERVISOR_HOOK_H

#include "base/cleanup.h"
#include "fs/alerts.h"

#include <stdint.h>
#include <sys/types.h>

enum { HOOK_RUNNING_MAX = 4, HOOK_TIME_MS = 30000 };

struct hook {
    const char *program; /* empty: none */
    struct {
        pid_t pid; /* 0 = free */
        int64_t deadline_ms;
    } running[HOOK_RUNNING_MAX];
};

/* Nothing the hook does is waited for. An alert that finds no room is told in the log. */
void hook_run(struct hook *hook, const struct alert *alert);
/* Collects those that ended and ends those that are late; returns the next deadline, 0 = none. */
int64_t hook_tend(struct hook *hook);
void hook_kill_all(struct hook *hook);

#endif
