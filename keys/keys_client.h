/*
 * kosekifs-mount's side of kosekifs-keys: wraps and unwraps data keys, signs
 * checkpoints of the audit trail. The master key never leaves
 * the keys process; a data key in clear exists here only while it is in use.
 *
 * Thread rule: any thread; calls on one client take turns under its own lock. A call waits at most
 * KEYS_TIMEOUT_MS for the answer.
 */
#ifndef KEYS_KEYS_CLIENT_H
#define KEYS_KEYS_CLIENT_H

#include "base/cleanup.h"
#include "base/crypto.h"

#include <stddef.h>
#include <stdint.h>

enum {
    KEYS_TIMEOUT_MS = 5000,
    KEYS_AAD_MAX = 64,
    KEYS_STATEMENT_MAX = 512,
    KEYS_SIGNATURE_SIZE = 64, /* Ed25519 */
    KEYS_PUBLIC_KEY_SIZE = 32,
    /* key id (4, big-endian) ‖ nonce ‖ wrapped key ‖ tag */
    KEYS_WRAPPED_SIZE = 4 + AEAD_NONCE_SIZE + AEAD_KEY_SIZE + AEAD_TAG_SIZE,
};

struct keys_client;

_must_use_ int keys_client_new(struct keys_client **ret_client);
struct keys_client *keys_client_free(struct keys_client *client);

/* Gives the client a (new) connection, which it owns; -1 takes the old one away. Calls without a
 * connection wait for one within their timeout. */
void keys_client_connect(struct keys_client *client, int fd);

/* A fresh random data key and its wrapped form, bound to `aad` (at most KEYS_AAD_MAX bytes). */
_must_use_ int keys_client_generate(struct keys_client *client, const void *aad, size_t aad_size,
                                    uint8_t ret_key[AEAD_KEY_SIZE],
                                    uint8_t ret_wrapped[KEYS_WRAPPED_SIZE]);

/* -EBADMSG: not wrapped by our master key under this aad; -EHOSTDOWN: keys process not there. */
_must_use_ int keys_client_unwrap(struct keys_client *client, const void *aad, size_t aad_size,
                                  const uint8_t wrapped[KEYS_WRAPPED_SIZE],
                                  uint8_t ret_key[AEAD_KEY_SIZE]);

/*
 * Signs a statement of 1 to KEYS_STATEMENT_MAX bytes with Ed25519 under a key that is derived from
 * the master key and used for nothing but checkpoints of the audit trail. -EINVAL: too long or
 * empty.
 */
_must_use_ int keys_client_sign_checkpoint(struct keys_client *client, const void *statement,
                                           size_t size, uint8_t ret_signature[KEYS_SIGNATURE_SIZE],
                                           uint8_t ret_public_key[KEYS_PUBLIC_KEY_SIZE]);

#endif
