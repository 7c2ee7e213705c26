/*
 * Commands about trust: what is in force (`trust`), revocation lists and refreshing them (`crl`).
 * Anchors are files, which kosekictl changes; `trust-change` puts on record what it is going to do,
 * and has it confirmed where the access policy wants that.
 */
#ifndef FS_CONTROL_TRUST_H
#define FS_CONTROL_TRUST_H

#include "fs/control.h"

struct json *control_trust(const struct control_call *call, bool *ret_later);
struct json *control_trust_change(const struct control_call *call, bool *ret_later);
struct json *control_crl(const struct control_call *call, bool *ret_later);

#endif
