/*
 * From a signer's certificate to a trust anchor: decoding, the signer cache, and the checks of
 * checks_path.h.
 *
 * The cache remembers, per signer's certificate and set of accompanying certificates, the decoded
 * key and a path that held, with the span of time for which it holds (validity of all its
 * certificates and revocation lists). It belongs to one trust, so a new trust generation starts
 * empty. It changes the cost of a verdict, never the verdict.
 */
#ifndef VERIFY_PATH_H
#define VERIFY_PATH_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "verify/checks.h"
#include "verify/trust_store.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

enum {
    PATH_CERTIFICATE_MAX = 32,             /* certificates taken from one document */
    PATH_CERTIFICATE_SIZE_MAX = 64 * 1024, /* of one of them */
    PATH_DEPTH_MAX = 10,
    PATH_UNDECODABLE = 1,
};

/* Lives until the next call of path_signer_get() with the same trust. */
struct path_signer {
    X509 *certificate;
    EVP_PKEY *key;               /* as in the certificate: any type */
    uint8_t sha256[SHA256_SIZE]; /* of the certificate */
    char unverified_subject[VERDICT_DN_MAX];
    int64_t not_before_s, not_after_s; /* of the certificate */
    /* After path_check() has passed: SHA-256 of each certificate on the path, signer first. */
    unsigned path_size;
    uint8_t path_sha256[PATH_DEPTH_MAX][SHA256_SIZE];
};

/*
 * Decodes the signer's certificate, or finds it in the cache. `others` are the other certificates
 * of the document, untrusted. PATH_UNDECODABLE: it is not one DER certificate to the last byte, or
 * has no usable key, or is over a ceiling; -ENOMEM.
 */
_must_use_ int path_signer_get(struct verify_trust *trust, struct bytes certificate,
                               const struct bytes *others, size_t other_count,
                               const struct path_signer **ret_signer);

/*
 * Notes all checks of checks_path.h for the signer last got, at the times of the request. Sets the
 * verdict's signer, signer_sha256, verified_at_s and fresh_until_s; the name only if the path
 * holds. Call it after the signature itself was found good. -ENOMEM.
 */
_must_use_ int path_check(struct check_run *run, struct verify_trust *trust,
                          const struct verify_request *request, struct verdict *verdict);

/* RSA PKCS#1 v1.5 with SHA-256 over `digest`; 1 = good, 0 = not, -ENOMEM. The signature must be as
 * long as the modulus (RFC 8017 8.2.2). */
_must_use_ int path_signature_good(const struct path_signer *signer,
                                   const uint8_t digest[SHA256_SIZE], struct bytes signature);

#endif
