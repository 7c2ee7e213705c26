/*
 * Certificates, revocation lists and signed PDF documents made on the spot by OpenSSL, for what the
 * vectors do not hold: other times, other paths, other sizes. Every function ends the test program
 * when something cannot be made.
 */
#ifndef TESTS_UNIT_VERIFY_FIXTURE_H
#define TESTS_UNIT_VERIFY_FIXTURE_H

#include "base/bytes.h"
#include "base/trust.h"
#include "verify/verify.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#define FIXTURE_SIGNER "CN=Minister of Justice,OU=Ministry of Justice,O=Test Government,C=JP"

enum { FIXTURE_NOW_S = 1800000000, FIXTURE_DAY_S = 24 * 3600 };

struct fixture_extension {
    int nid; /* 0 = the end */
    const char *value;
};

struct fixture_authority {
    EVP_PKEY *key;
    X509 *certificate;
};

EVP_PKEY *fixture_key(unsigned bits);

/* The subject's types are chosen by OpenSSL from `name_type` (MBSTRING_UTF8 or V_ASN1_…). */
struct fixture_subject {
    const char *dn; /* RFC 4514 */
    EVP_PKEY *key;
    long serial;
    int64_t from_s, until_s;
    const struct fixture_extension *extensions;
    const EVP_MD *digest; /* NULL = SHA-256 */
};
/* Self-signed without an issuer. */
X509 *fixture_certificate(const struct fixture_authority *issuer,
                          const struct fixture_subject *subject);

/* A root or an authority below `issuer`, valid from ten years before FIXTURE_NOW_S to ten after. */
struct fixture_authority fixture_authority(const struct fixture_authority *issuer, const char *dn,
                                           EVP_PKEY *key, long serial);
/* The Minister's certificate. */
X509 *fixture_signer(const struct fixture_authority *issuer, EVP_PKEY *key, long serial);

/* `extra` more entries above serial number 1,000,000 make it large. */
X509_CRL *fixture_crl(const struct fixture_authority *issuer, const long *serials, size_t count,
                      unsigned extra, int64_t from_s, int64_t until_s);

void fixture_add_certificate(struct buffer *bundle, X509 *certificate);
void fixture_add_crl(struct buffer *bundle, X509_CRL *crl);
void fixture_add_text(struct buffer *bundle, enum trust_kind kind, const char *text);
struct verify_trust *fixture_trust(const struct buffer *bundle);

/* A signed attribute besides those that OpenSSL adds. */
struct fixture_attribute {
    const char *oid;
    int type; /* V_ASN1_SEQUENCE: `value` is the whole encoding */
    struct bytes value;
};

/* A document with so many pages of text and one Flate image of about so many bytes. */
void fixture_pdf(struct buffer *out, unsigned pages, size_t image_size, X509 *signer, EVP_PKEY *key,
                 X509 *intermediate);

/* A small one with CMS_… flags of OpenSSL and an attribute more, or NULL. */
void fixture_pdf_with(struct buffer *out, X509 *signer, EVP_PKEY *key, X509 *intermediate,
                      unsigned flags, const struct fixture_attribute *attribute);

#endif
