/*
 * The one form of CMS SignedData (RFC 5652) that a signed PDF of the Minister holds: detached, one
 * SignerInfo by issuer and serial number, signed attributes, SHA-256, RSA PKCS#1 v1.5.
 *
 * Everything is a view into the token. OpenSSL decodes no part of it but the certificates.
 */
#ifndef VERIFY_CMS_H
#define VERIFY_CMS_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "verify/checks.h"
#include "verify/der.h"
#include "verify/path.h"

struct cms_attributes { /* values of the signed attributes that we know; empty = absent */
    struct bytes content_type;
    struct bytes message_digest;
    struct bytes signing_certificate;    /* ESS, RFC 2634 */
    struct bytes signing_certificate_v2; /* RFC 5035 */
    struct bytes algorithm_protection;   /* RFC 6211 */
};

struct cms {
    struct bytes signed_attributes; /* as encoded, with the tag [0] */
    struct cms_attributes attributes;
    struct bytes issuer, serial;      /* of the sid, as encoded */
    struct bytes signature_algorithm; /* OBJECT IDENTIFIER's content */
    struct bytes signature;
    struct bytes unsigned_attributes; /* content of [1]; empty = absent */
    struct bytes certificate;         /* the signer's */
    struct bytes others[PATH_CERTIFICATE_MAX];
    size_t other_count;
};

/* Notes the checks CMS_DER to CMS_ATTRIBUTES; false when one of them ended the run. */
_must_use_ bool cms_parse(struct check_run *run, struct bytes token, struct cms *ret_cms);

/*
 * Notes CMS_MESSAGE_DIGEST to CMS_TIMESTAMP: that the signature is the signer's over `digest`, the
 * SHA-256 of the content. Returns 0 with *ret_signer NULL if a check ended the run; -ENOMEM.
 */
_must_use_ int cms_verify(struct check_run *run, struct verify_trust *trust, const struct cms *cms,
                          const uint8_t digest[SHA256_SIZE], const struct path_signer **ret_signer);

/* cms_attributes.c: notes CMS_ATTRIBUTES. */
_must_use_ bool cms_read_attributes(struct check_run *run, struct bytes content,
                                    struct cms_attributes *ret_attributes);
/* Notes CMS_SIGNING_CERTIFICATE and CMS_PROTECTION. 0, or -ENOMEM. */
_must_use_ int cms_check_signing_certificate(struct check_run *run, const struct cms *cms);
/* Notes CMS_UNSIGNED and CMS_TIMESTAMP. 0, or -ENOMEM. */
_must_use_ int cms_check_unsigned(struct check_run *run, const struct cms *cms);

/* An AlgorithmIdentifier whose parameters are NULL or absent. */
_must_use_ bool cms_algorithm(struct der *der, struct der_element *ret_oid, bool *ret_has_null);

extern const uint8_t cms_oid_sha256[9];

#endif
