/*
 * Trust, revocation lists from files and access policy, as the supervisor hands them over at the
 * start and whenever they are read again. Each is recorded with what it is and who had it read.
 * Loop thread.
 */
#ifndef FS_MOUNT_TRUST_H
#define FS_MOUNT_TRUST_H

#include "base/ipc.h"
#include "base/memfd.h"
#include "base/room.h"
#include "fs/mountfs.h"

/* The policy in a sealed memory file, checked; -EBADMSG. */
_must_use_ int mount_trust_map_policy(int fd, struct mapping *ret_mapping);
/* At the start: records the policy, takes the trust bundle. */
_must_use_ int mount_trust_begin(struct mountfs *fs, int trust_fd);
/* ROOM_TRUST, ROOM_LISTS or ROOM_POLICY. Trust that cannot be recorded is not taken. */
_must_use_ int mount_trust_hear(struct mountfs *fs, const struct ipc_message *message);
/* How a reload went. */
_must_use_ int mount_trust_record_reload(struct mountfs *fs, const struct room_reloaded *reloaded);

#endif
