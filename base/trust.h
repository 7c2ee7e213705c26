/*
 * The trust bundle: anchors and expectations on the signer as raw bytes, put together by the
 * supervisor from its configuration, parsed only in kosekifs-verify (and by kosekictl verify). Its
 * SHA-256 is the trust generation: a verdict holds for one generation. Revocation lists change
 * often and change no verdict by themselves, so in the daemon they travel in a bundle of their own;
 * kosekictl verify puts them with the rest.
 */
#ifndef BASE_TRUST_H
#define BASE_TRUST_H

#include "base/bytes.h"
#include "base/cleanup.h"

#include <stdint.h>

enum trust_kind {
    TRUST_ANCHOR = 1,        /* PEM (one or more) or DER certificate */
    TRUST_CRL = 2,           /* PEM or DER CRL */
    TRUST_SIGNER_DN = 3,     /* RFC 4514 text */
    TRUST_POLICY = 4,        /* text "NAME=LEVEL" */
    TRUST_SCHEMA = 5,        /* XSD */
    TRUST_SIGNER_POLICY = 6, /* dotted OID: a certificate policy that the path must have */
    TRUST_SIGNER_PIN = 7,    /* SHA-256 of a signer's certificate in hexadecimal */
    TRUST_LIMIT = 8,         /* text "NAME=SECONDS": crl-grace, crl-max-age */
};

enum {
    TRUST_BUNDLE_MAX = 64 * 1024 * 1024,
    TRUST_ITEM_MAX = 4096, /* items in a bundle */
    TRUST_LABEL_MAX = 256,
};

struct trust_item {
    enum trust_kind kind;
    char label[TRUST_LABEL_MAX]; /* where it came from, for messages: a file name */
    struct bytes content;        /* borrowed from the bundle */
};

/* Appends one item to a bundle under construction; `out` was made with TRUST_BUNDLE_MAX. */
_must_use_ int trust_bundle_add(struct buffer *out, enum trust_kind kind, const char *label,
                                struct bytes content);

/* Walks a bundle: start with *offset = 0. 1 = an item, 0 = the end, -EBADMSG = malformed. */
_must_use_ int trust_bundle_next(struct bytes bundle, size_t *offset, struct trust_item *ret_item);

#endif
