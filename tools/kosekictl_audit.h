/*
 * kosekictl audit: checks, shows and exports an audit trail. Works on files, without a daemon.
 */
#ifndef TOOLS_KOSEKICTL_AUDIT_H
#define TOOLS_KOSEKICTL_AUDIT_H

/* argv[0] is the command. Exit status: 0 done, of verify: no fault; 1 faults; 64 usage; 66
 * unreadable input; 73 output cannot be written. */
int kosekictl_audit(int argc, char **argv);

#endif
