/* `kosekictl seal`, `unseal`, `seals`: stopping to serve, at once, and beginning again. */
#ifndef TOOLS_KOSEKICTL_SEAL_H
#define TOOLS_KOSEKICTL_SEAL_H

#include "tools/asking.h"

/* Arguments as kosekictl_daemon() hands them to every command. An exit status. */
int kosekictl_seal(struct asking *asking, int argc, char **argv);
int kosekictl_unseal(struct asking *asking, int argc, char **argv);
int kosekictl_seals(struct asking *asking, int argc, char **argv);

#endif
