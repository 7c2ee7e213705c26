/*
 * kosekictl verify: judges files without a daemon, with the same function as the daemon.
 */
#ifndef TOOLS_KOSEKICTL_VERIFY_H
#define TOOLS_KOSEKICTL_VERIFY_H

/* argv[0] is the command. Exit status: 0 all TOTAL-PASSED; 1 any TOTAL-FAILED; 2 none failed, some
 * INDETERMINATE; 64 usage; 66 unreadable input. */
int kosekictl_verify(int argc, char **argv);

#endif
