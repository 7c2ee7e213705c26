/*
 * Our TLS client certificate, the first of [link] certificate_file: the public half of the TLS key,
 * and what the operator wants to know of it.
 */
#ifndef KEYS_CLIENT_CERTIFICATE_H
#define KEYS_CLIENT_CERTIFICATE_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "keys/keys_client.h"

#include <openssl/types.h>
#include <stdint.h>

struct client_certificate {
    X509 *x509;
    struct bytes der;     /* owned */
    EVP_PKEY *public_key; /* of x509 */
    int64_t not_after_s;
    char subject[KEYS_SUBJECT_SIZE]; /* RFC 2253; cut at its end */
};

/* -EINVAL, explained in ret_message (KEY_LOAD_MESSAGE_MAX bytes): not a certificate. */
_must_use_ int client_certificate_init(struct client_certificate *certificate, struct bytes pem,
                                       char *ret_message);
void client_certificate_done(struct client_certificate *certificate);

#endif
