/*
 * What verification costs beside what it cannot do without (issue 5, performance):
 *   floor    SHA-256 of the document, inflating its content streams, one RSA-2048 signature check
 *   known    a whole verification, the signer's path remembered
 *   path     OpenSSL's path validation with a warm store and a CRL of 2000 entries, decoding of the
 *            certificates included
 *   unknown  a whole verification by a trust that has not seen the signer
 * Interleaved rounds, medians. Exit 1 if known > 1.5 * floor or unknown > 1.2 * (known limit +
 * path).
 */
#include "../unit/verify/fixture.h"

#include "base/crypto.h"

#include <openssl/rsa.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { ROUNDS = 301, PAGES = 20, IMAGE_SIZE = 280 * 1024 };

struct bench {
    struct buffer pdf, bundle;
    struct verify_trust *trust;
    X509 *signer, *root;
    uint8_t *signer_der, *ca_der;
    int signer_size, ca_size;
    X509_STORE *store;
    uint8_t digest[32], signature[512];
    size_t signature_size;
    EVP_PKEY_CTX *rsa;
    struct verdict verdict;
};

static double now_us(void)
{
    struct timespec t;

    /* Processor time: nothing here waits, and the machine may be busy with other things. */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

/* Inflates every Flate stream that is no image, as a viewer of text would. */
static void inflate_contents(struct bytes pdf)
{
    static uint8_t out[64 * 1024];
    const uint8_t *next = pdf.data, *end = pdf.data + pdf.size;

    while ((next = memmem(next, (size_t)(end - next), "<<  /Filter /FlateDecode", 24))) {
        const uint8_t *data = memmem(next, (size_t)(end - next), "stream\n", 7);
        uLongf size = sizeof out;
        if (!data)
            return;
        z_stream stream = {.next_in = (Bytef *)(uintptr_t)(data + 7),
                           .avail_in = (uInt)(end - data - 7),
                           .next_out = out,
                           .avail_out = (uInt)size};
        if (inflateInit(&stream) != Z_OK || inflate(&stream, Z_FINISH) != Z_STREAM_END)
            exit(99);
        next = data + 7 + stream.total_in;
        inflateEnd(&stream);
    }
}

static double run_floor(struct bench *bench)
{
    uint8_t digest[32];
    double start = now_us();

    if (sha256(bench->pdf.data, bench->pdf.size, digest) < 0)
        exit(99);
    inflate_contents(bytes_of(bench->pdf.data, bench->pdf.size));
    if (EVP_PKEY_verify(bench->rsa, bench->signature, bench->signature_size, bench->digest, 32) !=
        1)
        exit(99);
    return now_us() - start;
}

static double run_verify(struct bench *bench, struct verify_trust *trust)
{
    struct verify_request request = {.format = CERTFORMAT_PDF, .time_s = FIXTURE_NOW_S};
    double start = now_us();

    if (verify_document(trust, &request, bytes_of(bench->pdf.data, bench->pdf.size),
                        &bench->verdict) < 0 ||
        bench->verdict.indication != VERDICT_TOTAL_PASSED) {
        const struct verdict_reason *reason = verdict_decisive(&bench->verdict);
        fprintf(stderr, "rejected: %s\n", reason ? reason->text : "?");
        exit(99);
    }
    return now_us() - start;
}

static double run_path(struct bench *bench)
{
    double start = now_us();
    const uint8_t *signer_der = bench->signer_der, *ca_der = bench->ca_der;
    X509 *signer = d2i_X509(NULL, &signer_der, bench->signer_size);
    X509 *ca = d2i_X509(NULL, &ca_der, bench->ca_size);
    STACK_OF(X509) *others = sk_X509_new_null();
    X509_STORE_CTX *context = X509_STORE_CTX_new();

    if (!signer || !ca || !others || !context || !sk_X509_push(others, ca) ||
        !X509_STORE_CTX_init(context, bench->store, signer, others))
        exit(99);
    X509_STORE_CTX_set_time(context, 0, FIXTURE_NOW_S);
    if (X509_verify_cert(context) != 1)
        exit(99);
    X509_STORE_CTX_free(context);
    sk_X509_pop_free(others, X509_free);
    X509_free(signer);
    return now_us() - start;
}

static void prepare(struct bench *bench)
{
    struct fixture_authority root =
        fixture_authority(NULL, "CN=Root,O=Test Government,C=JP", fixture_key(4096), 1);
    struct fixture_authority ca =
        fixture_authority(&root, "CN=Issuer,O=Test Government,C=JP", fixture_key(4096), 2);
    EVP_PKEY *key = fixture_key(2048);
    X509_CRL *root_crl = fixture_crl(&root, NULL, 0, 10, FIXTURE_NOW_S - FIXTURE_DAY_S,
                                     FIXTURE_NOW_S + FIXTURE_DAY_S);
    X509_CRL *ca_crl = fixture_crl(&ca, NULL, 0, 2000, FIXTURE_NOW_S - FIXTURE_DAY_S,
                                   FIXTURE_NOW_S + FIXTURE_DAY_S);

    bench->signer = fixture_signer(&ca, key, 3);
    bench->signer_size = i2d_X509(bench->signer, &bench->signer_der);
    bench->ca_size = i2d_X509(ca.certificate, &bench->ca_der);
    fixture_pdf(&bench->pdf, PAGES, IMAGE_SIZE, bench->signer, key, ca.certificate);
    buffer_init(&bench->bundle, TRUST_BUNDLE_MAX);
    fixture_add_certificate(&bench->bundle, root.certificate);
    fixture_add_crl(&bench->bundle, root_crl);
    fixture_add_crl(&bench->bundle, ca_crl);
    fixture_add_text(&bench->bundle, TRUST_SIGNER_DN, FIXTURE_SIGNER);
    bench->trust = fixture_trust(&bench->bundle);

    bench->store = X509_STORE_new();
    X509_STORE_add_cert(bench->store, root.certificate);
    X509_STORE_add_crl(bench->store, root_crl);
    X509_STORE_add_crl(bench->store, ca_crl);
    X509_STORE_set_flags(bench->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL |
                                           X509_V_FLAG_X509_STRICT);
    EVP_PKEY_CTX *signing = EVP_PKEY_CTX_new(key, NULL);
    bench->signature_size = sizeof bench->signature;
    EVP_PKEY_sign_init(signing);
    EVP_PKEY_CTX_set_rsa_padding(signing, RSA_PKCS1_PADDING);
    EVP_PKEY_CTX_set_signature_md(signing, EVP_sha256());
    if (EVP_PKEY_sign(signing, bench->signature, &bench->signature_size, bench->digest, 32) != 1)
        exit(99);
    bench->rsa = EVP_PKEY_CTX_new(key, NULL);
    EVP_PKEY_verify_init(bench->rsa);
    EVP_PKEY_CTX_set_rsa_padding(bench->rsa, RSA_PKCS1_PADDING);
    EVP_PKEY_CTX_set_signature_md(bench->rsa, EVP_sha256());
}

int main(void)
{
    static double floor_us[ROUNDS], known_us[ROUNDS], path_us[ROUNDS], unknown_us[ROUNDS];
    struct bench *bench = calloc(1, sizeof *bench);

    if (!bench)
        return 99;
    prepare(bench);
    run_verify(bench, bench->trust);
    run_path(bench);
    for (int i = 0; i < ROUNDS; i++) {
        floor_us[i] = run_floor(bench);
        known_us[i] = run_verify(bench, bench->trust);
        path_us[i] = run_path(bench);
        /* A trust that has seen other signers, but not this one. */
        struct verify_trust *fresh = fixture_trust(&bench->bundle);
        struct verify_request warm = {.format = CERTFORMAT_PDF, .time_s = 0};
        if (verify_document(fresh, &warm, bytes_of("", 0), &bench->verdict) < 0)
            return 99;
        unknown_us[i] = run_verify(bench, fresh);
        verify_trust_free(fresh);
    }
    double lowest = median(floor_us), known = median(known_us), path = median(path_us);
    double unknown = median(unknown_us);
    printf("document %zu bytes, %d rounds, medians in microseconds\n", bench->pdf.size, ROUNDS);
    printf("floor %.0f  known signer %.0f  ratio %.2f (at most 1.5)\n", lowest, known,
           known / lowest);
    printf("path %.0f  unknown signer %.0f  ratio to floor + path %.2f (at most 1.2)\n", path,
           unknown, unknown / (lowest + path));
    return known <= 1.5 * lowest && unknown <= 1.2 * (lowest + path) ? 0 : 1;
}
