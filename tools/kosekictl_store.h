/*
 * Commands of kosekictl on what is stored that the running daemon carries out; called from the
 * table in kosekictl_daemon.c with the connected request.
 */
#ifndef TOOLS_KOSEKICTL_STORE_H
#define TOOLS_KOSEKICTL_STORE_H

#include "tools/asking.h"

/* purge, hold, release NAME... --reason TEXT [--approver NAME] */
int kosekictl_decide(struct asking *asking, int argc, char **argv);

/* erasures FILE [--key HEX]: checks the record of erasures, without a daemon. */
int kosekictl_erasures(int argc, char **argv);

#endif
