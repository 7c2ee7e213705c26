/* kosekictl revalidate [--apply] [--reason TEXT] [--after NUMBER] | --follow | --stop: everything
 * stored is verified once more, and what would change is printed as it is found. */
#ifndef TOOLS_KOSEKICTL_REVALIDATE_H
#define TOOLS_KOSEKICTL_REVALIDATE_H

#include "tools/asking.h"

int kosekictl_revalidate(struct asking *asking, int argc, char **argv);

#endif
