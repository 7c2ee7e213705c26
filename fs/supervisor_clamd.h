/* Connections to clamd for kosekifs-mount, which may not make any. */
#ifndef FS_SUPERVISOR_CLAMD_H
#define FS_SUPERVISOR_CLAMD_H

/* A connected socket; a negative errno, -EAGAIN when clamd has too many that wait. Does not wait.
 */
int supervisor_clamd_connect(const char *path);

#endif
