/* `kosekictl scan`: stored certificates are verified and scanned for malware once more. */
#ifndef FS_CONTROL_SCAN_H
#define FS_CONTROL_SCAN_H

#include "fs/control.h"

/* {"name"}: answered when it is done; {"all": true}: at once, it goes on in the background. */
struct json *control_scan(const struct control_call *call, bool *ret_later);

#endif
