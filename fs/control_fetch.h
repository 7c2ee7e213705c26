/*
 * `kosekictl fetch NAME [--again]`: brings a certificate into the store the way an open does, a
 * look-up first, then the content, without giving anybody its bytes.
 */
#ifndef FS_CONTROL_FETCH_H
#define FS_CONTROL_FETCH_H

#include "fs/control.h"

struct json *control_fetch(const struct control_call *call, bool *ret_later);

/* {"ok": true} and {"ok": false, "error": …}; NULL when memory is short. In control_commands.c. */
struct json *control_reply_ok(void);
struct json *control_reply_error(const char *format, ...) _printf_(1, 2);

/* What is under way. Asked several times a second while a fetch runs, which is on record, so it is
 * not recorded itself. */
struct json *control_progress(const struct control_call *call, bool *ret_later);

#endif
