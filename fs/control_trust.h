/*
 * Commands about trust: what is in force (`trust`), revocation lists and refreshing them (`crl`).
 */
#ifndef FS_CONTROL_TRUST_H
#define FS_CONTROL_TRUST_H

#include "fs/control.h"

struct json *control_trust(const struct control_call *call, bool *ret_later);
struct json *control_crl(const struct control_call *call, bool *ret_later);

#endif
