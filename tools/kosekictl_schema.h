/*
 * `kosekictl schema add|list|use|destroy`: the Minister's schemas. Works on the directory itself,
 * after the running daemon has put on record what is going to be done.
 */
#ifndef TOOLS_KOSEKICTL_SCHEMA_H
#define TOOLS_KOSEKICTL_SCHEMA_H

#include "tools/kosekictl_daemon.h"

/* argv[0] is "schema". Exit status for main. */
int kosekictl_schema(const struct kosekictl_options *options, int argc, char **argv);

#endif
