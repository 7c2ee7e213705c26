/*
 * Recognises what a TLS 1.2 client signs in its CertificateVerify: all handshake messages so far
 * (RFC 5246 7.4.8), in the one order that there is when a client authenticates with a certificate
 * and no session is resumed (7.3), with our own certificate in the place of the client's.
 *
 * That is less than TLS 1.3 gives: there is no context string that only a client handshake has, and
 * the server chooses most of the bytes. So it is asked for by [link] tls_min = 1.2 alone, and
 * counted apart.
 */
#ifndef KEYS_HANDSHAKE12_H
#define KEYS_HANDSHAKE12_H

#include "base/bytes.h"

#include <stdbool.h>

bool handshake12_is_client_verify(struct bytes content, struct bytes our_certificate);

#endif
