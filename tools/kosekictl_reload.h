/* `kosekictl reload` and `upgrade`: what stands on the disk is put to work, if it works. */
#ifndef TOOLS_KOSEKICTL_RELOAD_H
#define TOOLS_KOSEKICTL_RELOAD_H

#include "tools/asking.h"

/* Arguments as kosekictl_daemon() hands them to every command. An exit status. */
int kosekictl_reload(struct asking *asking, int argc, char **argv);

#endif
