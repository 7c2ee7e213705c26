/*
 * What path validation keeps in a trust: OpenSSL's store of anchors and revocation lists, and the
 * signer cache.
 */
#ifndef VERIFY_PATH_STORE_H
#define VERIFY_PATH_STORE_H

#include "verify/path.h"

enum { SIGNER_CACHE_SIZE = 8 };

/* A path that held, and the span of time for which it holds. */
struct path_held {
    bool known;
    int64_t from_s, until_s;
    int64_t fresh_until_s;
};

struct signer_slot {
    bool used;
    uint64_t last_use;
    uint8_t key[SHA256_SIZE]; /* over the certificate and those beside it */
    struct path_signer signer;
    STACK_OF(X509) * others;
    EVP_PKEY_CTX *verification; /* set up once; NULL unless the key is RSA */
    struct path_held held;
};

struct signer_cache {
    uint64_t clock;
    struct signer_slot *current; /* what path_signer_get() gave last */
    struct signer_slot slots[SIGNER_CACHE_SIZE];
    X509_STORE_CTX_check_crl_fn check_crl; /* OpenSSL's own */
};

/* Seconds since 1970; false if it is absent or malformed. Not timegm(): that reads time zone files.
 */
_must_use_ bool path_time(const ASN1_TIME *time, int64_t *ret_seconds);

/* Sees each revocation list that OpenSSL is about to use, then lets OpenSSL's own check decide. */
int path_observe_crl(X509_STORE_CTX *context, X509_CRL *crl);

/* -ENOMEM. */
_must_use_ int path_store_prepare(struct verify_trust *trust);
void path_store_done(struct verify_trust *trust);

#endif
