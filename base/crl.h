/*
 * What kosekifs-verify says about one revocation list, and how lists replace one another. The list
 * itself stays a row of bytes outside verify.
 */
#ifndef BASE_CRL_H
#define BASE_CRL_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/crypto.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CRL_SIZE_MAX = 32 * 1024 * 1024,
    CRL_ENTRIES_MAX = 1000000,
    CRL_NUMBER_MAX = 20, /* RFC 5280 5.2.3 */
    CRL_ISSUER_MAX = 256,
    CRL_TEXT_MAX = 200,
    CRL_INFO_ENCODED_MAX = 1024,
};

enum crl_outcome {
    CRL_GOOD = 0,
    CRL_REFUSED,        /* `text` says why */
    CRL_UNKNOWN_ISSUER, /* well-formed; no certificate of its issuer is known yet */
    CRL_OUTCOME_COUNT,
};

struct crl_info {
    uint8_t outcome; /* enum crl_outcome */
    uint8_t
        scope[SHA256_SIZE]; /* of issuer, key and scope: lists with the same replace each other */
    uint8_t number_size;    /* 0 = it has none */
    uint8_t number[CRL_NUMBER_MAX];
    int64_t issued_s;   /* thisUpdate */
    int64_t next_s;     /* nextUpdate */
    int64_t stale_at_s; /* by grace and maximum age of the trust */
    uint32_t entries;
    char issuer[CRL_ISSUER_MAX]; /* RFC 4514; cut */
    char text[CRL_TEXT_MAX];
};

_must_use_ int crl_info_encode(const struct crl_info *info, struct buffer *out);
_must_use_ int crl_info_decode(struct bytes encoded, struct crl_info *ret_info); /* -EBADMSG */

/* > 0 if `a` is newer than `b` of the same scope, 0 if they are of one age, < 0 if it is older: by
 * number if both have one, which must not contradict the dates, else by thisUpdate. */
int crl_info_compare(const struct crl_info *a, const struct crl_info *b);

#endif
