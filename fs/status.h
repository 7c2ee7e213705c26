/*
 * The daemon's state for people and programs: the one source of status.json, metrics and
 * `kosekictl status`. No certificate ids in it.
 */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include "fs/mountfs.h"

/* NULL when memory is short. */
struct json *status_object(struct mountfs *fs);
/* Prometheus text format 0.0.4; the caller frees; NULL when memory is short. */
char *status_metrics(struct mountfs *fs);

#endif
