/*
 * The one question kosekifs-link may put to kosekifs-keys: sign this TLS 1.3 client
 * CertificateVerify (RFC 8446 4.4.3), or, with [link] tls_min = 1.2, that of TLS 1.2 (RFC 5246
 * 7.4.8). It lives here because the asking side (transport) and the answering side (keys) never
 * include each other. What is signed travels as content, not as a digest, so that keys can see that
 * it is a handshake and nothing else.
 */
#ifndef BASE_SIGN_H
#define BASE_SIGN_H

#include <stddef.h>
#include <stdint.h>

enum sign_message {
    SIGN_REQUEST = 0x100, /* struct sign_request */
    SIGN_REPLY,           /* struct sign_reply */
    SIGN_REQUEST_TLS12,   /* uint32_t, enum sign_scheme; behind it all handshake messages so far, at
                             most SIGN_HANDSHAKE_MAX bytes. Answered by SIGN_REPLY */
};

enum sign_scheme { /* RFC 8446 4.2.3 code points */
                   SIGN_RSA_PSS_RSAE_SHA256 = 0x0804,
                   SIGN_RSA_PSS_RSAE_SHA384 = 0x0805,
                   SIGN_RSA_PSS_RSAE_SHA512 = 0x0806,
                   SIGN_ECDSA_SECP256R1_SHA256 = 0x0403,
                   /* TLS 1.2 only, where ECDSA names a digest and no curve */
                   SIGN_RSA_PKCS1_SHA256 = 0x0401,
                   SIGN_RSA_PKCS1_SHA384 = 0x0501,
                   SIGN_RSA_PKCS1_SHA512 = 0x0601,
                   SIGN_ECDSA_SHA384 = 0x0503,
                   SIGN_ECDSA_SHA512 = 0x0603,
};

enum {
    /* 64 spaces, the context string with its NUL, and a transcript hash of at most 64 bytes. */
    SIGN_CONTENT_MAX = 64 + 34 + 64,
    SIGN_HANDSHAKE_MAX = 48 * 1024,
    SIGN_SIGNATURE_MAX = 1024,
};

struct sign_request {
    uint32_t scheme;
    uint32_t content_size;
    uint8_t content[SIGN_CONTENT_MAX];
};

struct sign_reply {
    int32_t error; /* 0 or negative errno; -EPERM: not a handshake of ours; -EAGAIN: too many;
                      -ENODEV: the token is not there; -EACCES: no login to it */
    uint32_t signature_size;
    uint8_t signature[SIGN_SIGNATURE_MAX];
};

#endif
