/*
 * OpenSSL's plain primitives behind one header: SHA-256, AES-256-GCM, random numbers, wiping.
 *
 * Thread rule: functions may be called from any thread; an object belongs to one thread at a time.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHA256_SIZE = 32,
    AEAD_KEY_SIZE = 32,   /* AES-256 */
    AEAD_NONCE_SIZE = 12, /* NIST SP 800-38D 5.2.1.1 */
    AEAD_TAG_SIZE = 16,
};

/* -ENOMEM is the only failure. */
_must_use_ int sha256(const void *data, size_t size, uint8_t ret_digest[SHA256_SIZE]);

struct sha256_stream;
/* NULL when memory is short. */
struct sha256_stream *sha256_stream_new(void);
struct sha256_stream *sha256_stream_free(struct sha256_stream *stream);
_must_use_ int sha256_stream_update(struct sha256_stream *stream, const void *data, size_t size);
/* A second stream that goes on from the same point; NULL when memory is short. */
struct sha256_stream *sha256_stream_copy(const struct sha256_stream *stream);
/* Ends the stream; only sha256_stream_free() may follow. */
_must_use_ int sha256_stream_finish(struct sha256_stream *stream, uint8_t ret_digest[SHA256_SIZE]);

static inline void cleanup_sha256_stream(struct sha256_stream **slot)
{
    sha256_stream_free(*slot);
}
#define _cleanup_sha256_stream_ _cleanup_(cleanup_sha256_stream)

/*
 * AES-256-GCM. Writes size bytes of ciphertext and AEAD_TAG_SIZE bytes of tag behind it; `out` may
 * not overlap `plain`. A nonce is used once in the life of a key: the caller's duty.
 */
_must_use_ int aead_seal(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
                         const void *aad, size_t aad_size, const void *plain, size_t size,
                         uint8_t *out);
/*
 * `sealed` holds size bytes of ciphertext and then the tag; `out` takes size bytes and is zeroed
 * when this fails. -EBADMSG: not what was sealed under this key, nonce and AAD.
 */
_must_use_ int aead_open(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
                         const void *aad, size_t aad_size, const uint8_t *sealed, size_t size,
                         uint8_t *out);

/* From the private DRBG. -EIO when no randomness is to be had. */
_must_use_ int random_bytes(void *out, size_t size);

/* Overwrites; not removed by the optimiser. */
void wipe(void *data, size_t size);

/* Constant time in the contents. */
bool memory_equal(const void *a, const void *b, size_t size);

#endif
