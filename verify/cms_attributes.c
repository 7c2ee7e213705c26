/*
 * Signed and unsigned attributes of a SignerInfo (RFC 5652 11, RFC 5035, RFC 6211, RFC 3161).
 *
 * Unknown signed attributes are covered by the signature and do no harm. Unsigned ones are bytes
 * that anybody can change; the only one that may be there is a time-stamp, and only over this very
 * signature value. The time-stamp's own signature is not judged: nothing here relies on its time.
 */
#include "verify/cms.h"

#include <openssl/evp.h>

enum { ATTRIBUTE_MAX = 64 };

static const uint8_t oid_content_type[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03};
static const uint8_t oid_message_digest[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04};
static const uint8_t oid_signing_certificate[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                                  0x01, 0x09, 0x10, 0x02, 0x0c};
static const uint8_t oid_signing_certificate_v2[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                                     0x01, 0x09, 0x10, 0x02, 0x2f};
static const uint8_t oid_algorithm_protection[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                                   0x0d, 0x01, 0x09, 0x34};
static const uint8_t oid_time_stamp_token[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                               0x01, 0x09, 0x10, 0x02, 0x0e};
static const uint8_t oid_tst_info[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                       0x01, 0x09, 0x10, 0x01, 0x04};
static const uint8_t oid_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
static const uint8_t oid_signed_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
static const uint8_t oid_sha1[] = {0x2b, 0x0e, 0x03, 0x02, 0x1a};
static const uint8_t oid_sha384[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02};
static const uint8_t oid_sha512[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03};

/* One Attribute with exactly one value. */
static bool read_attribute(struct der *der, struct der_element *ret_type,
                           struct der_element *ret_value)
{
    struct der_element attribute, values;

    if (!der_expect(der, DER_SEQUENCE, &attribute))
        return false;
    struct der inside = der_of(attribute.content);
    if (!der_expect(&inside, DER_OID, ret_type) || !der_expect(&inside, DER_SET, &values) ||
        !der_at_end(&inside))
        return false;
    inside = der_of(values.content);
    return der_next(&inside, ret_value) && der_at_end(&inside);
}

/* The slot for a known type, else NULL. */
static struct bytes *slot_of(struct cms_attributes *attributes, const struct der_element *type)
{
    if (der_is_oid(*type, oid_content_type))
        return &attributes->content_type;
    if (der_is_oid(*type, oid_message_digest))
        return &attributes->message_digest;
    if (der_is_oid(*type, oid_signing_certificate))
        return &attributes->signing_certificate;
    if (der_is_oid(*type, oid_signing_certificate_v2))
        return &attributes->signing_certificate_v2;
    if (der_is_oid(*type, oid_algorithm_protection))
        return &attributes->algorithm_protection;
    return NULL;
}

static bool check_values(struct check_run *run, struct cms_attributes *attributes)
{
    struct der der = der_of(attributes->content_type);
    struct der_element value;

    if (!der_expect(&der, DER_OID, &value) || !der_is_oid(value, oid_data))
        return checks_fail(run, CHECK_CMS_ATTRIBUTES,
                           "the contentType attribute is missing or is not data");
    der = der_of(attributes->message_digest);
    if (!der_expect(&der, DER_OCTET_STRING, &value) || value.content.size != SHA256_SIZE)
        return checks_fail(run, CHECK_CMS_ATTRIBUTES,
                           "the messageDigest attribute is missing or is not a SHA-256 digest");
    attributes->message_digest = value.content;
    checks_pass(run, CHECK_CMS_ATTRIBUTES);
    return true;
}

bool cms_read_attributes(struct check_run *run, struct bytes content,
                         struct cms_attributes *ret_attributes)
{
    struct cms_attributes attributes = {0};
    struct der der = der_of(content);

