/* What kosekifs-mount may do from the moment it knows its state directory. */
#ifndef FS_MOUNT_CONFINE_H
#define FS_MOUNT_CONFINE_H

#include "base/confine.h"

enum { MOUNT_PATH_MAX = 8 };

struct mount_confine {
    struct landlock_path paths[MOUNT_PATH_MAX];
    struct confine table;
};

/* state_fd stays the caller's. Loads what name services need before it is too late. */
void mount_confine_init(struct mount_confine *confine, int state_fd);

#endif
