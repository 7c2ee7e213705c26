/*
 * kosekictl fetch: any number of certificates at once, with progress on a terminal and one line for
 * each result.
 */
#ifndef TOOLS_KOSEKICTL_FETCH_H
#define TOOLS_KOSEKICTL_FETCH_H

#include "tools/kosekictl_daemon.h"

/* argv[0] is "fetch". */
int kosekictl_fetch(const struct kosekictl_options *options, int argc, char **argv);

#endif
