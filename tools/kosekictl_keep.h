/*
 * kosekictl export, fsck and rotate-key, carried out by the running daemon; called from the table
 * in kosekictl_daemon.c with the connected request.
 */
#ifndef TOOLS_KOSEKICTL_KEEP_H
#define TOOLS_KOSEKICTL_KEEP_H

#include "tools/asking.h"

/* export NAME --to FILE --reason TEXT [--approver NAME] */
int kosekictl_export(struct asking *asking, int argc, char **argv);
/* fsck [--repair | --refetch] */
int kosekictl_fsck(struct asking *asking, int argc, char **argv);
/* rotate-key --reason TEXT [--approver NAME] [--destroy-old [--config FILE]] */
int kosekictl_rotate_key(struct asking *asking, int argc, char **argv);

#endif
