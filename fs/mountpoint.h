/*
 * The directory that the certificates appear in: checked, mounted, unmounted. As root by mount(2);
 * otherwise through fusermount3(1).
 *
 * Thread rule: the supervisor has one thread.
 */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

#include "base/cleanup.h"

#include <limits.h>
#include <stdbool.h>

/* In bytes; chosen in docs/store-format.md, "Chunks". */
enum { MOUNTPOINT_READ_AHEAD = 1 << 20 };

struct mountpoint {
    char path[PATH_MAX]; /* absolute, without symbolic links */
    int fd;              /* O_PATH of the directory below the mount; -1 = none */
    bool privileged;     /* mounts by itself */
    bool allow_other;
    char device[32]; /* "0:57" of our mount, as mountinfo(5) spells it; empty = not mounted */
};

/*
 * Checks that `path` is an empty directory and no mount point yet; a mount of ours whose daemon is
 * gone is taken away. Returns 0 or, after a message,
 * -ENOENT, -ENOTDIR, -ENOTEMPTY, -EBUSY or another errno.
 */
_must_use_ int mountpoint_open(const char *path, struct mountpoint *ret_mountpoint);
void mountpoint_close(struct mountpoint *mountpoint);

/* Mounts, read-only and for everybody if that is allowed; `source` is shown in lists of mounts.
 * *ret_fd is the connection to the kernel. Negative errno after a message. */
_must_use_ int mountpoint_mount(struct mountpoint *mountpoint, const char *source, int *ret_fd);

/* True while our mount, not another on top or in its place, is there. */
bool mountpoint_is_mounted(const struct mountpoint *mountpoint);

/* Unmounts if mounted; a busy one is detached: whoever has files open keeps them until closing. */
void mountpoint_unmount(struct mountpoint *mountpoint);

#endif
