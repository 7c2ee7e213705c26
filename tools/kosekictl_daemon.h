/*
 * The commands of kosekictl that ask the running daemon.
 */
#ifndef TOOLS_KOSEKICTL_DAEMON_H
#define TOOLS_KOSEKICTL_DAEMON_H

#include <stdbool.h>

struct kosekictl_options {
    const char *socket;
    bool json; /* print the reply as it is */
};

/* argv[0] is the command. Exit status for main; 64 for wrong usage, also for an unknown command. */
int kosekictl_daemon(const struct kosekictl_options *options, int argc, char **argv);

#endif
