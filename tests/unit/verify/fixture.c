/*
 * OpenSSL is the independent party here: what it signs, our verifier has to accept.
 */
#include "fixture.h"

#include "verify/dn.h"

#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            ERR_print_errors_fp(stderr);                                                           \
            exit(99);                                                                              \
        }                                                                                          \
    } while (0)

enum { CONTENTS_DIGITS = 16384, PDF_SIZE_MAX = 64 * 1024 * 1024 };

EVP_PKEY *fixture_key(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);

    MUST(key);
    return key;
}

static void add_extension(X509 *certificate, X509 *issuer, const struct fixture_extension *wanted)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, wanted->nid, wanted->value);
    MUST(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

X509 *fixture_certificate(const struct fixture_authority *issuer,
                          const struct fixture_subject *subject)
{
    X509 *certificate = X509_new();
    X509_NAME *name = NULL;

    MUST(certificate && dn_parse(bytes_of(subject->dn, strlen(subject->dn)), &name) == 0);
    MUST(X509_set_version(certificate, X509_VERSION_3));
    MUST(ASN1_INTEGER_set(X509_get_serialNumber(certificate), subject->serial));
    MUST(X509_set_subject_name(certificate, name));
    MUST(X509_set_issuer_name(certificate,
                              issuer ? X509_get_subject_name(issuer->certificate) : name));
    MUST(ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)subject->from_s));
    MUST(ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)subject->until_s));
    MUST(X509_set_pubkey(certificate, subject->key));
    for (const struct fixture_extension *e = subject->extensions; e && e->nid; e++)
        add_extension(certificate, issuer ? issuer->certificate : certificate, e);
    MUST(X509_sign(certificate, issuer ? issuer->key : subject->key,
                   subject->digest ? subject->digest : EVP_sha256()));
    X509_NAME_free(name);
    return certificate;
}

struct fixture_authority fixture_authority(const struct fixture_authority *issuer, const char *dn,
                                           EVP_PKEY *key, long serial)
{
    static const struct fixture_extension root[] = {
        {NID_basic_constraints, "critical,CA:TRUE"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
        {0},
    };
    static const struct fixture_extension below[] = {
        {NID_basic_constraints, "critical,CA:TRUE"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid"},
        {0},
    };
    struct fixture_subject subject = {
        .dn = dn,
        .key = key,
        .serial = serial,
        .from_s = FIXTURE_NOW_S - 3650LL * FIXTURE_DAY_S,
        .until_s = FIXTURE_NOW_S + 3650LL * FIXTURE_DAY_S,
        .extensions = issuer ? below : root,
    };

    return (struct fixture_authority){key, fixture_certificate(issuer, &subject)};
}

X509 *fixture_signer(const struct fixture_authority *issuer, EVP_PKEY *key, long serial)
{
    static const struct fixture_extension extensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature,nonRepudiation"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid"},
        {0},
    };
    struct fixture_subject subject = {
        .dn = FIXTURE_SIGNER,
        .key = key,
        .serial = serial,
        .from_s = FIXTURE_NOW_S - 365LL * FIXTURE_DAY_S,
        .until_s = FIXTURE_NOW_S + 365LL * FIXTURE_DAY_S,
        .extensions = extensions,
    };

    return fixture_certificate(issuer, &subject);
}

static void add_revoked(X509_CRL *crl, long serial, int64_t when_s)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)when_s);

    MUST(entry && number && when && ASN1_INTEGER_set(number, serial));
    MUST(X509_REVOKED_set_serialNumber(entry, number));
    MUST(X509_REVOKED_set_revocationDate(entry, when));
    MUST(X509_CRL_add0_revoked(crl, entry));
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(when);
}

X509_CRL *fixture_crl(const struct fixture_authority *issuer, const long *serials, size_t count,
                      unsigned extra, int64_t from_s, int64_t until_s)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)from_s);
    ASN1_TIME *until = until_s ? ASN1_TIME_set(NULL, (time_t)until_s) : NULL;

    MUST(crl && from && X509_CRL_set_version(crl, X509_CRL_VERSION_2));
    MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->certificate)));
    MUST(X509_CRL_set1_lastUpdate(crl, from));
    MUST(!until || X509_CRL_set1_nextUpdate(crl, until));
    for (size_t i = 0; i < count; i++)
        add_revoked(crl, serials[i], from_s);
    for (unsigned i = 0; i < extra; i++)
        add_revoked(crl, 1000000 + (long)i * 7, from_s);
    MUST(X509_CRL_sort(crl) && X509_CRL_sign(crl, issuer->key, EVP_sha256()));
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return crl;
}

