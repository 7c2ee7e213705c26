/*
 * Our processes as the kernel and they themselves tell: for kosekictl status and status.json. The
 * supervisor says which there are (ROOM_PROCESSES); user, capabilities and the like come from
 * /proc, fresh each time.
 *
 * Thread rule: any thread; own lock.
 */
#ifndef FS_PROCESSES_H
#define FS_PROCESSES_H

#include "base/cleanup.h"
#include "base/ipc.h"

struct json;
struct processes;

struct processes *processes_new(int proc_fd); /* borrowed; NULL when memory is short */
struct processes *processes_free(struct processes *processes);

/* Takes a ROOM_PROCESSES. -EBADMSG: it is none. */
_must_use_ int processes_take(struct processes *processes, const struct ipc_message *message);

/* The least of the levels of all but the supervisor: "full", "reduced", "sanitizer". */
const char *processes_level(struct processes *processes);

/* "kosekifs-verify[0]": {pid, uid, capabilities, …}, …; NULL when memory is short. */
struct json *processes_object(struct processes *processes);

#endif
