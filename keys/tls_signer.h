/*
 * The private key of our TLS client certificate: RSA of 2048 to 8192 bits or EC P-256, from a file
 * or on a token. Signs handshakes (keys/handshake.h, keys/handshake12.h) and nothing else.
 */
#ifndef KEYS_TLS_SIGNER_H
#define KEYS_TLS_SIGNER_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/sign.h"
#include "keys/client_certificate.h"
#include "keys/master_key.h"
#include "keys/token.h"

struct tls_signer;

/*
 * Both sign and verify once, so that a key that does not work, or is not that of the certificate,
 * is found at start. `certificate` is borrowed, as the token's key is. -EINVAL: no such key;
 * ret_message (KEY_LOAD_MESSAGE_MAX bytes) says why, as for every other failure.
 *
 * Reads the whole of `fd`.
 */
_must_use_ int tls_signer_of_file(int fd, const struct client_certificate *certificate,
                                  char *ret_message, struct tls_signer **ret_signer);
_must_use_ int tls_signer_of_token(struct token_key *key,
                                   const struct client_certificate *certificate, char *ret_message,
                                   struct tls_signer **ret_signer);
struct tls_signer *tls_signer_free(struct tls_signer *signer);

/* Answers into ret_reply->error: -EPERM if the content is no handshake of ours, -EOPNOTSUPP if the
 * scheme is unknown or does not fit the key, those of token_sign(), -EIO if signing fails. */
void tls_signer_sign(const struct tls_signer *signer, const struct sign_request *request,
                     struct sign_reply *ret_reply);
/* The same for TLS 1.2. */
void tls_signer_sign12(const struct tls_signer *signer, uint32_t scheme, struct bytes content,
                       struct sign_reply *ret_reply);

#endif
