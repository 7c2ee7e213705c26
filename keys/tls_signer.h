/*
 * The private key of our TLS client certificate: RSA of 2048 to 8192 bits or EC P-256, from an
 * unencrypted PKCS#8 PEM block. Signs handshakes (keys/handshake.h) and nothing else.
 */
#ifndef KEYS_TLS_SIGNER_H
#define KEYS_TLS_SIGNER_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/sign.h"
#include "keys/master_key.h"

struct tls_signer;

/* Reads the whole of `fd`, then signs and verifies once, so that a key that does not work is found
 * at start. -EINVAL: no such key; ret_message (KEY_LOAD_MESSAGE_MAX bytes) says why, as for every
 * other failure. */
_must_use_ int tls_signer_load(int fd, char *ret_message, struct tls_signer **ret_signer);
/* -EINVAL, explained in ret_message, unless the first certificate of the PEM text is for this key.
 */
_must_use_ int tls_signer_check_certificate(const struct tls_signer *signer, struct bytes pem,
                                            char *ret_message);
struct tls_signer *tls_signer_free(struct tls_signer *signer);

/* Answers into ret_reply->error: -EPERM if the content is no handshake of ours, -EOPNOTSUPP if the
 * scheme is unknown or does not fit the key, -EIO if signing fails. */
void tls_signer_sign(const struct tls_signer *signer, const struct sign_request *request,
                     struct sign_reply *ret_reply);

#endif
