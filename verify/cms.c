/*
 * RFC 5652 5.1 and 5.3, read element by element. What the structure allows and the Minister's form
 * does not have (attribute certificates, several signers, subject key identifiers, content inside)
 * ends the run with its own reason.
 */
#include "verify/cms.h"

const uint8_t cms_oid_sha256[9] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01};
static const uint8_t oid_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
static const uint8_t oid_signed_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_sha256_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b};

bool cms_algorithm(struct der *der, struct der_element *ret_oid, bool *ret_has_null)
{
    struct der_element sequence, null;

    if (!der_expect(der, DER_SEQUENCE, &sequence))
        return false;
    struct der inside = der_of(sequence.content);
    if (!der_expect(&inside, DER_OID, ret_oid))
        return false;
    *ret_has_null = der_expect(&inside, DER_NULL, &null) && null.content.size == 0;
    return der_at_end(&inside);
}

static bool padding_is_zero(struct bytes rest)
{
    for (size_t i = 0; i < rest.size; i++) {
        if (rest.data[i])
            return false;
    }
    return true;
}

/* From the token to the content of SignedData. */
static bool open_signed_data(struct check_run *run, struct bytes token, struct der *ret_content)
{
    struct der der = der_of(token);
    struct der_element info, type, wrapper, signed_data;

    if (!checks_that(run, CHECK_CMS_DER,
                     der_expect(&der, DER_SEQUENCE, &info) && der_well_formed(info.content),
                     "the signature is not CMS in DER"))
        return false;
    if (!checks_that(run, CHECK_CMS_PADDING, padding_is_zero(der.left),
                     "behind the CMS signature, /Contents holds something other than zeros"))
        return false;
    struct der inside = der_of(info.content);
    bool is_signed_data = der_expect(&inside, DER_OID, &type) &&
                          der_is_oid(type, oid_signed_data) &&
                          der_expect(&inside, DER_CONTEXT, &wrapper) && der_at_end(&inside);
    if (is_signed_data) {
        inside = der_of(wrapper.content);
        is_signed_data = der_expect(&inside, DER_SEQUENCE, &signed_data) && der_at_end(&inside);
    }
    if (!is_signed_data)
        return checks_fail(run, CHECK_CMS_SIGNED_DATA, "the outer content is not SignedData");
    *ret_content = der_of(signed_data.content);
    return true;
}

static bool read_digest_list(struct check_run *run, struct der *der)
{
    struct der_element set, oid;
    unsigned count = 0;
    bool has_null, only_sha256 = true;

    if (!der_expect(der, DER_SET, &set))
        return checks_fail(run, CHECK_CMS_SIGNED_DATA, "digestAlgorithms are missing");
    struct der inside = der_of(set.content);
    while (!der_at_end(&inside)) {
        struct der_element algorithm;
        if (!der_next(&inside, &algorithm))
            return checks_fail(run, CHECK_CMS_SIGNED_DATA, "digestAlgorithms are malformed");
        struct der one = der_of(algorithm.whole);
        only_sha256 =
            only_sha256 && cms_algorithm(&one, &oid, &has_null) && der_is_oid(oid, cms_oid_sha256);
        count++;
    }
    checks_that(run, CHECK_CMS_DIGEST_LIST, only_sha256 && count == 1,
                "digestAlgorithms lists something other than SHA-256 once");
    return true;
}

static bool read_content_info(struct check_run *run, struct der *der)
{
    struct der_element info, type;

    if (!der_expect(der, DER_SEQUENCE, &info))
        return checks_fail(run, CHECK_CMS_SIGNED_DATA, "encapContentInfo is missing");
    struct der inside = der_of(info.content);
    if (!checks_that(run, CHECK_CMS_DETACHED,
                     der_expect(&inside, DER_OID, &type) && der_is_oid(type, oid_data),
                     "the content type is not data"))
        return false;
    return checks_that(run, CHECK_CMS_DETACHED, der_at_end(&inside),
                       "the signature carries content of its own besides the document");
}

