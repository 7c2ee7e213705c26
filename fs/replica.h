/*
 * The thread that lets the replica on another disk follow the store, and the other files of the
 * state directory with it: audit trail, grants, seals, counts. Whatever fails is tried again; the
 * mount does not wait for it.
 *
 * Thread rule: replica_status() any thread.
 */
#ifndef FS_REPLICA_H
#define FS_REPLICA_H

#include "base/cleanup.h"
#include "fs/mountfs.h"

#include <stdbool.h>
#include <stdint.h>

struct replica;

struct replica_status {
    bool compared;   /* nothing from before the start is missing */
    uint64_t behind; /* changes that it has not got */
    int error;       /* negative errno of the last try; 0 */
};

/* The descriptor of its directory stays the caller's. */
_must_use_ int replica_new(struct mountfs *fs, int directory_fd, struct replica **ret_replica);
struct replica *replica_free(struct replica *replica);
void replica_status(struct replica *replica, struct replica_status *ret_status);

/* Copies what is newer in the state directory but the store; in fs/replica_files.c. */
_must_use_ int replica_copy_files(int state_fd, int directory_fd);

#endif
