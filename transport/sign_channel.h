/*
 * The connection to kosekifs-keys, which holds the private key of our client certificate: one
 * question at a time, asked from inside a TLS handshake, so the caller waits for the answer.
 *
 * The supervisor hands in a new connection whenever kosekifs-keys (re)appears. A silent
 * kosekifs-keys costs SIGN_TIMEOUT_MS once; after that, questions fail at once until a new
 * connection comes or SIGN_REST_MS have passed, so that the loop is not held up by each handshake.
 */
#ifndef TRANSPORT_SIGN_CHANNEL_H
#define TRANSPORT_SIGN_CHANNEL_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/sign.h"

#include <stdbool.h>
#include <stdint.h>

enum { SIGN_TIMEOUT_MS = 5000, SIGN_REST_MS = 5000 };

struct sign_channel {
    int fd;     /* -1: kosekifs-keys is not there */
    bool tls12; /* handshakes of TLS 1.2 may be signed too */
    uint64_t next_id;
    int64_t resting_until_ms;
    uint64_t signature_count; /* given */
    uint64_t failure_count;   /* grows with each signature that was not given */
    int last_error;           /* why the last one was not: negative errno */
};

void sign_channel_init(struct sign_channel *channel, bool tls12);
void sign_channel_done(struct sign_channel *channel);
/* Owns fd from here on. */
void sign_channel_connect(struct sign_channel *channel, int fd);

/*
 * -EPERM: kosekifs-keys refuses, or `content` is no TLS 1.3 client CertificateVerify (nor, with
 * tls12, short enough to be one of TLS 1.2) and was not sent; -EHOSTDOWN: not there; -ETIMEDOUT;
 * -EBUSY: too many in a short time; -ENODEV: its token is away; -EACCES: no login to its token;
 * -EBADMSG: an answer that makes no sense; -ENOBUFS: the signature is larger than `ret_max`.
 */
_must_use_ int sign_channel_sign(struct sign_channel *channel, enum sign_scheme scheme,
                                 struct bytes content, uint8_t *ret_signature, size_t ret_max,
                                 size_t *ret_size);

/* Why the last signature was not given, for the operator. */
const char *sign_channel_reason(const struct sign_channel *channel);

#endif