static bool read_certificates(struct check_run *run, struct der *der, struct cms *cms)
{
    struct der_element set, certificate;

    if (!der_expect(der, DER_CONTEXT, &set))
        return true;
    struct der inside = der_of(set.content);
    while (!der_at_end(&inside)) {
        if (!der_expect(&inside, DER_SEQUENCE, &certificate))
            return checks_fail(run, CHECK_CMS_SIGNED_DATA,
                               "a certificate in the signature is not an X.509 certificate");
        if (cms->other_count == PATH_CERTIFICATE_MAX)
            return checks_fail(run, CHECK_CMS_SIGNED_DATA,
                               "more than %d certificates in the signature", PATH_CERTIFICATE_MAX);
        cms->others[cms->other_count++] = certificate.whole;
    }
    return true;
}

static bool read_algorithms(struct check_run *run, struct der *signer, struct cms *cms)
{
    struct der_element oid, attributes, signature;
    bool has_null;

    if (!checks_that(run, CHECK_CMS_DIGEST,
                     cms_algorithm(signer, &oid, &has_null) && der_is_oid(oid, cms_oid_sha256),
                     "the digest algorithm is not SHA-256"))
        return false;
    if (!der_expect(signer, DER_CONTEXT, &attributes))
        return checks_fail(run, CHECK_CMS_ATTRIBUTES, "there are no signed attributes");
    cms->signed_attributes = attributes.whole;
    if (!checks_that(run, CHECK_CMS_ALGORITHM,
                     cms_algorithm(signer, &oid, &has_null) && has_null &&
                         (der_is_oid(oid, oid_rsa) || der_is_oid(oid, oid_sha256_rsa)),
                     "the signature algorithm is not RSA PKCS#1 v1.5 with SHA-256"))
        return false;
    cms->signature_algorithm = oid.content;
    if (!der_expect(signer, DER_OCTET_STRING, &signature))
        return checks_fail(run, CHECK_CMS_ONE_SIGNER, "SignerInfo has no signature value");
    cms->signature = signature.content;
    if (der_peek(signer, DER_CONTEXT + 1)) {
        struct der_element rest;
        if (!der_next(signer, &rest))
            return checks_fail(run, CHECK_CMS_ONE_SIGNER, "SignerInfo is malformed");
        cms->unsigned_attributes = rest.content;
    }
    if (!der_at_end(signer))
        return checks_fail(run, CHECK_CMS_ONE_SIGNER, "SignerInfo has more members than it may");
    return cms_read_attributes(run, attributes.content, &cms->attributes);
}

static bool read_signer(struct check_run *run, struct der *der, struct cms *cms)
{
    struct der_element set, info, sid, issuer, serial;
    unsigned version;

    if (!der_expect(der, DER_SET, &set) || !der_at_end(der))
        return checks_fail(run, CHECK_CMS_SIGNED_DATA, "SignedData does not end with signerInfos");
    struct der inside = der_of(set.content);
    if (!checks_that(run, CHECK_CMS_ONE_SIGNER,
                     der_expect(&inside, DER_SEQUENCE, &info) && der_at_end(&inside),
                     "there is not exactly one SignerInfo"))
        return false;
    inside = der_of(info.content);
    if (!der_small_integer(&inside, &version) || version != 1 ||
        !der_expect(&inside, DER_SEQUENCE, &sid))
        return checks_fail(run, CHECK_CMS_ONE_SIGNER,
                           "the signer is not named by issuer and serial number");
    struct der names = der_of(sid.content);
    if (!der_expect(&names, DER_SEQUENCE, &issuer) || !der_expect(&names, DER_INTEGER, &serial) ||
        !der_at_end(&names))
        return checks_fail(run, CHECK_CMS_ONE_SIGNER,
                           "the signer is not named by issuer and serial number");
    cms->issuer = issuer.whole;
    cms->serial = serial.content;
    return read_algorithms(run, &inside, cms);
}

/* RFC 5280 4.1: Certificate / TBSCertificate / [0] version, serialNumber, signature, issuer. */
static bool certificate_is(struct bytes certificate, struct bytes issuer, struct bytes serial)
{
    struct der der = der_of(certificate);
    struct der_element outer, tbs, element;

    if (!der_expect(&der, DER_SEQUENCE, &outer))
        return false;
    der = der_of(outer.content);
    if (!der_expect(&der, DER_SEQUENCE, &tbs))
        return false;
    der = der_of(tbs.content);
    if (der_peek(&der, DER_CONTEXT) && !der_next(&der, &element))
        return false;
    if (!der_expect(&der, DER_INTEGER, &element) || !bytes_equal(element.content, serial))
        return false;
    return der_expect(&der, DER_SEQUENCE, &element) && der_expect(&der, DER_SEQUENCE, &element) &&
           bytes_equal(element.whole, issuer);
}

