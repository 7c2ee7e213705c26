/*
 * The programs that the supervisor starts: each with its own user, descriptor ROOM_FD and nothing
 * else that is ours. Life of a child: absent → started (child_start) → ready (its ROOM_READY came)
 * → ended (child_reap) → absent again.
 *
 * Thread rule: the supervisor has one thread.
 */
#ifndef FS_CHILDREN_H
#define FS_CHILDREN_H

#include "base/cleanup.h"
#include "base/room.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child_identity {
    bool change; /* false: remains whoever started the supervisor */
    uid_t uid;
    gid_t gid;
};

enum child_state { CHILD_ABSENT = 0, CHILD_STARTED, CHILD_READY };

struct child {
    enum room_role role;
    uint32_t index;
    enum child_state state;
    bool told;           /* it said why it cannot work */
    pid_t pid;           /* 0 when absent */
    int room_fd;         /* our end, non-blocking; -1 when absent */
    int64_t deadline_ms; /* when started: of ROOM_READY; when absent: when to start, 0 = never */
    int64_t started_ms;
    bool was_ready;               /* when absent: whether it came so far */
    bool retired;                 /* it was to be replaced, in order */
    bool condemned;               /* we ended it ourselves: that is its fault */
    unsigned early;               /* how often in a row it ended before it was ready */
    unsigned faults;              /* how often in a row it ended by its own fault */
    struct confine_report report; /* since it is ready; of schema: to be, when started */
};

void child_init(struct child *child, enum room_role role, uint32_t index);

/* "kosekifs-link", "kosekifs-verify[1]": for messages; valid until the next call. */
const char *child_name(const struct child *child);

/* The path of the program that child_start() executes; false if there is none. */
_must_use_ bool child_find_program(enum room_role role, const char *program_directory,
                                   char out[PATH_MAX]);

/*
 * Starts the program kosekifs-ROLE that stands beside our own, or else in `program_directory`, with
 * standard error at log_fd. Returns 0 or, after a message to the operator, a negative errno.
 */
_must_use_ int child_start(struct child *child, const struct child_identity *identity,
                           const char *program_directory, int log_fd);

/* True if the child had ended; it is absent then, and *ret_status is that of waitpid(2). */
_must_use_ bool child_reap(struct child *child, int *ret_status);

/* Words for a status of waitpid(2), such as "ended by signal 9"; valid until the next call. */
const char *child_status_text(int status);

/* SIGKILL; the end is seen by child_reap(). */
void child_kill(struct child *child);

#endif
