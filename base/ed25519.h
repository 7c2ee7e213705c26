/*
 * Ed25519 signatures (RFC 8032, not prehashed) over OpenSSL.
 *
 * Thread rule: any thread.
 */
#ifndef BASE_ED25519_H
#define BASE_ED25519_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ED25519_KEY_SIZE = 32, ED25519_SIGNATURE_SIZE = 64 };

/* -EINVAL: OpenSSL refuses the key; -ENOMEM. */
_must_use_ int ed25519_public_key(const uint8_t private_key[ED25519_KEY_SIZE],
                                  uint8_t ret_public_key[ED25519_KEY_SIZE]);
_must_use_ int ed25519_sign(const uint8_t private_key[ED25519_KEY_SIZE], const void *message,
                            size_t size, uint8_t ret_signature[ED25519_SIGNATURE_SIZE]);
/* True only if the signature is that of this key over exactly these bytes. */
_must_use_ bool ed25519_verify(const uint8_t public_key[ED25519_KEY_SIZE], const void *message,
                               size_t size, const uint8_t signature[ED25519_SIGNATURE_SIZE]);

#endif
