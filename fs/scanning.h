/*
 * The scanner in its place: between provide, which waits for it, the supervisor, which connects it,
 * and trail and alerts, which hear what it found.
 */
#ifndef FS_SCANNING_H
#define FS_SCANNING_H

#include "fs/mountfs.h"
#include "fs/scanner.h"

/* Starts it if [scan] names a clamd; fs->scanner stays NULL otherwise. Before anything is fetched.
 */
_must_use_ int scanning_start(struct mountfs *fs, const struct config_scan *config);

/* For provide_listener; context: struct mountfs. */
int scanning_scan(void *context, uint64_t id, const struct certname *name, int memfd);

#endif
