/* See waiter.h. */
#include "fs/waiter.h"

#include "base/cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Signals of a thread, a bit each, as /proc/<tid>/status shows them. */
struct signals {
    uint64_t pending, shared, blocked, ignored, caught;
};

static uint64_t bit(int number)
{
    return (uint64_t)1 << (number - 1);
}

/* A line at a time: the line of supplementary groups may be longer than any buffer. */
static bool read_signals(FILE *status, struct signals *ret_signals)
{
    const struct {
        const char *key;
        uint64_t *value;
    } rows[] = {{"SigPnd:", &ret_signals->pending},
                {"ShdPnd:", &ret_signals->shared},
                {"SigBlk:", &ret_signals->blocked},
                {"SigIgn:", &ret_signals->ignored},
                {"SigCgt:", &ret_signals->caught}};
    _cleanup_free_ char *line = NULL;
    size_t size = 0, found = 0;
    while (found < sizeof rows / sizeof *rows && getline(&line, &size, status) > 0) {
        size_t length = strlen(rows[found].key);
        if (strncmp(line, rows[found].key, length) == 0)
            *rows[found++].value = strtoull(line + length, NULL, 16);
    }
    return found == sizeof rows / sizeof *rows;
}

/*
 * Of signals that dump core the kernel makes SIGKILLs only when the first thread takes one. And a
 * program that catches SIGINT or SIGTERM wants to end when it comes, but its handler cannot run
 * while it waits: Ctrl-C would not stop a Python program until the deadline.
 */
static bool fatal(const struct signals *signals)
{
    const uint64_t dumping = bit(SIGQUIT) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGABRT) |
                             bit(SIGBUS) | bit(SIGFPE) | bit(SIGSEGV) | bit(SIGXCPU) |
                             bit(SIGXFSZ) | bit(SIGSYS);
    const uint64_t asking = bit(SIGINT) | bit(SIGTERM);
    uint64_t pending = signals->pending | signals->shared;
    uint64_t acted_on = pending & ~(signals->blocked | signals->ignored);
    return (signals->pending & bit(SIGKILL)) || (acted_on & asking) ||
           (acted_on & dumping & ~signals->caught);
}

bool waiter_fatal_signal(pid_t tid)
{
    char path[40];
    struct signals signals;
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    _cleanup_fclose_ FILE *status = fopen(path, "re");
    if (!status)
        return errno == ENOENT || errno == ESRCH; /* not when we are short of descriptors */
    /* Opened, but gone meanwhile. */
    return !read_signals(status, &signals) || fatal(&signals);
}
