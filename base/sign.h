/*
 * The one question kosekifs-link may put to kosekifs-keys: sign this TLS 1.3 client
 * CertificateVerify (RFC 8446 4.4.3). It lives here because the asking side (transport) and the
 * answering side (keys) never include each other. What is signed travels as content, not as a
 * digest, so that keys can see that it is a handshake and nothing else.
 */
#ifndef BASE_SIGN_H
#define BASE_SIGN_H

#include <stddef.h>
#include <stdint.h>

enum sign_message {
    SIGN_REQUEST = 0x100, /* struct sign_request */
    SIGN_REPLY,           /* struct sign_reply */
};

enum sign_scheme { /* RFC 8446 4.2.3 code points */
                   SIGN_RSA_PSS_RSAE_SHA256 = 0x0804,
                   SIGN_RSA_PSS_RSAE_SHA384 = 0x0805,
                   SIGN_RSA_PSS_RSAE_SHA512 = 0x0806,
                   SIGN_ECDSA_SECP256R1_SHA256 = 0x0403,
};

enum {
    /* 64 spaces, the context string with its NUL, and a transcript hash of at most 64 bytes. */
    SIGN_CONTENT_MAX = 64 + 34 + 64,
    SIGN_SIGNATURE_MAX = 1024,
};

struct sign_request {
    uint32_t scheme;
    uint32_t content_size;
    uint8_t content[SIGN_CONTENT_MAX];
};

struct sign_reply {
    int32_t error; /* 0 or negative errno; -EPERM: not a handshake of ours */
    uint32_t signature_size;
    uint8_t signature[SIGN_SIGNATURE_MAX];
};

#endif
