/*
 * What path validation keeps in a trust: OpenSSL's store of anchors and revocation lists, and the
 * signer cache.
 */
#ifndef VERIFY_PATH_STORE_H
#define VERIFY_PATH_STORE_H

#include "base/signer.h"
#include "verify/path.h"

enum { SIGNER_CACHE_SIZE = 8 };

/* A path that held, and the times of receipt for which it holds. */
struct path_held {
    bool known;
    int64_t from_s, until_s;
};

struct signer_slot {
    bool used;
    uint64_t last_use;
    uint8_t key[SHA256_SIZE]; /* over the certificate and those beside it */
    struct path_signer signer;
    STACK_OF(X509) * others;
    EVP_PKEY_CTX *verification; /* set up once; NULL unless the key is RSA */
    struct path_held held;
    struct signer_status status;      /* of the path last built; path_size 0 = none */
    STACK_OF(X509) * chain;           /* that path */
    uint8_t *encoded[PATH_DEPTH_MAX]; /* its certificates in DER, made on demand */
};

struct signer_cache {
    uint64_t clock;
    struct signer_slot *current; /* what path_signer_get() gave last */
    struct signer_slot slots[SIGNER_CACHE_SIZE];
    struct signer_slot *judged;            /* whose path was checked last; NULL */
    X509_STORE_CTX_check_crl_fn check_crl; /* OpenSSL's own */
    X509_STORE_CTX_cert_crl_fn cert_crl;
};

/* Seconds since 1970; false if it is absent or malformed. Not timegm(): that reads time zone files.
 */
_must_use_ bool path_time(const ASN1_TIME *time, int64_t *ret_seconds);

/* -ENOMEM. */
_must_use_ int path_store_prepare(struct verify_trust *trust);
void path_store_done(struct verify_trust *trust);
/* Forgets the path that was built. */
void path_slot_drop_chain(struct signer_slot *slot);
/* Makes the store anew after trust->crls has changed; forgets what was remembered of signers. */
_must_use_ int path_store_renew(struct verify_trust *trust);

#endif
