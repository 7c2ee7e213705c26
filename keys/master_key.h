/*
 * One generation of the master key. It wraps data keys with AES-256-GCM under random nonces, so it
 * may wrap 2^32 keys (NIST SP 800-38D 8.3), one for each version of each certificate.
 *
 * Either 32 bytes of a file, held in locked memory from start to end of kosekifs-keys and never
 * sent anywhere; or an AES key on a token, which does each wrap and unwrap, so that whoever takes
 * over kosekifs-keys can use the key while he is there and take nothing away. The price is that no
 * data key can be had while the token is away. Wrapped forms are the same.
 *
 * What else is derived from the master key (its id, the key of audit checkpoints) is
 * SHA-256(label ‖ root). The root of a file's key is the key itself. That of a token's key is the
 * token's AES-256-GCM of 32 zero bytes under the nonce "kosekifs-drv" with the AAD "kosekifs
 * master key root 1", without its tag: a block of key stream that nothing else shows, since wraps
 * have random nonces; made once at start and held in locked memory.
 */
#ifndef KEYS_MASTER_KEY_H
#define KEYS_MASTER_KEY_H

#include "base/cleanup.h"
#include "keys/keys_client.h"

struct master_key;
struct token_key;

enum { KEY_LOAD_MESSAGE_MAX = 256 };

/* Reads the whole of `fd`. -EINVAL: not a master key file; ret_message (KEY_LOAD_MESSAGE_MAX bytes)
 * says why, as for every other failure. */
_must_use_ int master_key_of_file(int fd, char *ret_message, struct master_key **ret_key);
/* Borrows the token's key. Fails as the other does, when the token does not do AES-256-GCM under
 * nonces that it is given. */
_must_use_ int master_key_of_token(struct token_key *token_key, char *ret_message,
                                   struct master_key **ret_key);
struct master_key *master_key_free(struct master_key *key);

/* KEYS_ID_SIZE bytes, valid as long as the key. */
const uint8_t *master_key_id(const struct master_key *key);

_must_use_ int master_key_wrap(const struct master_key *key, const void *aad, size_t aad_size,
                               const uint8_t data_key[AEAD_KEY_SIZE],
                               uint8_t ret_wrapped[KEYS_WRAPPED_SIZE]);
/* A fresh random data key and its wrapped form. */
_must_use_ int master_key_generate(const struct master_key *key, const void *aad, size_t aad_size,
                                   uint8_t ret_data_key[AEAD_KEY_SIZE],
                                   uint8_t ret_wrapped[KEYS_WRAPPED_SIZE]);
/* -EBADMSG: not wrapped by this key under this aad. Wrapping and unwrapping on a token fail as
 * token_sign() does. */
_must_use_ int master_key_unwrap(const struct master_key *key, const void *aad, size_t aad_size,
                                 const uint8_t wrapped[KEYS_WRAPPED_SIZE],
                                 uint8_t ret_data_key[AEAD_KEY_SIZE]);

/* Ed25519 under the checkpoint key, SHA-256(label ‖ root): kept apart from the others by its label.
 */
_must_use_ int master_key_sign(const struct master_key *key, const void *statement, size_t size,
                               uint8_t ret_signature[KEYS_SIGNATURE_SIZE],
                               uint8_t ret_public_key[KEYS_PUBLIC_KEY_SIZE]);

#endif
