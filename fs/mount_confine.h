/* What kosekifs-mount may do from the moment it knows its state directory. */
#ifndef FS_MOUNT_CONFINE_H
#define FS_MOUNT_CONFINE_H

#include "base/confine.h"

enum { MOUNT_DIRECTORY_MAX = 3, MOUNT_PATH_MAX = 8 };

struct mount_confine {
    struct landlock_path paths[MOUNT_PATH_MAX];
    struct confine table;
};

/* The directories that it keeps: MOUNT_DIRECTORY_MAX descriptors, which stay the caller's; -1 =
 * none. Loads what name services need before it is too late. */
void mount_confine_init(struct mount_confine *confine, const int directories[MOUNT_DIRECTORY_MAX]);

#endif
