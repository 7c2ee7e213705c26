/*
 * What kosekifs-mount is told of the other processes: which there are, for kosekictl status; and
 * which ended in what way, since a document may have been the cause.
 *
 * Thread rule: the supervisor has one thread.
 */
#ifndef FS_SUPERVISOR_PROCESSES_H
#define FS_SUPERVISOR_PROCESSES_H

#include "fs/supervisor_rooms.h"

/* Nothing happens while kosekifs-mount is not ready; it is told all when it is. */
void rooms_tell_processes(struct rooms *rooms);
void rooms_tell_ended(struct rooms *rooms, const struct child *child, int status);

/* A worker that shall be replaced in order, without delay, alert or error. One that is `trying` new
 * trust is ended by the next call, after its trial. */
void rooms_retire(struct child *worker, bool trying);

#endif
