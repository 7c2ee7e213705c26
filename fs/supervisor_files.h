/*
 * Opening the files that the configuration names. Nothing here looks into one. A file is opened
 * without blocking and must be a regular one, so that a FIFO or a device in its place cannot hold
 * the start up.
 */
#ifndef FS_SUPERVISOR_FILES_H
#define FS_SUPERVISOR_FILES_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/inifile.h"

#include <stdbool.h>

enum {
    SUPERVISOR_PEM_MAX = 1024 * 1024,
    SUPERVISOR_KEY_MAX = 64 * 1024,
    SUPERVISOR_MASTER_KEY_SIZE = 32,
};

/* A regular file, not empty, owned by root or by us, and not reachable by group or others. With
 * size > 0 it must have exactly that size. Reported (line 0) and negative errno otherwise. */
_must_use_ int supervisor_open_key(const char *path, size_t size, inifile_report *report,
                                   void *context, int *ret_fd);

/* Nobody but its owner, who is root or us, can put a file there or take one away. Reported and
 * negative errno otherwise. */
_must_use_ int supervisor_check_directory(const char *path, inifile_report *report, void *context);

/*
 * The whole of a regular file of 1 to size_max bytes. With `guarded` nobody but its owner, who is
 * root or us, may be able to change it. Reported and negative errno otherwise.
 */
_must_use_ int supervisor_read_file(const char *path, size_t size_max, bool guarded,
                                    inifile_report *report, void *context,
                                    struct buffer *ret_content);

#endif
