/*
 * A PKCS#11 token and the keys on it that we use. The secret never leaves the token: it signs,
 * encrypts and decrypts there.
 *
 * Why the C interface and not OpenSSL's engine for PKCS#11: engines are deprecated in OpenSSL 3,
 * and that one logs in by itself, again after each loss of a session. Here one function logs in,
 * and it sends a PIN only while none was refused:
 *   - a PIN that the token refused is never sent again in the life of the process, and the process
 *     ends with ROOM_EXIT_FINAL if that was at its start;
 *   - if the token says that a wrong PIN was entered since the last login (it keeps that across
 *     everything), nothing is sent until somebody has logged in by other means.
 *
 * A token that is taken away or whose sessions are lost is looked for again by the next call, but
 * not more often than each TOKEN_RETRY_MS: the module is then initialised anew. Calls in between
 * fail at once.
 *
 * Thread rule: one thread.
 */
#ifndef KEYS_TOKEN_H
#define KEYS_TOKEN_H

#include "base/cleanup.h"
#include "base/crypto.h"
#include "base/keys_setup.h"
#include "keys/pin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct token;
struct token_key;

enum { TOKEN_PIN_REFUSED = 1, TOKEN_RETRY_MS = 2000, TOKEN_KEY_MAX = 1 + KEYS_PREVIOUS_MAX + 1 };

enum token_state { TOKEN_THERE, TOKEN_GONE, TOKEN_WITHOUT_LOGIN };

/* Loads the module of [keys] pkcs11_module under pkcs11_environment and initialises it. `pin` is
 * borrowed for the life of the token. Negative errno: ret_message (KEY_LOAD_MESSAGE_MAX bytes)
 * says why. */
_must_use_ int token_new(const struct config_keys *config, const struct pin *pin, char *ret_message,
                         struct token **ret_token);
struct token *token_free(struct token *token);
enum token_state token_state(const struct token *token);

/*
 * The key that a PKCS#11 URI (RFC 7512) names; the first call looks for the token and logs in. All
 * keys must be on one token. Owned by the token. TOKEN_PIN_REFUSED or a negative errno: ret_message
 * says why.
 */
_must_use_ int token_find_private(struct token *token, const char *uri, char *ret_message,
                                  struct token_key **ret_key);
/* An AES key of 256 bits. */
_must_use_ int token_find_secret(struct token *token, const char *uri, char *ret_message,
                                 struct token_key **ret_key);

enum token_scheme { TOKEN_RSA_PSS, TOKEN_RSA_PKCS1, TOKEN_ECDSA };

/*
 * The three operations fail with -ENODEV: the token is not there; -EACCES: it is, and there is no
 * login (see above); -EIO: it does not do it.
 *
 * Signs a digest made with `digest_name` ("SHA256", "SHA384" or "SHA512"). RSA: the signature as it
 * is; ECDSA: r ‖ s.
 */
_must_use_ int token_sign(struct token_key *key, enum token_scheme scheme, const char *digest_name,
                          const uint8_t *digest, size_t digest_size, uint8_t *ret_signature,
                          size_t signature_max, size_t *ret_size);
/* AES-256-GCM as aead_seal() and aead_open(), of at most AEAD_KEY_SIZE bytes. -EBADMSG: not what
 * was sealed. */
_must_use_ int token_seal(struct token_key *key, const uint8_t nonce[AEAD_NONCE_SIZE],
                          const void *aad, size_t aad_size, const void *plain, size_t size,
                          uint8_t *out);
_must_use_ int token_unseal(struct token_key *key, const uint8_t nonce[AEAD_NONCE_SIZE],
                            const void *aad, size_t aad_size, const uint8_t *sealed, size_t size,
                            uint8_t *out);

#endif
