/*
 * Messages between the processes: one SOCK_SEQPACKET packet each, a fixed header, a payload of at
 * most IPC_PAYLOAD_MAX bytes and up to IPC_FD_MAX descriptors. Both sides are the same build, so
 * payloads are plain structs or the encodings of base/; every receiver still checks type, size and
 * count of descriptors before it looks inside, since a process that parses hostile bytes may have
 * been taken over.
 *
 * Thread rule: a message is one packet, so several threads may send on one socket; one thread
 * receives.
 */
#ifndef BASE_IPC_H
#define BASE_IPC_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

enum {
    IPC_PAYLOAD_MAX = 60 * 1024,
    IPC_FD_MAX = 8,
    IPC_CLOSED = 1, /* the peer is gone; what ipc_receive() returns then */
};

struct ipc_message {
    uint32_t type;
    uint64_t id; /* of the request; an answer repeats it */
    size_t size; /* of the payload */
    unsigned fd_count;
    int fds[IPC_FD_MAX]; /* owned by the message: take with steal_fd() */
    _Alignas(16) uint8_t payload[IPC_PAYLOAD_MAX];
};

/* A connected pair, both ends CLOEXEC and blocking. */
_must_use_ int ipc_pair(int ret_fds[2]);

/*
 * Sends one message; the descriptors stay the caller's. -EAGAIN: the queue of a non-blocking
 * socket is full; -EPIPE: the peer is gone; -EMSGSIZE: more than the ceilings allow.
 */
_must_use_ int ipc_send(int fd, uint32_t type, uint64_t id, const void *payload, size_t size,
                        const int *fds, unsigned fd_count);

/*
 * Receives one message into `ret_message`, which needs no initialisation and must be given to
 * ipc_message_done() after a return of 0. IPC_CLOSED: the peer is gone. -EAGAIN: nothing there on
 * a non-blocking socket. -EBADMSG: a packet that is not a message; it was dropped with all its
 * descriptors.
 */
_must_use_ int ipc_receive(int fd, struct ipc_message *ret_message);

/* As ipc_receive(), waiting at most timeout_ms; -ETIMEDOUT. */
_must_use_ int ipc_receive_timeout(int fd, int timeout_ms, struct ipc_message *ret_message);

/* Closes the descriptors that nobody took. */
void ipc_message_done(struct ipc_message *message);

/* Copies the payload if it has exactly `size` bytes and the message `fd_count` descriptors;
 * -EBADMSG otherwise. */
_must_use_ int ipc_message_take(const struct ipc_message *message, void *ret_payload, size_t size,
                                unsigned fd_count);

/* True if `text`, an array inside a received struct, has a NUL within its `size` bytes. */
_must_use_ int ipc_text_ok(const char *text, size_t size);

#define _cleanup_ipc_message_ _cleanup_(ipc_message_done)

#endif
