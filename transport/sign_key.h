/*
 * The key object of the signing provider: public parts, and the channel to the process that has
 * the private one. Reference-counted, since OpenSSL's key and its signature contexts share it.
 */
#ifndef TRANSPORT_SIGN_KEY_H
#define TRANSPORT_SIGN_KEY_H

#include "transport/sign_channel.h"

#include <openssl/core_dispatch.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIGN_MODULUS_MAX = SIGN_SIGNATURE_MAX, /* an RSA signature is as long as the modulus */
    SIGN_EXPONENT_MAX = 8,
    SIGN_POINT_MAX = 65, /* uncompressed point of P-256 */
    SIGN_ECDSA_MAX = 72, /* DER of two 256-bit numbers */
};

/* Name of the parameter that carries the channel into a new key. */
#define SIGN_KEY_PARAM_CHANNEL "kosekifs-sign-channel"

struct sign_key {
    unsigned references;
    struct sign_channel *channel;
    bool ec;
    uint8_t modulus[SIGN_MODULUS_MAX]; /* numbers in OpenSSL's native form, little-endian here */
    size_t modulus_size;
    uint8_t exponent[SIGN_EXPONENT_MAX];
    size_t exponent_size;
    uint8_t point[SIGN_POINT_MAX];
    size_t point_size;
};

struct sign_key *sign_key_ref(struct sign_key *key);
struct sign_key *sign_key_unref(struct sign_key *key);
/* The largest signature. */
size_t sign_key_signature_max(const struct sign_key *key);

extern const OSSL_DISPATCH sign_key_rsa_functions[];
extern const OSSL_DISPATCH sign_key_ec_functions[];

#endif