    for (unsigned count = 0; !der_at_end(&der); count++) {
        struct der_element attribute, type, value;
        if (count == ATTRIBUTE_MAX || !der_expect(&der, DER_SEQUENCE, &attribute))
            return checks_fail(run, CHECK_CMS_ATTRIBUTES, "the signed attributes are malformed");
        struct der inside = der_of(attribute.content);
        if (!der_expect(&inside, DER_OID, &type))
            return checks_fail(run, CHECK_CMS_ATTRIBUTES, "the signed attributes are malformed");
        struct bytes *slot = slot_of(&attributes, &type);
        if (!slot)
            continue;
        struct der one = der_of(attribute.whole);
        if (slot->size || !read_attribute(&one, &type, &value))
            return checks_fail(run, CHECK_CMS_ATTRIBUTES,
                               "a signed attribute stands twice or has not exactly one value");
        *slot = value.whole;
    }
    if (!check_values(run, &attributes))
        return false;
    *ret_attributes = attributes;
    return true;
}

/* The digest that an AlgorithmIdentifier names, or NULL. */
static const EVP_MD *digest_of(const struct der_element *oid, bool allow_sha1)
{
    if (der_is_oid(*oid, cms_oid_sha256))
        return EVP_sha256();
    if (der_is_oid(*oid, oid_sha384))
        return EVP_sha384();
    if (der_is_oid(*oid, oid_sha512))
        return EVP_sha512();
    return allow_sha1 && der_is_oid(*oid, oid_sha1) ? EVP_sha1() : NULL;
}

