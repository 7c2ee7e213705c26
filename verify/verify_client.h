/*
 * kosekifs-mount's side of kosekifs-verify. A worker handles one document at a time; the caller
 * keeps the queue and the deadline.
 */
#ifndef VERIFY_VERIFY_CLIENT_H
#define VERIFY_VERIFY_CLIENT_H

#include "base/cleanup.h"
#include "base/verdict.h"
#include "verify/verify.h"

#include <stdint.h>

/* Sends a sealed memory file; it stays the caller's. -EAGAIN, -EPIPE as ipc_send(). */
_must_use_ int verify_client_submit(int fd, uint64_t id, const struct verify_request *request,
                                    int memfd);

/* Receives one verdict and its request's id. IPC_CLOSED, -EAGAIN, -EBADMSG as ipc_receive(). The
 * caller compares id, document size and digest with what it submitted. */
_must_use_ int verify_client_receive(int fd, uint64_t *ret_id, struct verdict *ret_verdict);

#endif
