/*
 * `kosekictl export`, `rotate-key` and `fsck`: a certificate is handed over, the store comes under
 * a new master key, everything stored is looked at.
 */
#ifndef FS_CONTROL_KEEP_H
#define FS_CONTROL_KEEP_H

#include "fs/control.h"

/* {"name", "reason", "approver"} and a file open for writing. */
struct json *control_export(const struct control_call *call, bool *ret_later);
/* {"reason", "approver"}. Answers when nothing is left under an older master key. */
struct json *control_rotate_key(const struct control_call *call, bool *ret_later);
/* {}; with "repair": true what is damaged is forgotten, so that it can be fetched again. Answers
 * {"certificates", "bytes", "damage": [{"what", "name"}], "more"}. */
struct json *control_fsck(const struct control_call *call, bool *ret_later);

#endif
