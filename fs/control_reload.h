/*
 * Commands that the supervisor carries out: "reload" and "upgrade". The answer comes when what
 * stands on the disk was tried: "state" says what was done, or "error" why nothing was.
 */
#ifndef FS_CONTROL_RELOAD_H
#define FS_CONTROL_RELOAD_H

#include "fs/control.h"

struct json *control_reload(const struct control_call *call, bool *ret_later);

/* The supervisor's answer to the request of a peer. Any thread. */
void control_reloaded(struct control *control, uint64_t peer, int error, const char *text);

#endif
