/* `kosekictl backup`: the running store into a file that kosekictl opened. */
#ifndef FS_CONTROL_BACKUP_H
#define FS_CONTROL_BACKUP_H

#include "fs/control.h"

/* {"number"} and an empty file open for reading and writing; with the backup before it, open for
 * reading, as second descriptor, only what that one has not is written. Answers {"certificates",
 * "written", "damaged", "bytes", "milliseconds"} after the file was read back. */
struct json *control_backup(const struct control_call *call, bool *ret_later);

#endif
