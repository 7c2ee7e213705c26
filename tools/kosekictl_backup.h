/*
 * kosekictl backup, carried out by the running daemon on files opened here; kosekictl restore and
 * kosekictl switch, which work while no daemon runs.
 */
#ifndef TOOLS_KOSEKICTL_BACKUP_H
#define TOOLS_KOSEKICTL_BACKUP_H

#include "tools/asking.h"

/* backup DIRECTORY [--full] */
int kosekictl_backup(struct asking *asking, int argc, char **argv);
/* restore --from DIRECTORY --ledger DIRECTORY --to DIRECTORY [--number N] */
int kosekictl_restore(int argc, char **argv);

/* switch [--config FILE]: the replica becomes the store. In kosekictl_switch.c. */
int kosekictl_switch(int argc, char **argv);

#endif
