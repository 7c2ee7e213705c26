/*
 * What speaks against a trust anchor before anything was signed under it: a path that ends at it
 * could never hold.
 */
#ifndef VERIFY_ANCHOR_H
#define VERIFY_ANCHOR_H

#include "verify/trust_store.h"

/* Looks at every anchor of a trust whose store is ready. -EINVAL: ret_message (VERDICT_TEXT_MAX
 * bytes) names the first that cannot be used, and why; -ENOMEM. */
_must_use_ int anchor_check_all(const struct verify_trust *trust, char *ret_message);

#endif
