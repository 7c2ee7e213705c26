/*
 * Signed attributes that OpenSSL can make and the vectors do not hold: each says something about
 * the signature, and a lie ends the run.
 */
#include "fixture.h"

#include <openssl/cms.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define OID_SIGNING_CERTIFICATE "1.2.840.113549.1.9.16.2.12"
#define OID_SIGNING_CERTIFICATE_V2 "1.2.840.113549.1.9.16.2.47"
#define OID_ALGORITHM_PROTECTION "1.2.840.113549.1.9.52"

static EVP_PKEY *root_key, *signer_key;
static struct fixture_authority root;
static X509 *signer;
static struct verify_trust *trust;
static struct verdict verdict;

static int set_up(void **state)
{
    struct buffer bundle;

    (void)state;
    root_key = fixture_key(2048);
    signer_key = fixture_key(2048);
    root = fixture_authority(NULL, "CN=Root,O=Test Government,C=JP", root_key, 1);
    signer = fixture_signer(&root, signer_key, 5);
    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    fixture_add_certificate(&bundle, root.certificate);
    fixture_add_text(&bundle, TRUST_SIGNER_DN, FIXTURE_SIGNER);
    fixture_add_text(&bundle, TRUST_POLICY, "revocation=ignore");
    trust = fixture_trust(&bundle);
    buffer_done(&bundle);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    verify_trust_free(trust);
    X509_free(signer);
    X509_free(root.certificate);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(signer_key);
    return 0;
}

/* The name of the decisive check, or NULL if the document is accepted. */
static const char *judge(unsigned flags, const struct fixture_attribute *attribute)
{
    struct verify_request request = {.format = CERTFORMAT_PDF, .time_s = FIXTURE_NOW_S};
    struct buffer pdf;

    fixture_pdf_with(&pdf, signer, signer_key, NULL, flags, attribute);
    assert_int_equal(verify_document(trust, &request, bytes_of(pdf.data, pdf.size), &verdict), 0);
    buffer_done(&pdf);
    if (verdict.indication == VERDICT_TOTAL_PASSED)
        return NULL;
    const struct verdict_reason *reason = verdict_decisive(&verdict);
    assert_non_null(reason);
    return reason->check;
}

static void test_plain(void **state)
{
    (void)state;
    assert_null(judge(0, NULL));
    assert_null(judge(CMS_CADES, NULL)); /* signing-certificate-v2 by OpenSSL */
    assert_string_equal(judge(CMS_NOATTR, NULL), "cms-attributes");
    assert_string_equal(judge(CMS_USE_KEYID, NULL), "cms-one-signer");
    assert_string_equal(judge(CMS_NOCERTS, NULL), "cms-certificate");
}

/* SEQUENCE { SEQUENCE { SEQUENCE { OCTET STRING hash } } } */
static struct bytes signing_certificate(uint8_t *out, const uint8_t *hash, uint8_t size)
{
    const uint8_t head[] = {0x30, (uint8_t)(size + 6), 0x30, (uint8_t)(size + 4),
                            0x30, (uint8_t)(size + 2), 0x04, size};

    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, hash, size);
    return bytes_of(out, sizeof head + size);
}

static void test_signing_certificate(void **state)
{
    struct fixture_attribute attribute = {.type = V_ASN1_SEQUENCE};
    uint8_t encoded[100], sha1[SHA_DIGEST_LENGTH], sha256[SHA256_DIGEST_LENGTH];
    unsigned size;

    (void)state;
    assert_int_equal(X509_digest(signer, EVP_sha1(), sha1, &size), 1);
    assert_int_equal(X509_digest(signer, EVP_sha256(), sha256, &size), 1);

    attribute.oid = OID_SIGNING_CERTIFICATE_V2;
    attribute.value = signing_certificate(encoded, sha256, sizeof sha256);
    assert_null(judge(0, &attribute));
    encoded[20] ^= 1;
    assert_string_equal(judge(0, &attribute), "cms-signing-certificate");
    attribute.value = signing_certificate(encoded, sha256, sizeof sha256 - 1);
    assert_string_equal(judge(0, &attribute), "cms-signing-certificate");
    attribute.value = bytes_of("\x30\x00", 2);
    assert_string_equal(judge(0, &attribute), "cms-signing-certificate");

    attribute.oid = OID_SIGNING_CERTIFICATE;
    attribute.value = signing_certificate(encoded, sha1, sizeof sha1);
    assert_null(judge(0, &attribute));
    encoded[20] ^= 1;
    assert_string_equal(judge(0, &attribute), "cms-signing-certificate");
}

static void test_algorithm_protection(void **state)
{
    uint8_t encoded[] = {0x30, 0x1c, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                         0x65, 0x03, 0x04, 0x02, 0x01, 0xa1, 0x0d, 0x06, 0x09, 0x2a,
                         0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    struct fixture_attribute attribute = {.oid = OID_ALGORITHM_PROTECTION,
                                          .type = V_ASN1_SEQUENCE,
                                          .value = bytes_of(encoded, sizeof encoded)};

    (void)state;
    assert_null(judge(0, &attribute));
    encoded[14] = 0x02; /* SHA-384 */
    assert_string_equal(judge(0, &attribute), "cms-algorithm-protection");
    encoded[14] = 0x01;
    encoded[27] = 0x0a; /* RSASSA-PSS */
    assert_string_equal(judge(0, &attribute), "cms-algorithm-protection");
}

/* What we do not know is covered by the signature and does no harm. */
static void test_unknown_attribute(void **state)
{
    struct fixture_attribute attribute = {.oid = "1.3.6.1.4.1.99999.7",
                                          .type = V_ASN1_SEQUENCE,
                                          .value = bytes_of("\x30\x02\x05\x00", 4)};

    (void)state;
    assert_null(judge(0, &attribute));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_signing_certificate),
        cmocka_unit_test(test_algorithm_protection),
        cmocka_unit_test(test_unknown_attribute),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
