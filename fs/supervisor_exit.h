/*
 * How kosekifs ends, after sysexits.h. Functions of the supervisor return 0 or one of these after
 * they have told the operator why.
 */
#ifndef FS_SUPERVISOR_EXIT_H
#define FS_SUPERVISOR_EXIT_H

enum supervisor_exit {
    EXIT_FAILED = 1,      /* a process could not start, or the mount was aborted */
    EXIT_SAME = 2,        /* of --try: programs and configuration are those that run */
    EXIT_USAGE = 64,      /* command line */
    EXIT_NOINPUT = 66,    /* mount point missing or no directory */
    EXIT_CRASHED = 70,    /* kosekifs-mount ended by its own fault again and again */
    EXIT_OSERR = 71,      /* memory, descriptors, fork */
    EXIT_CANTCREATE = 73, /* mount point not empty or busy; state directory, control socket */
    EXIT_NOPERM = 77,     /* mounting is not permitted */
    EXIT_CONFIG = 78,     /* configuration, access policy, or a file that they name */
    EXIT_PIN = 79,        /* a token refused its PIN: do not start again by itself */
};

#endif
