/* The control socket's place in the file system, and datagram sockets of log services. */
#ifndef FS_SUPERVISOR_SOCKET_H
#define FS_SUPERVISOR_SOCKET_H

#include "base/cleanup.h"

#include <limits.h>
#include <sys/types.h>

struct control_socket {
    char path[PATH_MAX];
    int fd; /* listening; -1 = none */
    dev_t device;
    ino_t inode; /* what was made: nothing else is removed at the end */
};

/*
 * Makes and listens on a stream socket, mode 0660, of group `group`; makes its directory if only
 * that is missing. A socket on which nobody answers is replaced. EXIT_CANTCREATE after a message.
 */
_must_use_ int control_socket_open(const char *path, gid_t group,
                                   struct control_socket *ret_socket);
/* Closes our copy; removes the socket if it still is the one that was made. */
void control_socket_remove(struct control_socket *socket);

/* Connects to a log service's datagram socket; negative errno. */
_must_use_ int log_socket_connect(const char *path, int *ret_fd);

#endif
