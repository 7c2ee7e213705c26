/* A trail in files, checked against its signed checkpoints: fs/audit_verify.h for a command line.
 */
#ifndef TOOLS_TRAIL_CHECK_H
#define TOOLS_TRAIL_CHECK_H

#include "fs/audit_verify.h"
#include "tools/trail_files.h"

/* `keys`: what checkpoints must be signed with, or NULL. 0, or an exit status after a message. */
int trail_check(const struct trail_files *files, const struct audit_keys *keys,
                audit_fault_report *report, void *context, struct audit_verified *ret_verified);

#endif
