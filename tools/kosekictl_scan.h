/* `kosekictl scan NAME ... | --all`: stored certificates are scanned for malware once more. */
#ifndef TOOLS_KOSEKICTL_SCAN_H
#define TOOLS_KOSEKICTL_SCAN_H

#include "tools/asking.h"

/* Arguments as kosekictl_daemon() hands them to every command. An exit status: that of the first
 * certificate that failed. */
int kosekictl_scan(struct asking *asking, int argc, char **argv);

#endif
