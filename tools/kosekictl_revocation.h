/* `kosekictl trust` and `kosekictl crl`: anchors, signers and revocation lists of the daemon. */
#ifndef TOOLS_KOSEKICTL_REVOCATION_H
#define TOOLS_KOSEKICTL_REVOCATION_H

#include "tools/asking.h"

/* Exit statuses. */
int kosekictl_show_trust(struct asking *asking, int argc, char **argv);
int kosekictl_show_crl(struct asking *asking, int argc, char **argv);

#endif
