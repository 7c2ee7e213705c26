#include "base/ed25519.h"

#include <openssl/evp.h>
#include <string.h>

static void cleanup_key(EVP_PKEY **slot)
{
    EVP_PKEY_free(*slot);
}

static void cleanup_context(EVP_MD_CTX **slot)
{
    EVP_MD_CTX_free(*slot);
}

int ed25519_public_key(const uint8_t private_key[ED25519_KEY_SIZE],
                       uint8_t ret_public_key[ED25519_KEY_SIZE])
{
    _cleanup_(cleanup_key) EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, ED25519_KEY_SIZE);
    uint8_t out[ED25519_KEY_SIZE];
    size_t size = sizeof out;
    if (!key || EVP_PKEY_get_raw_public_key(key, out, &size) != 1 || size != sizeof out)
        return -EINVAL;
    memcpy(ret_public_key, out, sizeof out);
    return 0;
}

int ed25519_sign(const uint8_t private_key[ED25519_KEY_SIZE], const void *message, size_t size,
                 uint8_t ret_signature[ED25519_SIGNATURE_SIZE])
{
    _cleanup_(cleanup_key) EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, ED25519_KEY_SIZE);
    _cleanup_(cleanup_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!key)
        return -EINVAL;
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    size_t signature_size = sizeof signature;
    if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &signature_size, message, size) != 1 ||
        signature_size != sizeof signature)
        return -ENOMEM;
    memcpy(ret_signature, signature, sizeof signature);
    return 0;
}

bool ed25519_verify(const uint8_t public_key[ED25519_KEY_SIZE], const void *message, size_t size,
                    const uint8_t signature[ED25519_SIGNATURE_SIZE])
{
    _cleanup_(cleanup_key) EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, ED25519_KEY_SIZE);
    _cleanup_(cleanup_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    return key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
           EVP_DigestVerify(context, signature, ED25519_SIGNATURE_SIZE, message, size) == 1;
}
