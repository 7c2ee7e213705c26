/* `kosekictl inventory record|check|show`: whether what runs here is what somebody approved. */
#ifndef TOOLS_KOSEKICTL_INVENTORY_H
#define TOOLS_KOSEKICTL_INVENTORY_H

#include "tools/kosekictl_daemon.h"

/* argv[0] is "inventory". Exit status for main. */
int kosekictl_inventory(const struct kosekictl_options *options, int argc, char **argv);

#endif
