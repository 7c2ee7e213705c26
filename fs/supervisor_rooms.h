/*
 * The rooms as a whole: which processes there are, what each is given, who is introduced to whom.
 * Of every pair of neighbours a fresh connection is made as soon as both are there, and again when
 * one of them was replaced.
 */
#ifndef FS_SUPERVISOR_ROOMS_H
#define FS_SUPERVISOR_ROOMS_H

#include "base/cleanup.h"
#include "fs/children.h"
#include "fs/supervisor_inputs.h"

enum {
    ROOMS_MAX = 2 * VERIFY_WORKER_MAX + 3,
    ROOMS_READY_MS = 30000,        /* to become ready */
    ROOMS_MOUNT_READY_MS = 120000, /* kosekifs-mount checks its store */
    ROOMS_DELAY_KILLED_MS = 10,    /* after an end that was not its fault; doubled when not ready */
    ROOMS_EARLY_MAX = 7,
    ROOMS_DELAY_FIRST_MS = 100, /* after a fault; doubled with each in a row, spread by a quarter */
    ROOMS_DELAY_MAX_MS = 10000,
    ROOMS_STABLE_MS = 60000, /* after this long an end is no repetition of the last */
};

struct rooms {
    const struct supervisor_inputs *inputs;
    int log_fd;
    unsigned count;
    struct child list[ROOMS_MAX];  /* keys, link, verify workers, their schema processes, mount */
    uint64_t trust_serial;         /* counts the bundles of this run */
    struct room_cause trust_cause; /* why the last one was read */
    uint64_t trust_known[ROOMS_MAX];
    bool schema_in_use;
    bool attempt; /* kosekifs-mount says that it can start, and leaves */
};

void rooms_init(struct rooms *rooms, const struct supervisor_inputs *inputs, int log_fd);
struct child *rooms_find(struct rooms *rooms, enum room_role role, uint32_t index);

/* Starts a room and gives it what its role gets. Negative errno after a message. */
_must_use_ int rooms_start(struct rooms *rooms, struct child *child);
/* It said that it is ready: introduces it to its neighbours. */
void rooms_set_ready(struct rooms *rooms, struct child *child);
/* True if every room but mount is ready. Schema processes are not waited for. */
bool rooms_all_ready(const struct rooms *rooms);

/* Sends to a child, with a descriptor or (-1) without; one that does not read its messages is
 * killed. */
void rooms_send(struct child *child, enum room_message type, const void *payload, size_t size,
                int fd);
/* The same without a descriptor. */
void rooms_send_plain(struct child *child, enum room_message type, const void *payload,
                      size_t size);
/* Sends inputs->trust_fd. */
void rooms_send_trust(struct rooms *rooms, struct child *child);

/* Hands /dev/fuse of the mount and the journal to kosekifs-mount; they stay ours. */
void rooms_send_mounted(struct child *child, const struct room_mounted *mounted, const int fds[2]);

/*
 * A child ended with this status of waitpid(2) and shall come back: sets the time for it, which is
 * returned in ms from now. Its own fault is to end by itself before it was ready, with a status, by
 * a signal other than SIGKILL and SIGTERM, or by us because it misbehaved.
 */
int64_t rooms_schedule_restart(struct child *child, int status);

#endif
