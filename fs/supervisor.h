/*
 * The supervisor: starts the rooms, mounts, watches, replaces what dies, unmounts.
 *
 * Its phases: ROOMS (keys, link and verify are starting) → MOUNT (kosekifs-mount is starting) →
 * PROBE (mounted; somebody asks a first question) → RUNNING → ending. Whatever fails before RUNNING
 * ends the start, and nothing stays mounted. While RUNNING, keys, link and verify
 * are replaced when they end; without kosekifs-mount there is no mount, so its end is ours.
 */
#ifndef FS_SUPERVISOR_H
#define FS_SUPERVISOR_H

#include "base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/supervisor_inputs.h"

struct supervisor_task {
    const char *source; /* shown in lists of mounts */
    struct supervisor_inputs *inputs;
    struct mountpoint *mountpoint;
    int ready_fd; /* of supervisor_daemon_begin(); -1 = in the foreground */
    int log_fd;   /* standard error of the rooms */
};

/* Returns when all is ended, unmounted and collected: 0 or an exit code. */
_must_use_ int supervisor_run(const struct supervisor_task *task);

#endif
