/* The state directory: found or made, checked, and locked against a second daemon. */
#ifndef FS_SUPERVISOR_STATE_H
#define FS_SUPERVISOR_STATE_H

#include "base/cleanup.h"
#include "fs/children.h"

#include <stdint.h>

/*
 * Opens the directory, which `owner` must own and nobody else may enter; makes it if only its last
 * part is missing. The lock lasts until the last copy of the descriptor is closed, so it also waits
 * for a kosekifs-mount that outlived its supervisor. EXIT_CANTCREATE after a message otherwise.
 */
_must_use_ int supervisor_state_open(const char *path, const struct child_identity *owner,
                                     int *ret_fd);
/* Whether that would work, as far as it can be told without making or locking anything. */
_must_use_ int supervisor_state_check(const char *path, const struct child_identity *owner);
/* Waits for a kosekifs-mount that still ends, after its supervisor crashed. */
void supervisor_state_await(const char *path, int64_t wait_ms);

#endif
