/*
 * Everything that kosekifs-keys holds: the generations of the master key, the TLS key with its
 * certificate, and the token, if any of them is on one. Read once from what the supervisor sent.
 *
 * Thread rule: the process has one thread.
 */
#ifndef KEYS_KEY_SET_H
#define KEYS_KEY_SET_H

#include "base/ipc.h"
#include "keys/client_certificate.h"
#include "keys/key_ring.h"
#include "keys/tls_signer.h"
#include "keys/token.h"

#include <stdbool.h>

struct key_set {
    struct pin *pin;     /* in locked memory */
    struct token *token; /* NULL: none is used */
    struct key_ring ring;
    struct client_certificate certificate;
    struct tls_signer *signer;
    bool tls12; /* its handshakes are signed too */
    int64_t signatures_per_second, signatures_burst;
    enum keys_source master_source, tls_source;
};

/* Ends the process with ROOM_FAILED when a key cannot be had, for good when the token refused its
 * PIN. */
void key_set_load(struct key_set *set, const struct ipc_message *setup);
void key_set_done(struct key_set *set);

#endif
