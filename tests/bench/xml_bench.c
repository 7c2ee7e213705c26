/*
 * What verifying an XML document costs beside what it cannot do without (issue 6): a document of
 * 40 KB in compatibility mode, schema aside, the signer known.
 *   floor   libxml2's parse, its C14N of the document, SHA-256, one RSA-2048 check, and one
 *           xmlSecDSigCtxVerify(), each once
 *   verify  the whole verdict
 * Interleaved rounds, medians. Exit 1 if verify > 1.5 * floor.
 *
 * usage: xml_bench, with $XML_VECTORS naming tests/vectors/xml
 */
#include "../unit/verify/xml/xml_fixture.h"

#include "base/crypto.h"

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <time.h>
#include <xmlsec/crypto.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmltree.h>

enum { ROUNDS = 301, PARTS = 5 };

struct bench {
    struct buffer document;
    struct verify_trust *trust;
    EVP_PKEY *key;
    EVP_PKEY_CTX *rsa;
    uint8_t digest[SHA256_SIZE], signature[512];
    size_t signature_size;
    struct verdict verdict;
};

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
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

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "xml_bench: %s\n", what);
    exit(99);
}

static void verify_by_xmlsec(struct bench *bench, xmlDoc *document)
{
    xmlNode *node =
        xmlSecFindNode(xmlDocGetRootElement(document), xmlSecNodeSignature, xmlSecDSigNs);
    xmlSecDSigCtx *context = xmlSecDSigCtxCreate(NULL);

    require(node && context && EVP_PKEY_up_ref(bench->key) == 1, "xmlsec");
    context->signKey = xmlSecKeyCreate();
    require(context->signKey &&
                xmlSecKeySetValue(context->signKey, xmlSecOpenSSLEvpKeyAdopt(bench->key)) == 0 &&
                xmlSecDSigCtxVerify(context, node) == 0 &&
                context->status == xmlSecDSigStatusSucceeded,
            "xmlSecDSigCtxVerify");
    xmlSecDSigCtxDestroy(context);
}

/* parts: parse and free, C14N, SHA-256, RSA, xmlsec */
static double run_floor(struct bench *bench, double parts[PARTS])
{
    uint8_t digest[SHA256_SIZE];
    double times[PARTS + 2];

    times[0] = now_us();
    xmlDoc *document =
        xmlReadMemory((const char *)bench->document.data, (int)bench->document.size, NULL, NULL,
                      XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOCDATA);
    require(document, "parse");
    times[1] = now_us();
    xmlOutputBuffer *out = xmlAllocOutputBuffer(NULL);
    require(out && xmlC14NExecute(document, NULL, NULL, XML_C14N_1_0, NULL, 0, out) >= 0, "C14N");
    times[2] = now_us();
    require(sha256(xmlOutputBufferGetContent(out), xmlOutputBufferGetSize(out), digest) == 0,
            "SHA-256");
    xmlOutputBufferClose(out);
    times[3] = now_us();
    require(EVP_PKEY_verify(bench->rsa, bench->signature, bench->signature_size, bench->digest,
                            SHA256_SIZE) >= 0,
            "RSA");
    times[4] = now_us();
    verify_by_xmlsec(bench, document);
    times[5] = now_us();
    xmlFreeDoc(document);
    times[6] = now_us();
    for (int i = 0; i < PARTS; i++)
        parts[i] = times[i + 1] - times[i];
    parts[0] += times[6] - times[5];
    return times[6] - times[0];
}

static double run_verify(struct bench *bench)
{
    double start = now_us();

    vector_verify(bench->trust, bench->document.data, bench->document.size, &bench->verdict);
    double spent = now_us() - start;
    const struct verdict_reason *reason = verdict_decisive(&bench->verdict);
    require(bench->verdict.indication == VERDICT_TOTAL_PASSED, reason ? reason->text : "rejected");
    return spent;
}

/* The key of the document's own certificate, and a signature value of its size. */
static void prepare_key(struct bench *bench)
{
    static const char start[] = "<X509Certificate>", end[] = "</X509Certificate>";
    const uint8_t *from = memmem(bench->document.data, bench->document.size, start, strlen(start));
    const uint8_t *to = memmem(bench->document.data, bench->document.size, end, strlen(end));
    static char pem[16384];

    require(from && to, "no certificate");
    from += strlen(start);
    int size = snprintf(pem, sizeof pem, "-----BEGIN CERTIFICATE-----\n");
    for (unsigned column = 0; from < to; from++) {
        if (strchr("\r\n ", *from))
            continue;
        pem[size++] = (char)*from;
        if (++column % 64 == 0)
            pem[size++] = '\n';
    }
    strcpy(pem + size, "\n-----END CERTIFICATE-----\n");
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    require(certificate, "certificate");
    bench->key = X509_get_pubkey(certificate);
    X509_free(certificate);
    BIO_free(bio);
    bench->signature_size = (size_t)EVP_PKEY_get_size(bench->key);
    memset(bench->signature, 0x55, bench->signature_size);
    bench->rsa = EVP_PKEY_CTX_new(bench->key, NULL);
    require(EVP_PKEY_verify_init(bench->rsa) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(bench->rsa, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_CTX_set_signature_md(bench->rsa, EVP_sha256()) == 1,
            "RSA");
}

int main(void)
{
    static const char *const names[PARTS] = {"parse", "c14n", "sha256", "rsa", "xmlsec"};
    static double floor_us[ROUNDS], verify_us[ROUNDS], part_us[PARTS][ROUNDS];
    struct bench *bench = calloc(1, sizeof *bench);

    require(bench, "memory is short");
    bench->document = vector_read("schema/bench-40k.xml");
    bench->trust = vector_trust("schema/anchor.pem", "schema/official.crl", NULL, NULL);
    prepare_key(bench);
    run_verify(bench); /* initialises the libraries too */
    for (int i = 0; i < ROUNDS; i++) {
        double parts[PARTS];
        floor_us[i] = run_floor(bench, parts);
        for (int k = 0; k < PARTS; k++)
            part_us[k][i] = parts[k];
        verify_us[i] = run_verify(bench);
    }
    double lowest = median(floor_us), whole = median(verify_us);
    printf("document %zu bytes, %d rounds, medians in microseconds\n", bench->document.size,
           ROUNDS);
    for (int k = 0; k < PARTS; k++)
        printf("%s %.0f  ", names[k], median(part_us[k]));
    printf("\nfloor %.0f  verify %.0f  ratio %.2f (at most 1.5)\n", lowest, whole, whole / lowest);
    EVP_PKEY_CTX_free(bench->rsa);
    EVP_PKEY_free(bench->key);
    verify_trust_free(bench->trust);
    buffer_done(&bench->document);
    free(bench);
    return whole > 1.5 * lowest;
}
