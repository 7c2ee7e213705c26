/*
 * Certificates, times and revocation lists made on the spot: what each lack or flaw leads to. The
 * second judgement of each document comes from the signer cache and must not differ.
 */
#include "fixture.h"

#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { SIGNER_SERIAL = 77, CA_SERIAL = 2 };

static struct {
    EVP_PKEY *root_key, *ca_key, *key, *small_key;
    struct fixture_authority root, ca;
    X509 *signer;
    X509_CRL *root_crl, *ca_crl;
    struct buffer pdf;
} pki;

static struct verdict verdict;

static X509_CRL *crl_of(const struct fixture_authority *issuer, long revoked, int64_t from_days,
                        int64_t until_days)
{
    return fixture_crl(issuer, &revoked, revoked ? 1 : 0, 3,
                       FIXTURE_NOW_S + from_days * FIXTURE_DAY_S,
                       until_days ? FIXTURE_NOW_S + until_days * FIXTURE_DAY_S : 0);
}

static int set_up(void **state)
{
    (void)state;
    pki.root_key = fixture_key(2048);
    pki.ca_key = fixture_key(2048);
    pki.key = fixture_key(2048);
    pki.small_key = fixture_key(1024);
    pki.root = fixture_authority(NULL, "CN=Root,O=Test Government,C=JP", pki.root_key, 1);
    pki.ca =
        fixture_authority(&pki.root, "CN=Issuer,O=Test Government,C=JP", pki.ca_key, CA_SERIAL);
    pki.signer = fixture_signer(&pki.ca, pki.key, SIGNER_SERIAL);
    pki.root_crl = crl_of(&pki.root, 0, -1, 10);
    pki.ca_crl = crl_of(&pki.ca, 0, -2, 5);
    fixture_pdf(&pki.pdf, 1, 100, pki.signer, pki.key, pki.ca.certificate);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_done(&pki.pdf);
    X509_CRL_free(pki.root_crl);
    X509_CRL_free(pki.ca_crl);
    X509_free(pki.signer);
    X509_free(pki.ca.certificate);
    X509_free(pki.root.certificate);
    EVP_PKEY_free(pki.root_key);
    EVP_PKEY_free(pki.ca_key);
    EVP_PKEY_free(pki.key);
    EVP_PKEY_free(pki.small_key);
    return 0;
}

static struct verify_trust *trust_of(X509 *anchor, X509_CRL *first, X509_CRL *second,
                                     const char *policy)
{
    _cleanup_buffer_ struct buffer bundle;

    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    fixture_add_certificate(&bundle, anchor);
    if (first)
        fixture_add_crl(&bundle, first);
    if (second)
        fixture_add_crl(&bundle, second);
    fixture_add_text(&bundle, TRUST_SIGNER_DN, FIXTURE_SIGNER);
    if (policy)
        fixture_add_text(&bundle, TRUST_POLICY, policy);
    return fixture_trust(&bundle);
}

/* Judges twice, the same trust both times; frees it. */
static void judge_at(struct verify_trust *trust, const struct buffer *pdf, int64_t time_s)
{
    static struct verdict first;
    struct verify_request request = {.format = CERTFORMAT_PDF, .time_s = time_s};

    assert_int_equal(verify_document(trust, &request, bytes_of(pdf->data, pdf->size), &first), 0);
    assert_int_equal(verify_document(trust, &request, bytes_of(pdf->data, pdf->size), &verdict), 0);
    assert_memory_equal(&first, &verdict, sizeof verdict);
    verify_trust_free(trust);
}

static void expect(enum verdict_indication indication, enum verdict_sub sub, const char *check)
{
    const struct verdict_reason *reason = verdict_decisive(&verdict);

    if (reason && (verdict.sub != sub || !check || strcmp(reason->check, check) != 0))
        print_message("%s: %s\n", reason->check, reason->text);
    assert_int_equal(verdict.indication, indication);
    assert_int_equal(verdict.sub, sub);
    if (check)
        assert_string_equal(reason ? reason->check : "", check);
}

static void expect_passed(void)
{
    expect(VERDICT_TOTAL_PASSED, VERDICT_SUB_NONE, NULL);
}

