/*
 * `kosekictl trust check|add|remove`: the trust anchors. They are files of root's, which kosekictl
 * changes; the running daemon puts on record what is going to be done before it is done, and reads
 * the files anew afterwards. What it refuses is undone.
 */
#ifndef TOOLS_KOSEKICTL_ANCHORS_H
#define TOOLS_KOSEKICTL_ANCHORS_H

#include "tools/kosekictl_daemon.h"

/* argv[0] is "trust", argv[1] the action. Exit status for main. */
int kosekictl_anchors(const struct kosekictl_options *options, int argc, char **argv);
bool kosekictl_anchors_has(const char *action);

#endif
