/*
 * kosekictl's side of the control socket: one JSON object there, one back.
 */
#ifndef TOOLS_CONTROL_CLIENT_H
#define TOOLS_CONTROL_CLIENT_H

#include "base/cleanup.h"

struct json;

enum { CONTROL_CLIENT_REPLY_MAX = 8 * 1024 * 1024, CONTROL_CLIENT_WAIT_S = 2 * 3600 };

/* A connected socket, or a negative errno. */
_must_use_ int control_client_connect(const char *path);
/* Sends `request`, with `fd_count` descriptors, and waits for the reply. -EPROTO: no reply, or none
 * that makes sense. */
_must_use_ int control_client_ask_with(int fd, const struct json *request, const int *fds,
                                       unsigned fd_count, struct json **ret_reply);
_must_use_ int control_client_ask(int fd, const struct json *request, struct json **ret_reply);

#endif