void fixture_add_certificate(struct buffer *bundle, X509 *certificate)
{
    uint8_t *der = NULL;
    int size = i2d_X509(certificate, &der);

    MUST(size > 0 &&
         trust_bundle_add(bundle, TRUST_ANCHOR, "anchor", bytes_of(der, (size_t)size)) == 0);
    OPENSSL_free(der);
}

void fixture_add_crl(struct buffer *bundle, X509_CRL *crl)
{
    uint8_t *der = NULL;
    int size = i2d_X509_CRL(crl, &der);

    MUST(size > 0 && trust_bundle_add(bundle, TRUST_CRL, "crl", bytes_of(der, (size_t)size)) == 0);
    OPENSSL_free(der);
}

void fixture_add_text(struct buffer *bundle, enum trust_kind kind, const char *text)
{
    MUST(trust_bundle_add(bundle, kind, "text", bytes_of(text, strlen(text))) == 0);
}

struct verify_trust *fixture_trust(const struct buffer *bundle)
{
    char message[VERDICT_TEXT_MAX];
    struct verify_trust *trust;

    if (verify_trust_new(bytes_of(bundle->data, bundle->size), message, &trust) < 0) {
        fprintf(stderr, "%s\n", message);
        exit(99);
    }
    return trust;
}

/* A PDF under construction: where each object begins. */
struct writer {
    struct buffer *out;
    uint32_t offsets[4096];
    unsigned count;
};

static void put(struct writer *writer, const char *format, ...) _printf_(2, 3);

static void put(struct writer *writer, const char *format, ...)
{
    char text[8192];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    MUST(size >= 0 && (size_t)size < sizeof text);
    MUST(buffer_append(writer->out, text, (size_t)size) == 0);
}

static unsigned begin_object(struct writer *writer)
{
    MUST(++writer->count < sizeof writer->offsets / sizeof writer->offsets[0]);
    writer->offsets[writer->count] = (uint32_t)writer->out->size;
    put(writer, "%u 0 obj\n", writer->count);
    return writer->count;
}

static void put_flate_stream(struct writer *writer, const char *entries, struct bytes data)
{
    uLongf size = compressBound(data.size);
    uint8_t *packed = malloc(size);

    MUST(packed && compress(packed, &size, data.data, data.size) == Z_OK);
    begin_object(writer);
    put(writer, "<< %s /Filter /FlateDecode /Length %lu >>\nstream\n", entries, size);
    MUST(buffer_append(writer->out, packed, size) == 0);
    put(writer, "\nendstream\nendobj\n");
    free(packed);
}

/* Bytes that Flate cannot make smaller, the same in every run. */
static void put_image(struct writer *writer, size_t size)
{
    uint8_t *pixels = malloc(size + 1);
    uint32_t state = 1;
    char entries[200];

    MUST(pixels);
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        pixels[i] = (uint8_t)(state >> 24);
    }
    snprintf(entries, sizeof entries,
             "/Type /XObject /Subtype /Image /Width %zu /Height 1 /ColorSpace /DeviceGray "
             "/BitsPerComponent 8",
             size);
    put_flate_stream(writer, entries, bytes_of(pixels, size));
    free(pixels);
}

static void put_page_text(struct writer *writer, unsigned page)
{
    char text[4096];
    size_t size = (size_t)snprintf(text, sizeof text, "BT /F1 10 Tf 50 800 Td\n");

    for (int line = 0; line < 40; line++)
        size += (size_t)snprintf(text + size, sizeof text - size,
                                 "(page %u line %d of \\(BI\\) the register) Tj 0 -18 Td\n", page,
                                 line);
    size += (size_t)snprintf(text + size, sizeof text - size, "ET /Im0 Do\n");
    put_flate_stream(writer, "", bytes_of(text, size));
}

static size_t put_signature(struct writer *writer, size_t *ret_byterange)
{
    begin_object(writer);
    put(writer, "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached\n"
                "/Name (Minister of Justice) /M (D:20270101000000Z)\n/ByteRange ");
    *ret_byterange = writer->out->size;
    put(writer, "%-60s\n/Contents ", "[]");
    size_t contents = writer->out->size;
    put(writer, "<");
    for (int i = 0; i < CONTENTS_DIGITS / 64; i++)
        put(writer, "0000000000000000000000000000000000000000000000000000000000000000");
    put(writer, "> >>\nendobj\n");
    return contents;
}

static void put_tail(struct writer *writer, unsigned root)
{
    size_t xref = writer->out->size;

    put(writer, "xref\n0 %u\n0000000000 65535 f \n", writer->count + 1);
    for (unsigned i = 1; i <= writer->count; i++)
        put(writer, "%010u 00000 n \n", writer->offsets[i]);
    put(writer, "trailer\n<< /Size %u /Root %u 0 R >>\nstartxref\n%zu\n%%%%EOF\n",
        writer->count + 1, root, xref);
}

