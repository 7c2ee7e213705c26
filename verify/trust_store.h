/*
 * A parsed trust bundle: what struct verify_trust of verify.h holds.
 *
 * Anchors and revocation lists are decoded once. Nothing changes after verify_trust_new() but the
 * signer cache (path.h) and, as a whole, the revocation lists, so a trust belongs to one thread at
 * a time.
 */
#ifndef VERIFY_TRUST_STORE_H
#define VERIFY_TRUST_STORE_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/trust.h"
#include "verify/checks.h"
#include "verify/verify.h"

#include <openssl/x509.h>

struct trust_schema {
    char label[TRUST_LABEL_MAX];
    struct bytes content; /* owned by the trust */
};

struct signer_cache; /* path.c */

enum { TRUST_PINS_MAX = 32, TRUST_POLICIES_MAX = 32 };

struct verify_trust {
    uint8_t generation[SHA256_SIZE];     /* SHA-256 of the bundle */
    uint8_t crl_generation[SHA256_SIZE]; /* of the bundle of lists; zeros = those of the bundle */
    STACK_OF(X509) * anchors;
    STACK_OF(X509_CRL) * crls;
    X509_NAME *signer_name;           /* expected subject of the signer */
    STACK_OF(ASN1_OBJECT) * policies; /* one of them must be valid for the path; empty = any */
    uint8_t pins[TRUST_PINS_MAX][SHA256_SIZE];
    size_t pin_count;
    int64_t crl_grace_s;   /* after nextUpdate */
    int64_t crl_max_age_s; /* after thisUpdate; 0 = nextUpdate alone counts */
    struct check_levels levels;
    struct trust_schema *schemas;
    size_t schema_count;
    X509_STORE *store; /* anchors and CRLs, with the flags of path.c */
    struct signer_cache *signers;
    /* Whatever the XML part prepares once from the schemas; freed by free_schema_cache(). */
    void *schema_cache;
    void (*free_schema_cache)(void *schema_cache);
    const struct schema_hook *schema_hook; /* not owned; NULL = none */
};

#endif
