/*
 * Files of the command line as items of a trust bundle.
 */
#ifndef TOOLS_KOSEKICTL_TRUST_H
#define TOOLS_KOSEKICTL_TRUST_H

#include "base/trust.h"

/* Adds a file, or for revocation lists every file of a directory, in the order of their names. What
 * goes wrong is said on standard error. 0, or the exit status EX_NOINPUT. */
int kosekictl_trust_add(struct buffer *bundle, enum trust_kind kind, const char *path);

#endif
