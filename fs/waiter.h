/*
 * A parked request: a small struct, no thread. It waits for an outcome until its deadline or until
 * the program that waits receives a fatal signal. Who parks it embeds it and gives `complete`,
 * which is called exactly once, without any lock held.
 */
#ifndef FS_WAITER_H
#define FS_WAITER_H

#include "base/verdict.h"
#include "cache/cache.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What became of a request. */
struct outcome {
    int error;                     /* 0 or a positive errno of errno_table.c */
    bool left;                     /* with an error: the daemon is ending, nothing was decided */
    struct cache_entry entry;      /* with error 0 */
    char reason[VERDICT_TEXT_MAX]; /* the particulars, for .kosekifs/why/ and the log */
};

struct waiter {
    struct waiter *next;
    int64_t patience_ms;     /* until its deadline; 0 = as the configuration says */
    int64_t deadline_ms;     /* clock_monotonic_ms() */
    uid_t uid;               /* whose share of the places it takes */
    pid_t tid;               /* the waiting thread; 0 = in a foreign pid namespace, or none */
    atomic_bool interrupted; /* the kernel said so; fatal or not shows in /proc */
    int64_t look_ms; /* when to look there again: the kernel tells of the first signal only */
    int64_t look_pause_ms;
    void (*complete)(struct waiter *waiter, const struct outcome *outcome);
};

/*
 * True if a signal is pending for the thread that ends the program, or the thread is gone or not
 * visible from here. The kernel puts SIGKILL into SigPnd of every thread for each signal that will
 * end the process, but for those that dump core (SIGQUIT, by Ctrl-\) only when one is taken, so
 * these count too unless blocked, ignored or caught. SIGINT and SIGTERM count also when they are
 * caught: they ask the program to end. Other signals (SIGALRM with a handler, SIGHUP of a daemon,
 * SIGCHLD, stop and continue) must not end the wait: programs do not expect EINTR from open(2) of a
 * regular file.
 */
bool waiter_fatal_signal(pid_t tid);

#endif
