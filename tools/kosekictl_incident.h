/* `kosekictl incident open|note|set|report|close|list`: from the first suspicion to the dossier for
 * the Minister's office. Works on files; what was written goes on record if the daemon is there. */
#ifndef TOOLS_KOSEKICTL_INCIDENT_H
#define TOOLS_KOSEKICTL_INCIDENT_H

#include "tools/kosekictl_daemon.h"

/* argv[0] is "incident". Exit status for main. */
int kosekictl_incident(const struct kosekictl_options *options, int argc, char **argv);

#endif