static void test_good(void **state)
{
    (void)state;
    judge_at(trust_of(pki.root.certificate, pki.root_crl, pki.ca_crl, NULL), &pki.pdf,
             FIXTURE_NOW_S);
    expect_passed();
    assert_string_equal(verdict.signer, FIXTURE_SIGNER);
    assert_int_equal(verdict.fresh_until_s, FIXTURE_NOW_S + 5 * FIXTURE_DAY_S);
    assert_int_equal(verdict.verified_at_s, FIXTURE_NOW_S);
    assert_int_equal(verdict.signing_time_s, 1798761600);
}

/* An anchor need not be self-signed, and no list of the authority above it is asked for. */
static void test_anchor_below_root(void **state)
{
    (void)state;
    judge_at(trust_of(pki.ca.certificate, pki.ca_crl, NULL, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect_passed();
}

static void test_revocation_missing(void **state)
{
    (void)state;
    judge_at(trust_of(pki.root.certificate, NULL, NULL, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    judge_at(trust_of(pki.root.certificate, pki.root_crl, NULL, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    judge_at(trust_of(pki.root.certificate, pki.ca_crl, NULL, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    judge_at(trust_of(pki.root.certificate, NULL, NULL, "revocation=ignore"), &pki.pdf,
             FIXTURE_NOW_S);
    expect_passed();
    assert_int_equal(verdict.fresh_until_s, 0);
}

static void test_revocation_out_of_date(void **state)
{
    X509_CRL *endless = crl_of(&pki.ca, 0, -2, 0);

    (void)state;
    judge_at(trust_of(pki.root.certificate, pki.root_crl, pki.ca_crl, NULL), &pki.pdf,
             FIXTURE_NOW_S + 6 * FIXTURE_DAY_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    judge_at(trust_of(pki.root.certificate, pki.root_crl, pki.ca_crl, NULL), &pki.pdf,
             FIXTURE_NOW_S - 3 * FIXTURE_DAY_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    /* A list that does not say until when it holds, holds for nothing. */
    judge_at(trust_of(pki.root.certificate, pki.root_crl, endless, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    X509_CRL_free(endless);
}

static void test_revoked(void **state)
{
    X509_CRL *signer = crl_of(&pki.ca, SIGNER_SERIAL, -2, 5);
    X509_CRL *stale = crl_of(&pki.ca, SIGNER_SERIAL, -5, -2);
    X509_CRL *ca = crl_of(&pki.root, CA_SERIAL, -2, 5);

    (void)state;
    judge_at(trust_of(pki.root.certificate, pki.root_crl, signer, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_TOTAL_FAILED, VERDICT_REVOKED, "path-not-revoked");
    /* Not even a stale list or a relaxed policy makes a revoked certificate good. */
    judge_at(trust_of(pki.root.certificate, pki.root_crl, stale, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_TOTAL_FAILED, VERDICT_REVOKED, "path-not-revoked");
    judge_at(trust_of(pki.root.certificate, pki.root_crl, signer, "revocation=ignore"), &pki.pdf,
             FIXTURE_NOW_S);
    expect(VERDICT_TOTAL_FAILED, VERDICT_REVOKED, "path-not-revoked");
    judge_at(trust_of(pki.root.certificate, ca, pki.ca_crl, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_TOTAL_FAILED, VERDICT_REVOKED, "path-not-revoked");
    X509_CRL_free(signer);
    X509_CRL_free(stale);
    X509_CRL_free(ca);
}

static X509_CRL *partial_crl(const struct fixture_authority *issuer, long revoked,
                             const char *scope)
{
    X509_CRL *crl = crl_of(issuer, revoked, -2, 5);
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer->certificate, NULL, NULL, crl, 0);
    X509V3_set_ctx_nodb(&context);
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, &context, NID_issuing_distribution_point, scope);
    assert_non_null(extension);
    assert_int_equal(X509_CRL_add_ext(crl, extension, -1), 1);
    assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
    X509_EXTENSION_free(extension);
    return crl;
}

/* The government's authorities publish one list for users and one for authorities (RFC 5280 5.2.5).
 */
static void test_partial_lists(void **state)
{
    X509_CRL *users = partial_crl(&pki.ca, 0, "critical,onlyuser:TRUE");
    X509_CRL *revoking = partial_crl(&pki.ca, SIGNER_SERIAL, "critical,onlyuser:TRUE");
    X509_CRL *authorities = partial_crl(&pki.root, 0, "critical,onlyCA:TRUE");
    X509_CRL *wrong = partial_crl(&pki.ca, 0, "critical,onlyCA:TRUE");
    X509_CRL *indirect = partial_crl(&pki.ca, 0, "critical,indirectCRL:TRUE");

    (void)state;
    judge_at(trust_of(pki.root.certificate, authorities, users, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect_passed();
    judge_at(trust_of(pki.root.certificate, authorities, revoking, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_TOTAL_FAILED, VERDICT_REVOKED, "path-not-revoked");
    judge_at(trust_of(pki.root.certificate, authorities, wrong, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    judge_at(trust_of(pki.root.certificate, authorities, indirect, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    X509_CRL_free(users);
    X509_CRL_free(revoking);
    X509_CRL_free(authorities);
    X509_CRL_free(wrong);
    X509_CRL_free(indirect);
}

/* A list by somebody of the same name, who is not the issuer. */
static void test_forged_list(void **state)
{
    struct fixture_authority other =
        fixture_authority(NULL, "CN=Issuer,O=Test Government,C=JP", pki.key, 9);
    X509_CRL *forged = crl_of(&other, 0, -2, 5), *revoking = crl_of(&other, SIGNER_SERIAL, -2, 5);

    (void)state;
    judge_at(trust_of(pki.root.certificate, pki.root_crl, forged, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    judge_at(trust_of(pki.root.certificate, pki.root_crl, revoking, NULL), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation");
    X509_CRL_free(forged);
    X509_CRL_free(revoking);
    X509_free(other.certificate);
}

static void test_times(void **state)
{
    (void)state;
    judge_at(trust_of(pki.root.certificate, NULL, NULL, "revocation=ignore"), &pki.pdf,
             FIXTURE_NOW_S + 400LL * FIXTURE_DAY_S);
    expect(VERDICT_INDETERMINATE, VERDICT_OUT_OF_BOUNDS_NO_POE, "path-not-expired");
    judge_at(trust_of(pki.root.certificate, NULL, NULL, "revocation=ignore"), &pki.pdf,
             FIXTURE_NOW_S - 400LL * FIXTURE_DAY_S);
    expect(VERDICT_TOTAL_FAILED, VERDICT_NOT_YET_VALID, "path-begun");
    /* The date in the document lies after the time that counts. */
    judge_at(trust_of(pki.root.certificate, NULL, NULL, "revocation=ignore"), &pki.pdf,
             FIXTURE_NOW_S - 100LL * FIXTURE_DAY_S);
    expect(VERDICT_INDETERMINATE, VERDICT_SIG_CONSTRAINTS_FAILURE, "signature-date-plausible");
}

static void test_no_path(void **state)
{
    struct fixture_authority other =
        fixture_authority(NULL, "CN=Root,O=Test Government,C=JP", pki.key, 1);
    _cleanup_buffer_ struct buffer pdf;

    (void)state;
    /* Same name, another key. */
    judge_at(trust_of(other.certificate, NULL, NULL, "revocation=ignore"), &pki.pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_NO_CERTIFICATE_CHAIN_FOUND, "path-to-anchor");
    /* The certificate between is nowhere. */
    fixture_pdf(&pdf, 1, 100, pki.signer, pki.key, NULL);
    judge_at(trust_of(pki.root.certificate, pki.root_crl, pki.ca_crl, NULL), &pdf, FIXTURE_NOW_S);
    expect(VERDICT_INDETERMINATE, VERDICT_NO_CERTIFICATE_CHAIN_FOUND, "path-to-anchor");
    X509_free(other.certificate);
}

/* A signer's certificate of the right name with one thing wrong. */
static void judge_signer(EVP_PKEY *key, const struct fixture_extension *extensions,
                         const EVP_MD *digest, const char *policy)
{
    struct fixture_subject subject = {
        .dn = FIXTURE_SIGNER,
        .key = key,
        .serial = 78,
        .from_s = FIXTURE_NOW_S - 365LL * FIXTURE_DAY_S,
        .until_s = FIXTURE_NOW_S + 365LL * FIXTURE_DAY_S,
        .extensions = extensions,
        .digest = digest,
    };
    X509 *certificate = fixture_certificate(&pki.ca, &subject);
    struct buffer pdf;

    fixture_pdf(&pdf, 1, 100, certificate, key, pki.ca.certificate);
    judge_at(trust_of(pki.root.certificate, pki.root_crl, pki.ca_crl, policy), &pdf, FIXTURE_NOW_S);
    buffer_done(&pdf);
    X509_free(certificate);
}

#define SIGNER_EXTENSIONS(usage, ...)                                                              \
    (const struct fixture_extension[])                                                             \
    {                                                                                              \
        {NID_basic_constraints, "critical,CA:FALSE"}, {NID_key_usage, usage},                      \
            {NID_subject_key_identifier, "hash"}, {NID_authority_key_identifier, "keyid"},         \
            __VA_ARGS__,                                                                           \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

static void test_usage(void **state)
{
    (void)state;
    judge_signer(pki.key, SIGNER_EXTENSIONS("critical,keyEncipherment", {0}), NULL, NULL);
    expect(VERDICT_INDETERMINATE, VERDICT_CHAIN_CONSTRAINTS_FAILURE, "signer-key-usage");
    judge_signer(pki.key, SIGNER_EXTENSIONS("critical,nonRepudiation", {0}), NULL, NULL);
    expect_passed();
    judge_signer(pki.key,
                 SIGNER_EXTENSIONS("critical,digitalSignature", {NID_ext_key_usage, "serverAuth"}),
                 NULL, NULL);
    expect(VERDICT_INDETERMINATE, VERDICT_CHAIN_CONSTRAINTS_FAILURE, "signer-key-usage");
    judge_signer(pki.key,
                 SIGNER_EXTENSIONS("critical,digitalSignature",
                                   {NID_ext_key_usage, "serverAuth,emailProtection"}),
                 NULL, NULL);
    expect_passed();
}

static void test_unknown_critical_extension(void **state)
{
    int nid = OBJ_create("1.3.6.1.4.1.99999.1", "testExtension", "test extension");

    (void)state;
    judge_signer(pki.key,
                 SIGNER_EXTENSIONS("critical,digitalSignature", {nid, "critical,DER:0500"}), NULL,
                 NULL);
    expect(VERDICT_INDETERMINATE, VERDICT_CHAIN_CONSTRAINTS_FAILURE, "path-constraints");
    judge_signer(pki.key, SIGNER_EXTENSIONS("critical,digitalSignature", {nid, "DER:0500"}), NULL,
                 NULL);
    expect_passed();
}

static void test_algorithms(void **state)
{
    (void)state;
    judge_signer(pki.key, SIGNER_EXTENSIONS("critical,digitalSignature", {0}), EVP_sha1(), NULL);
    expect(VERDICT_INDETERMINATE, VERDICT_CRYPTO_CONSTRAINTS_FAILURE, "path-algorithms");
    judge_signer(pki.small_key, SIGNER_EXTENSIONS("critical,digitalSignature", {0}), NULL, NULL);
    expect(VERDICT_INDETERMINATE, VERDICT_CRYPTO_CONSTRAINTS_FAILURE, "key-size");
    judge_signer(pki.small_key, SIGNER_EXTENSIONS("critical,digitalSignature", {0}), NULL,
                 "key-size=warn");
    expect_passed();
}

/* One trust, two times: what was remembered at one time is not used outside its span. */
static void test_cache_and_time(void **state)
{
    struct verify_trust *trust = trust_of(pki.root.certificate, pki.root_crl, pki.ca_crl, NULL);
    static const int64_t days[] = {0, 6, 0, -3, 4, 0};
    static const enum verdict_indication expected[] = {VERDICT_TOTAL_PASSED, VERDICT_INDETERMINATE,
                                                       VERDICT_TOTAL_PASSED, VERDICT_INDETERMINATE,
                                                       VERDICT_TOTAL_PASSED, VERDICT_TOTAL_PASSED};

    (void)state;
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        struct verify_request request = {.format = CERTFORMAT_PDF,
                                         .time_s = FIXTURE_NOW_S + days[i] * FIXTURE_DAY_S};
        assert_int_equal(
            verify_document(trust, &request, bytes_of(pki.pdf.data, pki.pdf.size), &verdict), 0);
        assert_int_equal(verdict.indication, expected[i]);
    }
    verify_trust_free(trust);
}

/* More signers than the cache has slots, in turn. */
static void test_cache_turnover(void **state)
{
    struct verify_trust *trust = trust_of(pki.root.certificate, pki.root_crl, pki.ca_crl, NULL);
    struct verify_request request = {.format = CERTFORMAT_PDF, .time_s = FIXTURE_NOW_S};
    enum { SIGNERS = 12 };
    struct buffer pdfs[SIGNERS];

    (void)state;
    for (long i = 0; i < SIGNERS; i++) {
        X509 *signer = fixture_signer(&pki.ca, pki.key, 100 + i);
        fixture_pdf(&pdfs[i], 1, 10, signer, pki.key, pki.ca.certificate);
        X509_free(signer);
    }
    for (int round = 0; round < 30; round++) {
        const struct buffer *pdf = &pdfs[(round * 5) % SIGNERS];
        assert_int_equal(verify_document(trust, &request, bytes_of(pdf->data, pdf->size), &verdict),
                         0);
        expect_passed();
    }
    for (int i = 0; i < SIGNERS; i++)
        buffer_done(&pdfs[i]);
    verify_trust_free(trust);
}

static void expect_refused(const struct buffer *bundle, int error)
{
    char message[VERDICT_TEXT_MAX] = "";
    struct verify_trust *trust;

    assert_int_equal(verify_trust_new(bytes_of(bundle->data, bundle->size), message, &trust),
                     error);
    assert_true(message[0]);
}

static void test_bad_bundles(void **state)
{
    static const char *const settings[] = {"revocation",           "revocation=",
                                           "revocation=never",     "=ignore",
                                           "no-such-check=ignore", "signature-value=ignore",
                                           "path-to-anchor=warn"};
    struct buffer bundle;

    (void)state;
    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    expect_refused(&bundle, -EINVAL); /* no anchor */
    fixture_add_certificate(&bundle, pki.root.certificate);
    expect_refused(&bundle, -EINVAL); /* no signer */
    fixture_add_text(&bundle, TRUST_SIGNER_DN, FIXTURE_SIGNER);
    size_t good = bundle.size;
    verify_trust_free(fixture_trust(&bundle));
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        bundle.size = good;
        fixture_add_text(&bundle, TRUST_POLICY, settings[i]);
        expect_refused(&bundle, -EINVAL);
    }
    bundle.size = good;
    fixture_add_text(&bundle, TRUST_SIGNER_DN, FIXTURE_SIGNER);
    expect_refused(&bundle, -EINVAL); /* two signers */
    bundle.size = good;
    fixture_add_text(&bundle, TRUST_ANCHOR, "not a certificate");
    expect_refused(&bundle, -EBADMSG);
    bundle.size = good;
    fixture_add_text(&bundle, TRUST_CRL, "");
    expect_refused(&bundle, -EBADMSG);
    bundle.size = good;
    fixture_add_text(&bundle, TRUST_ANCHOR,
                     "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    expect_refused(&bundle, -EBADMSG);
    bundle.size = good - 1;
    expect_refused(&bundle, -EBADMSG); /* cut short */
    buffer_done(&bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_anchor_below_root),
        cmocka_unit_test(test_revocation_missing),
        cmocka_unit_test(test_revocation_out_of_date),
        cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_partial_lists),
        cmocka_unit_test(test_forged_list),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_no_path),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_unknown_critical_extension),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_cache_and_time),
        cmocka_unit_test(test_cache_turnover),
        cmocka_unit_test(test_bad_bundles),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
