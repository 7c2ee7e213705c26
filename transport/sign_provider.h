/*
 * The OpenSSL provider through which TLS uses a private key that is not in this process. It offers
 * one thing: a key object that has the public key of our certificate, claims to have the private
 * one, and signs by asking kosekifs-keys. Nothing else is ever asked of that key: no decryption,
 * no export.
 *
 * Thread rule: the thread that runs the TLS handshakes.
 */
#ifndef TRANSPORT_SIGN_PROVIDER_H
#define TRANSPORT_SIGN_PROVIDER_H

#include "base/cleanup.h"
#include "transport/sign_channel.h"

#include <openssl/types.h>

struct sign_provider {
    OSSL_PROVIDER *base; /* OpenSSL's own */
    OSSL_PROVIDER *sign;
};

/* Registers the provider; once in the life of the process, before any TLS. -EIO: OpenSSL does not
 * take it. */
_must_use_ int sign_provider_load(struct sign_provider *ret_provider);
/* After the last key is gone. */
void sign_provider_unload(struct sign_provider *provider);

/* A key for `public_key`, RSA or EC P-256, that signs over `channel`, which must outlive it.
 * -ENOTSUP for other kinds of key. The caller frees with EVP_PKEY_free(). */
_must_use_ int sign_provider_key(struct sign_channel *channel, EVP_PKEY *public_key,
                                 EVP_PKEY **ret_key);

#endif
