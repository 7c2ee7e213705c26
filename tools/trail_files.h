/*
 * The files of an audit trail that a command line names: a directory stands for all its files
 * trail-*.jsonl in order, and for checkpoints.jsonl in it.
 */
#ifndef TOOLS_TRAIL_FILES_H
#define TOOLS_TRAIL_FILES_H

#include "base/cleanup.h"

#include <stddef.h>

enum { TRAIL_FILES_MAX = 1000000 };

#define TRAIL_DIRECTORY "/var/lib/kosekifs/audit"

struct trail_files {
    char **paths; /* in the order of the trail */
    size_t count, capacity;
    char **checkpoints;
    size_t checkpoint_count, checkpoint_capacity;
};

/* Without a path: TRAIL_DIRECTORY. 0, or an exit status of sysexits.h after a message. */
int trail_files_find(struct trail_files *files, char *const *paths, int count);
int trail_files_add_checkpoints(struct trail_files *files, const char *path);
void trail_files_done(struct trail_files *files);

#endif
