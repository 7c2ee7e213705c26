/*
 * `kosekictl schema add|use|destroy`. kosekictl works on the directory of
 * schemas (fs/schema_change.h); the daemon's part is to put on record what is going to be done,
 * before it is done, and to see to the second person.
 */
#ifndef FS_CONTROL_SCHEMA_H
#define FS_CONTROL_SCHEMA_H

#include "fs/control.h"

/* {"action", "name", "version", "digest", "reason"}: goes on record as configuration. */
struct json *control_schema(const struct control_call *call, bool *ret_later);

/* For commands that only who asked can carry out, as he has the files: the second person's word is
 * kept for him. */
struct json *control_keep_confirmed(const struct control_call *call);

#endif
