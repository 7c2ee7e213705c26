/* sd_notify(3) without libsystemd: one datagram to NOTIFY_SOCKET, if there is one. */
#ifndef FS_SUPERVISOR_NOTIFY_H
#define FS_SUPERVISOR_NOTIFY_H

#include "base/cleanup.h"

/* "READY=1\nSTATUS=mounted"; failures harm nobody and are passed over. */
void supervisor_notify(const char *format, ...) _printf_(1, 2);
/* With a descriptor beside it, for systemd's store. */
void supervisor_notify_fd(int fd, const char *format, ...) _printf_(2, 3);

#endif
