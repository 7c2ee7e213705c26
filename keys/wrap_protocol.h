/*
 * What kosekifs-mount asks kosekifs-keys and what it is told. One request gives one answer with the
 * same id; a request that is none of these is answered by KEYS_REFUSED, and the connection ends.
 */
#ifndef KEYS_WRAP_PROTOCOL_H
#define KEYS_WRAP_PROTOCOL_H

#include "keys/keys_client.h"

enum keys_message {
    KEYS_GENERATE = 0x200, /* struct keys_generate */
    KEYS_GENERATED,        /* struct keys_generated */
    KEYS_UNWRAP,           /* struct keys_unwrap */
    KEYS_UNWRAPPED,        /* struct keys_unwrapped */
    KEYS_REFUSED,          /* struct keys_refused */
    KEYS_SIGN,             /* the statement: 1 to KEYS_STATEMENT_MAX bytes */
    KEYS_SIGNED,           /* struct keys_signed */
    KEYS_REWRAP,           /* struct keys_unwrap */
    KEYS_REWRAPPED,        /* struct keys_rewrapped */
    KEYS_LIST,             /* nothing */
    KEYS_LISTED,           /* struct keys_generations */
    KEYS_ASK_STATUS,       /* struct keys_ask_status */
    KEYS_STATUS,           /* struct keys_status */
};

struct keys_aad {
    uint32_t size;
    uint8_t bytes[KEYS_AAD_MAX];
};

struct keys_generate {
    struct keys_aad aad;
};

struct keys_generated {
    int32_t error; /* 0 or negative errno; zeros behind it then */
    uint8_t key[AEAD_KEY_SIZE];
    uint8_t wrapped[KEYS_WRAPPED_SIZE];
};

struct keys_unwrap {
    struct keys_aad aad;
    uint8_t wrapped[KEYS_WRAPPED_SIZE];
};

struct keys_unwrapped {
    int32_t error; /* 0, -EBADMSG or another negative errno */
    uint8_t key[AEAD_KEY_SIZE];
};

struct keys_rewrapped {
    int32_t outcome; /* 0, KEYS_CURRENT, or negative errno; zeros behind it unless 0 */
    uint8_t wrapped[KEYS_WRAPPED_SIZE];
};

struct keys_ask_status {
    uint64_t instance;
    struct keys_uses recorded;
};

struct keys_signed {
    int32_t error;
    uint8_t signature[KEYS_SIGNATURE_SIZE];
    uint8_t public_key[KEYS_PUBLIC_KEY_SIZE];
};

struct keys_refused {
    int32_t error;
};

#endif
