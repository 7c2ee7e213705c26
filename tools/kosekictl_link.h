/* `kosekictl link test`: what the daemon finds when it tries the link system step by step. */
#ifndef TOOLS_KOSEKICTL_LINK_H
#define TOOLS_KOSEKICTL_LINK_H

#include "tools/asking.h"

/* link test [ADDRESS] [--name NAME]. 0: all is well; 1: a step failed, or nothing could be tried;
 * 2: warnings. */
int kosekictl_link(struct asking *asking, int argc, char **argv);

#endif
