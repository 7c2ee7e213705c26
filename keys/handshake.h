/*
 * Recognises the one content that the TLS key may sign: that of a client's CertificateVerify
 * (RFC 8446 4.4.3): 64 spaces, "TLS 1.3, client CertificateVerify", a NUL, and the transcript hash.
 *
 * The hash is that of the cipher suite, not that of the signature scheme: with
 * TLS_AES_256_GCM_SHA384 an ECDSA P-256 or an RSA-PSS SHA-256 signature covers 48 bytes. The suites
 * of TLS 1.3 use SHA-256 and SHA-384 only, so 32 and 48 bytes are the sizes there are.
 */
#ifndef KEYS_HANDSHAKE_H
#define KEYS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

bool handshake_is_client_verify(const void *content, size_t size);

#endif
