/*
 * The XSD 1.1 processes: one for each verify worker, as long as a schema is in use. A process is
 * born with its connection to its worker; when either of the two ends, so does the other end's use,
 * and a new process is started for the worker that is there.
 */
#ifndef FS_SUPERVISOR_SCHEMA_H
#define FS_SUPERVISOR_SCHEMA_H

#include "base/cleanup.h"
#include "fs/supervisor_rooms.h"

/* The trust bundle was read, at the start or anew: starts the processes or ends them. */
void rooms_schema_follow_trust(struct rooms *rooms);
/* Starts one, unless no schema is in use or its worker is not there; then rooms_schema_start_for()
 * comes later. */
_must_use_ int rooms_schema_start(struct rooms *rooms, struct child *schema);
/* A verify worker became ready, or ended. */
void rooms_schema_start_for(struct rooms *rooms, const struct child *verify);
void rooms_schema_end_for(struct rooms *rooms, const struct child *verify);

#endif