/* 1 = it is, 0 = it is not, -ENOMEM. */
static int digest_is(const EVP_MD *digest, struct bytes content, struct bytes expected)
{
    uint8_t value[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (!digest)
        return 0;
    if (EVP_Digest(content.data, content.size, value, &size, digest, NULL) != 1)
        return -ENOMEM;
    return bytes_equal(bytes_of(value, size), expected);
}

/* IssuerSerial ::= SEQUENCE { issuer GeneralNames, serialNumber INTEGER } */
static bool issuer_serial_is(struct der *der, const struct cms *cms)
{
    struct der_element sequence, names, name, serial;

    if (!der_expect(der, DER_SEQUENCE, &sequence))
        return false;
    struct der inside = der_of(sequence.content);
    if (!der_expect(&inside, DER_SEQUENCE, &names) || !der_expect(&inside, DER_INTEGER, &serial) ||
        !der_at_end(&inside))
        return false;
    inside = der_of(names.content);
    return der_expect(&inside, DER_CONTEXT + 4, &name) && der_at_end(&inside) &&
           bytes_equal(name.content, cms->issuer) && bytes_equal(serial.content, cms->serial);
}

/* The first ESSCertID is the signer's (RFC 5035 3). As digest_is(). */
static int signing_certificate_is(struct bytes value, bool version_2, const struct cms *cms)
{
    struct der der = der_of(value);
    struct der_element outer, list, id, hash, oid;
    const EVP_MD *digest = version_2 ? EVP_sha256() : EVP_sha1();
    bool has_null;

    if (!der_expect(&der, DER_SEQUENCE, &outer))
        return 0;
    der = der_of(outer.content);
    if (!der_expect(&der, DER_SEQUENCE, &list))
        return 0;
    der = der_of(list.content);
    if (!der_expect(&der, DER_SEQUENCE, &id))
        return 0;
    der = der_of(id.content);
    if (version_2 && der_peek(&der, DER_SEQUENCE)) {
        if (!cms_algorithm(&der, &oid, &has_null))
            return 0;
        digest = digest_of(&oid, true);
    }
    if (!der_expect(&der, DER_OCTET_STRING, &hash))
        return 0;
    int r = digest_is(digest, cms->certificate, hash.content);
    if (r <= 0)
        return r;
    return der_at_end(&der) || (issuer_serial_is(&der, cms) && der_at_end(&der));
}

/* RFC 6211: SEQUENCE { digestAlgorithm, signatureAlgorithm [1] IMPLICIT, … } */
static bool protection_holds(const struct cms *cms)
{
    struct der der = der_of(cms->attributes.algorithm_protection);
    struct der_element outer, oid, algorithm;
    bool has_null;

    if (!der_expect(&der, DER_SEQUENCE, &outer))
        return false;
    der = der_of(outer.content);
    if (!cms_algorithm(&der, &oid, &has_null) || !der_is_oid(oid, cms_oid_sha256) ||
        !der_expect(&der, DER_CONTEXT + 1, &algorithm) || !der_at_end(&der))
        return false;
    der = der_of(algorithm.content);
    return der_expect(&der, DER_OID, &oid) && bytes_equal(oid.content, cms->signature_algorithm);
}

int cms_check_signing_certificate(struct check_run *run, const struct cms *cms)
{
    const struct cms_attributes *attributes = &cms->attributes;
    int holds = 1;

    if (attributes->signing_certificate.size)
        holds = signing_certificate_is(attributes->signing_certificate, false, cms);
    if (holds == 1 && attributes->signing_certificate_v2.size)
        holds = signing_certificate_is(attributes->signing_certificate_v2, true, cms);
    if (holds < 0)
        return holds;
    if (checks_that(run, CHECK_CMS_SIGNING_CERTIFICATE, holds,
                    "the signing-certificate attribute names another certificate"))
        checks_that(run, CHECK_CMS_PROTECTION,
                    !attributes->algorithm_protection.size || protection_holds(cms),
                    "the algorithm-protection attribute names other algorithms");
    return 0;
}

/* RFC 3161 2.4.2: down to the message imprint, which must be that of the signature value.
 * As digest_is(). */
static int time_stamp_is_over(struct bytes token, struct bytes signature)
{
    struct der der = der_of(token);
    struct der_element element, imprint, oid, hash;
    bool has_null;

    static const uint8_t way[] = {DER_SEQUENCE, DER_CONTEXT, DER_SEQUENCE};
    for (size_t i = 0; i < sizeof way; i++) {
        if (way[i] == DER_CONTEXT &&
            (!der_expect(&der, DER_OID, &element) || !der_is_oid(element, oid_signed_data)))
            return 0;
        if (!der_expect(&der, way[i], &element) || !der_at_end(&der))
            return 0;
        der = der_of(element.content);
    }
    if (!der_expect(&der, DER_INTEGER, &element) || !der_expect(&der, DER_SET, &element) ||
        !der_expect(&der, DER_SEQUENCE, &element))
        return 0;
    der = der_of(element.content);
    if (!der_expect(&der, DER_OID, &element) || !der_is_oid(element, oid_tst_info) ||
        !der_expect(&der, DER_CONTEXT, &element))
        return 0;
    der = der_of(element.content);
    if (!der_expect(&der, DER_OCTET_STRING, &element))
        return 0;
    der = der_of(element.content);
    if (!der_expect(&der, DER_SEQUENCE, &element))
        return 0;
    der = der_of(element.content);
    if (!der_expect(&der, DER_INTEGER, &element) || !der_expect(&der, DER_OID, &element) ||
        !der_expect(&der, DER_SEQUENCE, &imprint))
        return 0;
    der = der_of(imprint.content);
    if (!cms_algorithm(&der, &oid, &has_null) || !der_expect(&der, DER_OCTET_STRING, &hash) ||
        !der_at_end(&der))
        return 0;
    return digest_is(digest_of(&oid, false), signature, hash.content);
}

int cms_check_unsigned(struct check_run *run, const struct cms *cms)
{
    struct der der = der_of(cms->unsigned_attributes);
    bool time_stamp_seen = false;

    while (!der_at_end(&der)) {
        struct der_element type, value;
        if (!read_attribute(&der, &type, &value) || !der_is_oid(type, oid_time_stamp_token) ||
            time_stamp_seen) {
            checks_fail(run, CHECK_CMS_UNSIGNED,
                        "the signature carries an unsigned attribute other than one time-stamp");
            break;
        }
        time_stamp_seen = true;
        int r = time_stamp_is_over(value.whole, cms->signature);
        if (r < 0)
            return r;
        checks_that(run, CHECK_CMS_TIMESTAMP, r, "the time-stamp is not over this signature");
    }
    checks_pass(run, CHECK_CMS_UNSIGNED);
    checks_pass(run, CHECK_CMS_TIMESTAMP);
    return 0;
}
