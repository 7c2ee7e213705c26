/* What the files of the supervisor's loop share. */
#ifndef FS_SUPERVISOR_PRIVATE_H
#define FS_SUPERVISOR_PRIVATE_H

#include "base/cleanup.h"
#include "base/ipc.h"
#include "fs/supervisor.h"
#include "fs/supervisor_hook.h"
#include "fs/supervisor_rooms.h"

#include <stdbool.h>
#include <stdint.h>

enum phase { PHASE_ROOMS, PHASE_MOUNT, PHASE_PROBE, PHASE_RUNNING };

struct supervisor {
    const struct supervisor_task *task;
    struct rooms rooms;
    struct hook hook;
    int signal_fd;
    enum phase phase;
    bool ending;
    int exit_code;

    int fuse_fd, journal_fd; /* of the mount; -1 before */
    int64_t mount_gone_ms;   /* since when there has been no kosekifs-mount */

    pid_t probe_pid; /* asks the new mount a first question */
    int64_t probe_deadline_ms;

    /* A trust bundle that one worker tries; -1 = none. */
    int trial_fd;
    uint32_t trial_worker;
    int64_t trial_deadline_ms;
    bool reload_again; /* asked for once more meanwhile */

    struct ipc_message message; /* the one being looked at */
};

/* The first call decides how kosekifs ends. */
void supervisor_end(struct supervisor *supervisor, int exit_code);

/* supervisor_events.c: what rooms say and how they end. */
void supervisor_hear(struct supervisor *supervisor, struct child *child);
void supervisor_collect(struct supervisor *supervisor);

/* supervisor_mount.c: the mount, under kosekifs-mount that comes and goes. */
void supervisor_mount(struct supervisor *supervisor);
/* kosekifs-mount is ready: gives it the connection to the kernel. */
void supervisor_hand_over(struct supervisor *supervisor);
void supervisor_mount_ended(struct supervisor *supervisor, int status);

/* supervisor_reload.c: trust and access policy anew. */
void supervisor_reload(struct supervisor *supervisor);
void supervisor_trial_accepted(struct supervisor *supervisor);
void supervisor_trial_failed(struct supervisor *supervisor, const char *reason);
/* Connects kosekifs-mount to the log services of section [audit]. */
void supervisor_send_sinks(struct supervisor *supervisor);

#endif