static bool find_certificate(struct check_run *run, struct cms *cms)
{
    size_t kept = 0;

    for (size_t i = 0; i < cms->other_count; i++) {
        struct bytes certificate = cms->others[i];
        if (!certificate_is(certificate, cms->issuer, cms->serial)) {
            cms->others[kept++] = certificate;
        } else if (cms->certificate.size && !bytes_equal(certificate, cms->certificate)) {
            return checks_fail(run, CHECK_CMS_CERTIFICATE,
                               "two different certificates answer to the signer's issuer and "
                               "serial number");
        } else {
            cms->certificate = certificate;
        }
    }
    cms->other_count = kept;
    return checks_that(run, CHECK_CMS_CERTIFICATE, cms->certificate.size > 0,
                       "the signer's certificate is not in the signature");
}

bool cms_parse(struct check_run *run, struct bytes token, struct cms *ret_cms)
{
    struct cms cms = {0};
    struct der der;
    struct der_element revocation;
    unsigned version;

    if (!open_signed_data(run, token, &der))
        return false;
    if (!der_small_integer(&der, &version) || version < 1 || version > 5)
        return checks_fail(run, CHECK_CMS_SIGNED_DATA, "SignedData has no version from 1 to 5");
    if (!read_digest_list(run, &der) || !read_content_info(run, &der) ||
        !read_certificates(run, &der, &cms))
        return false;
    /* Revocation data in the document is not ours to trust; it may be there and is not read. */
    if (der_peek(&der, DER_CONTEXT + 1) && !der_next(&der, &revocation))
        return checks_fail(run, CHECK_CMS_SIGNED_DATA, "crls are malformed");
    if (!read_signer(run, &der, &cms) || !find_certificate(run, &cms))
        return false;
    checks_pass(run, CHECK_CMS_SIGNED_DATA);
    *ret_cms = cms;
    return true;
}

/* RFC 5652 5.4: signed attributes are hashed under the tag SET OF, not [0]. */
static int hash_attributes(struct bytes encoded, uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    uint8_t tag = DER_SET;
    int r = stream ? sha256_stream_update(stream, &tag, 1) : -ENOMEM;

    if (r == 0)
        r = sha256_stream_update(stream, encoded.data + 1, encoded.size - 1);
    return r < 0 ? r : sha256_stream_finish(stream, ret_digest);
}

int cms_verify(struct check_run *run, struct verify_trust *trust, const struct cms *cms,
               const uint8_t digest[SHA256_SIZE], const struct path_signer **ret_signer)
{
    const struct path_signer *signer;
    uint8_t attributes_digest[SHA256_SIZE];

    *ret_signer = NULL;
    if (!checks_that(run, CHECK_CMS_MESSAGE_DIGEST,
                     bytes_equal(cms->attributes.message_digest, bytes_of(digest, SHA256_SIZE)),
                     "the document was changed after signing, or another one was signed"))
        return 0;
    int r = path_signer_get(trust, cms->certificate, cms->others, cms->other_count, &signer);
    if (r == PATH_UNDECODABLE)
        checks_fail(run, CHECK_CMS_CERTIFICATE, "a certificate in the signature is malformed");
    if (r != 0)
        return r < 0 ? r : 0;
    r = hash_attributes(cms->signed_attributes, attributes_digest);
    if (r < 0)
        return r;
    r = path_signature_good(signer, attributes_digest, cms->signature);
    if (r < 0)
        return r;
    if (!checks_that(run, CHECK_CMS_SIGNATURE, r == 1,
                     "the signature value was not made with the key of the signer's certificate"))
        return 0;
    r = cms_check_signing_certificate(run, cms);
    if (r == 0 && checks_going(run))
        r = cms_check_unsigned(run, cms);
    if (r == 0 && checks_going(run))
        *ret_signer = signer;
    return r;
}
