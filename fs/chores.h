/*
 * Long work for an operator that only reads the store: fsck, backup, export. One at a time, on a
 * thread of its own; the store's writer and the readers of the mount go on meanwhile.
 *
 * Thread rule: chores_start() and chores_stop() the control socket's thread and whoever ends it.
 */
#ifndef FS_CHORES_H
#define FS_CHORES_H

#include "base/cleanup.h"

#include <stdatomic.h>
#include <stdbool.h>

struct chores;

struct chore {
    void (*run)(struct chore *chore); /* owns the chore */
    const atomic_bool *ending;        /* set by chores_start(): the daemon ends, come to an end */
};

struct chores *chores_new(void); /* NULL when memory is short */
/* -EBUSY: another one is under way. */
_must_use_ int chores_start(struct chores *chores, struct chore *chore);
/* Waits until the one under way has come to its end. */
struct chores *chores_free(struct chores *chores);

#endif
