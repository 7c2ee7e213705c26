/*
 * The digest of a representation as an answer announces it: Repr-Digest (RFC 9530, a dictionary of
 * byte sequences, sha-256=:BASE64:) and its predecessor Digest (RFC 3230, sha-256=BASE64). Both
 * speak of the whole representation, also in a 206. Other algorithms are passed over.
 */
#ifndef TRANSPORT_DIGEST_HEADER_H
#define TRANSPORT_DIGEST_HEADER_H

#include "base/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum digest_form { DIGEST_REPR, DIGEST_PLAIN };

enum digest_outcome {
    DIGEST_NONE,      /* no SHA-256 in it */
    DIGEST_GIVEN,     /* in ret_digest */
    DIGEST_MALFORMED, /* a SHA-256 that is none */
};

enum digest_outcome digest_header_parse(const char *value, size_t size, enum digest_form form,
                                        uint8_t ret_digest[SHA256_SIZE]);

#endif
