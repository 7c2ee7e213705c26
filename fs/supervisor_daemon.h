/*
 * Going into the background, the late way: the starting process waits until the mount answers and
 * ends with the daemon's own status if it never does.
 */
#ifndef FS_SUPERVISOR_DAEMON_H
#define FS_SUPERVISOR_DAEMON_H

#include "base/cleanup.h"

#include <stdbool.h>

/*
 * Forks. The starting process does not return; the background process does, with the descriptor for
 * supervisor_daemon_ready() in *ret_ready_fd. Negative errno after a message.
 */
_must_use_ int supervisor_daemon_begin(int *ret_ready_fd);

/* Lets the starting process end with 0; from now on messages go to log_fd. -EPIPE: the starting
 * process was killed, so nobody wants this daemon any more. */
_must_use_ int supervisor_daemon_ready(int ready_fd, int log_fd);

/* Where messages go once nobody watches: the journal if standard error is it, else /dev/log, else
 * nowhere. In the foreground standard error itself. */
_must_use_ int supervisor_daemon_log(bool foreground, int *ret_fd);

#endif