/* Who signs, and how. */
struct signing {
    X509 *signer, *intermediate;
    EVP_PKEY *key;
    unsigned flags;
    const struct fixture_attribute *attribute;
};

static CMS_ContentInfo *make_cms(const struct signing *signing, STACK_OF(X509) * others,
                                 BIO *content)
{
    unsigned flags = signing->flags | CMS_BINARY | CMS_DETACHED | CMS_NOSMIMECAP | CMS_PARTIAL;
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, others, NULL, flags);
    MUST(cms);
    CMS_SignerInfo *info = CMS_add1_signer(cms, signing->signer, signing->key, EVP_sha256(), flags);
    MUST(info);
    if (signing->attribute)
        MUST(CMS_signed_add1_attr_by_txt(info, signing->attribute->oid, signing->attribute->type,
                                         signing->attribute->value.data,
                                         (int)signing->attribute->value.size));
    MUST(CMS_final(cms, content, NULL, flags));
    return cms;
}

static void sign(struct buffer *out, size_t byterange, size_t contents,
                 const struct signing *signing)
{
    size_t behind = contents + CONTENTS_DIGITS + 2;
    char range[61];
    STACK_OF(X509) *others = sk_X509_new_null();
    BIO *content = BIO_new(BIO_s_mem());
    uint8_t *der = NULL;

    int size =
        snprintf(range, sizeof range, "[0 %zu %zu %zu]", contents, behind, out->size - behind);
    MUST(size > 0 && others && content);
    memcpy(out->data + byterange, range, (size_t)size);
    if (signing->intermediate)
        MUST(sk_X509_push(others, signing->intermediate));
    MUST(BIO_write(content, out->data, (int)contents) == (int)contents);
    MUST(BIO_write(content, out->data + behind, (int)(out->size - behind)) > 0);
    CMS_ContentInfo *cms = make_cms(signing, others, content);
    int der_size = i2d_CMS_ContentInfo(cms, &der);
    MUST(der_size > 0 && der_size * 2 <= CONTENTS_DIGITS);
    char *digits = malloc((size_t)der_size * 2 + 1);
    MUST(digits);
    hex_encode(der, (size_t)der_size, digits);
    memcpy(out->data + contents + 1, digits, (size_t)der_size * 2);
    free(digits);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    BIO_free(content);
    sk_X509_free(others);
}

static void write_pdf(struct buffer *out, unsigned pages, size_t image_size,
                      const struct signing *signing)
{
    struct writer *writer = calloc(1, sizeof *writer);
    size_t byterange;

    MUST(writer);
    buffer_init(out, PDF_SIZE_MAX);
    writer->out = out;
    put(writer, "%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n");
    put_image(writer, image_size);
    unsigned tree = 2 + 2 * pages, signature = tree + 1, field = tree + 2, root = tree + 3;
    for (unsigned i = 0; i < pages; i++) {
        put_page_text(writer, i);
        begin_object(writer);
        put(writer,
            "<< /Type /Page /Parent %u 0 R /MediaBox [0 0 595 842] /Contents %u 0 R /Resources << "
            "/XObject << /Im0 1 0 R >> /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont "
            "/Helvetica >> >> >> >>\nendobj\n",
            tree, writer->count - 1);
    }
    begin_object(writer);
    put(writer, "<< /Type /Pages /Count %u /Kids [", pages);
    for (unsigned i = 0; i < pages; i++)
        put(writer, "%u 0 R ", 3 + 2 * i);
    put(writer, "] >>\nendobj\n");
    size_t contents = put_signature(writer, &byterange);
    begin_object(writer);
    put(writer,
        "<< /FT /Sig /T (Signature1) /V %u 0 R /Type /Annot /Subtype /Widget "
        "/Rect [0 0 0 0] /F 132 >>\nendobj\n",
        signature);
    begin_object(writer);
    put(writer,
        "<< /Type /Catalog /Pages %u 0 R /AcroForm << /Fields [%u 0 R] /SigFlags 3 >> >>\n"
        "endobj\n",
        tree, field);
    put_tail(writer, root);
    sign(out, byterange, contents, signing);
    free(writer);
}

void fixture_pdf(struct buffer *out, unsigned pages, size_t image_size, X509 *signer, EVP_PKEY *key,
                 X509 *intermediate)
{
    struct signing signing = {.signer = signer, .key = key, .intermediate = intermediate};

    write_pdf(out, pages, image_size, &signing);
}

void fixture_pdf_with(struct buffer *out, X509 *signer, EVP_PKEY *key, X509 *intermediate,
                      unsigned flags, const struct fixture_attribute *attribute)
{
    struct signing signing = {.signer = signer,
                              .key = key,
                              .intermediate = intermediate,
                              .flags = flags,
                              .attribute = attribute};

    write_pdf(out, 1, 100, &signing);
}
