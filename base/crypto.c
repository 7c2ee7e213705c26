/*
 * OpenSSL 3's fetched algorithms. The two that are used are fetched once: a fetch by name takes
 * about as long as digesting 4 KiB. They are kept until the end: threads may still run during exit.
 */
#include "base/crypto.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

/* EVP_*Update() counts in int. */
enum { UPDATE_MAX = 1 << 30 };

static CRYPTO_ONCE fetch_once = CRYPTO_ONCE_STATIC_INIT;
static EVP_MD *fetched_sha256;
static EVP_CIPHER *fetched_aes_256_gcm;

static void fetch(void)
{
    fetched_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    fetched_aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

static const EVP_MD *sha256_algorithm(void)
{
    return CRYPTO_THREAD_run_once(&fetch_once, fetch) ? fetched_sha256 : NULL;
}

static const EVP_CIPHER *aead_algorithm(void)
{
    return CRYPTO_THREAD_run_once(&fetch_once, fetch) ? fetched_aes_256_gcm : NULL;
}

struct sha256_stream {
    EVP_MD_CTX *context;
};

struct sha256_stream *sha256_stream_new(void)
{
    const EVP_MD *algorithm = sha256_algorithm();
    _cleanup_sha256_stream_ struct sha256_stream *stream = calloc(1, sizeof *stream);
    if (!stream || !algorithm)
        return NULL;
    stream->context = EVP_MD_CTX_new();
    if (!stream->context || EVP_DigestInit_ex2(stream->context, algorithm, NULL) != 1)
        return NULL;
    return steal_ptr(&stream);
}

struct sha256_stream *sha256_stream_free(struct sha256_stream *stream)
{
    if (stream) {
        EVP_MD_CTX_free(stream->context);
        free(stream);
    }
    return NULL;
}

int sha256_stream_update(struct sha256_stream *stream, const void *data, size_t size)
{
    return EVP_DigestUpdate(stream->context, data, size) == 1 ? 0 : -ENOMEM;
}

struct sha256_stream *sha256_stream_copy(const struct sha256_stream *stream)
{
    _cleanup_sha256_stream_ struct sha256_stream *copy = sha256_stream_new();

    if (!copy || EVP_MD_CTX_copy_ex(copy->context, stream->context) != 1)
        return NULL;
    return steal_ptr(&copy);
}

int sha256_stream_finish(struct sha256_stream *stream, uint8_t ret_digest[SHA256_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_DigestFinal_ex(stream->context, digest, &size) != 1 || size != SHA256_SIZE)
        return -ENOMEM;
    memcpy(ret_digest, digest, SHA256_SIZE);
    return 0;
}

int sha256(const void *data, size_t size, uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    if (!stream)
        return -ENOMEM;
    int r = sha256_stream_update(stream, data, size);
    if (r < 0)
        return r;
    return sha256_stream_finish(stream, ret_digest);
}

static void cleanup_cipher(EVP_CIPHER_CTX **slot)
{
    EVP_CIPHER_CTX_free(*slot);
}

/* With a NULL `out` the bytes are additional authenticated data. */
static bool cipher_update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t size)
{
    while (size > 0) {
        int part = size < UPDATE_MAX ? (int)size : UPDATE_MAX;
        int written = 0;
        if (EVP_CipherUpdate(context, out, &written, in, part) != 1 || (out && written != part))
            return false;
        in += part;
        out = out ? out + part : NULL;
        size -= (size_t)part;
    }
    return true;
}

static EVP_CIPHER_CTX *cipher_new(const uint8_t *key, const uint8_t *nonce, int sealing)
{
    const EVP_CIPHER *algorithm = aead_algorithm();
    __attribute__((cleanup(cleanup_cipher))) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (!algorithm || !context ||
        EVP_CipherInit_ex2(context, algorithm, key, nonce, sealing, NULL) != 1)
        return NULL;
    return steal_ptr(&context);
}

int aead_seal(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
              const void *aad, size_t aad_size, const void *plain, size_t size, uint8_t *out)
{
    __attribute__((cleanup(cleanup_cipher))) EVP_CIPHER_CTX *context = cipher_new(key, nonce, 1);
    uint8_t nothing[AEAD_TAG_SIZE];
    int written = 0;
    if (!context || !cipher_update(context, NULL, aad, aad_size) ||
        !cipher_update(context, out, plain, size) ||
        EVP_CipherFinal_ex(context, nothing, &written) != 1 || written != 0 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, out + size) != 1)
        return -ENOMEM;
    return 0;
}

int aead_open(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
              const void *aad, size_t aad_size, const uint8_t *sealed, size_t size, uint8_t *out)
{
    __attribute__((cleanup(cleanup_cipher))) EVP_CIPHER_CTX *context = cipher_new(key, nonce, 0);
    uint8_t tag[AEAD_TAG_SIZE];
    uint8_t nothing[AEAD_TAG_SIZE];
    int written = 0;
    int r = -ENOMEM;

    memcpy(tag, sealed + size, sizeof tag);
    if (context && cipher_update(context, NULL, aad, aad_size) &&
        cipher_update(context, out, sealed, size) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) == 1) {
        if (EVP_CipherFinal_ex(context, nothing, &written) == 1 && written == 0)
            return 0;
        r = -EBADMSG;
    }
    /* What was decrypted before the tag failed must reach nobody. */
    wipe(out, size);
    ERR_clear_error();
    return r;
}

int random_bytes(void *out, size_t size)
{
    uint8_t *next = out;
    while (size > 0) {
        int part = size < UPDATE_MAX ? (int)size : UPDATE_MAX;
        if (RAND_priv_bytes(next, part) != 1)
            return -EIO;
        next += part;
        size -= (size_t)part;
    }
    return 0;
}

void wipe(void *data, size_t size)
{
    OPENSSL_cleanse(data, size);
}

bool memory_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
