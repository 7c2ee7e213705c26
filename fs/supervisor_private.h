/* What the files of the supervisor's loop share. */
#ifndef FS_SUPERVISOR_PRIVATE_H
#define FS_SUPERVISOR_PRIVATE_H

#include "base/cleanup.h"
#include "base/crypto.h"
#include "base/ipc.h"
#include "fs/supervisor.h"
#include "fs/supervisor_hook.h"
#include "fs/supervisor_inventory.h"
#include "fs/supervisor_rooms.h"

#include <stdbool.h>
#include <stdint.h>

enum { ASKERS_MAX = 16, ATTEMPT_TEXT_MAX = 2 * ROOM_TEXT_MAX };

/* Another kosekifs that tries what stands on the disk. */
struct attempt {
    pid_t pid; /* 0: none */
    int output_fd;
    int64_t deadline_ms;
    char text[ATTEMPT_TEXT_MAX];
    size_t size;
};

/* Of a process: whether it answers. */
struct aliveness {
    int64_t asked_ms; /* 0: not asked */
    int64_t next_ms;
    int64_t condemned_ms; /* since when it should have ended */
};

/* Of the session with the kernel. */
struct session_watch {
    uint64_t answered; /* as it said last */
    int64_t lost_since_ms;
    int64_t tried_ms; /* a new kosekifs-mount was tried */
};

enum phase { PHASE_ROOMS, PHASE_MOUNT, PHASE_PROBE, PHASE_RUNNING };

struct supervisor {
    const struct supervisor_task *task;
    struct rooms rooms;
    struct hook hook;
    struct inventory_watch inventory;
    int signal_fd;
    enum phase phase;
    bool ending;
    int exit_code;

    int fuse_fd, journal_fd; /* of the mount; -1 before */
    int record_fd;           /* what the next supervisor must know; -1 before */
    int64_t mount_gone_ms;   /* since when there has been no kosekifs-mount */
    bool mount_killed;       /* the last one ended by itself */

    struct aliveness alive[ROOMS_MAX];
    struct session_watch watch;
    int64_t watchdog_ms, watchdog_next_ms; /* 0: systemd has none */

    pid_t probe_pid; /* asks the new mount a first question */
    int64_t probe_deadline_ms;

    /* A trust bundle that one worker tries; -1 = none. */
    int trial_fd;
    uint32_t trial_worker;
    int64_t trial_deadline_ms;
    struct attempt attempt;
    bool reload_again; /* asked for once more meanwhile */
    bool reload_forced;
    struct room_cause cause, cause_again; /* of the reload under way, and of the one after it */
    uint64_t askers[ASKERS_MAX]; /* who waits for the outcome, as kosekifs-mount numbers them */
    unsigned asker_count;

    int64_t lists_look_ms; /* when the files with revocation lists are looked at next */
    uint8_t lists_seen[SHA256_SIZE];

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

/* Ends all processes in order; what programs ask stays in kernel and journal. */
void supervisor_stop_rooms(struct supervisor *supervisor);
/* Runs the alert hook when there is no kosekifs-mount that could raise an alert. */
void supervisor_alert(struct supervisor *supervisor, enum alert_severity severity,
                      const char *subject, const char *action, const char *format, ...)
    _printf_(5, 6);

/* supervisor_alive.c: processes that are there and do not answer. */
void supervisor_begin_watch(struct supervisor *supervisor);
/* Returns when to look again, in ms of clock_monotonic_ms(); 0 = never. */
int64_t supervisor_watch(struct supervisor *supervisor, int64_t now_ms);
void supervisor_hear_alive(struct supervisor *supervisor, struct child *child);

/* supervisor_replace.c: reload and upgrade, the supervisor too. */
void supervisor_ask_reload(struct supervisor *supervisor, bool forced, struct room_cause cause);
/* A process is started anew: if the programs are others by now, all are. */
void supervisor_notice_programs(struct supervisor *supervisor);
void supervisor_hear_attempt(struct supervisor *supervisor);
void supervisor_collect_attempt(struct supervisor *supervisor);
void supervisor_end_late_attempt(struct supervisor *supervisor, int64_t now_ms);
void supervisor_replace(struct supervisor *supervisor);
/* Tells those who asked, and begins the next one if there is one. */
void supervisor_reload_ended(struct supervisor *supervisor, int error, const char *text);
_must_use_ int supervisor_record(struct supervisor *supervisor, int64_t gone_ms);
void supervisor_store_survivors(struct supervisor *supervisor);
/* supervisor_lists.c: revocation lists from files, read again when they change. */
void supervisor_lists_tend(struct supervisor *supervisor);
/* Whether they have changed or not. */
void supervisor_lists_reload(struct supervisor *supervisor);

/* supervisor_reload.c: trust and access policy anew. */
void supervisor_reload(struct supervisor *supervisor);
void supervisor_trial_accepted(struct supervisor *supervisor);
void supervisor_trial_failed(struct supervisor *supervisor, const char *reason);
/* Connects kosekifs-mount to the log services of section [audit]. */
void supervisor_send_sinks(struct supervisor *supervisor);

#endif
