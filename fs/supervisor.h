/*
 * The supervisor: starts the rooms, mounts, watches, replaces what dies, unmounts.
 *
 * Its phases: ROOMS (keys, link and verify are starting) → MOUNT (kosekifs-mount is starting) →
 * PROBE (mounted; somebody asks a first question) → RUNNING → ending. Whatever fails before RUNNING
 * ends the start, and nothing stays mounted. While RUNNING, each process is replaced when it ends;
 * requests wait in the kernel and in the journal while there is no kosekifs-mount. A supervisor
 * that goes on where another ended (fs/survivors.h) is RUNNING from the beginning.
 */
#ifndef FS_SUPERVISOR_H
#define FS_SUPERVISOR_H

#include "base/cleanup.h"
#include "base/crypto.h"
#include "fs/mountpoint.h"
#include "fs/supervisor_inputs.h"

#include <stdbool.h>

/* How kosekifs was started, to do it again. */
struct supervisor_origin {
    char program[PATH_MAX];
    char *const *arguments;
    int directory_fd; /* where it was started */
};

struct supervisor_task {
    struct supervisor_origin origin;
    const char *argument; /* the mount point as given */
    uint8_t generation[SHA256_SIZE];
    bool attempt; /* --try: nothing is mounted; the end is when all processes are ready */
    bool resumed; /* what follows comes from an earlier supervisor */
    int fuse_fd, journal_fd;
    int record_fd;   /* -1: it is another programs' or configuration's by now */
    int64_t gone_ms; /* clock_monotonic_ms() since when nobody has answered; 0 = not known */

    const char *source; /* shown in lists of mounts */
    struct supervisor_inputs *inputs;
    struct mountpoint *mountpoint;
    int ready_fd; /* of supervisor_daemon_begin(); -1 = in the foreground */
    int log_fd;   /* standard error of the rooms */
};

/* Returns when all is ended, unmounted and collected: 0 or an exit code. */
_must_use_ int supervisor_run(const struct supervisor_task *task);

#endif
