/*
 * The daemon's part of `kosekictl inventory`: puts on record what an approver says is right, and
 * raises the alert when something is not as recorded.
 */
#ifndef FS_CONTROL_INVENTORY_H
#define FS_CONTROL_INVENTORY_H

#include "fs/control.h"

/* {"digest", "reason"} */
struct json *control_inventory(const struct control_call *call, bool *ret_later);
/* {"differences", "first"}, or nothing: replies with the "pid" of the supervisor. */
struct json *control_inventory_check(const struct control_call *call, bool *ret_later);

#endif
