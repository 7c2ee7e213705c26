/*
 * `kosekictl purge`, `hold` and `release`: what the person responsible decides about certificates
 * that are stored. Carried out by the store thread, one certificate after the other; each is on
 * record before it is touched.
 */
#ifndef FS_CONTROL_PURGE_H
#define FS_CONTROL_PURGE_H

#include "fs/control.h"

enum { CONTROL_NAMES_MAX = 200 };

/*
 * {"names": […], "reason", "approver"}. The approver is a name for the record; it may be left out
 * when a second person confirms. Answers {"results": [{"name", "result"}]}, where result is
 * "erased", or "erased; pending: …" while a copy on another disk cannot be reached, or why not.
 */
struct json *control_purge(const struct control_call *call, bool *ret_later);
/* {"names": […], "reason", "approver"}; "hold" and "release". */
struct json *control_hold(const struct control_call *call, bool *ret_later);

#endif
