/*
 * KeyInfo: the signer's certificate, perhaps its issuers, perhaps hints that must agree with it.
 *
 * The signer is the certificate that issued none of the others. The rest must form one path upwards
 * from it, by name and signature; whether that path leads to an anchor is for path.h to say.
 */
#include "verify/dn.h"
#include "verify/dsig_parts.h"
#include "verify/xml_tree.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

static int certificate_add(struct check_run *run, const xmlNode *element,
                           struct dsig_signature *signature)
{
    const char *text;

    if (!dsig_enter_text(run, CHECK_XML_KEYINFO, element, dsig_no_attributes, &text))
        return 0;
    if (signature->certificate_count == PATH_CERTIFICATE_MAX) {
        checks_fail(run, CHECK_XML_KEYINFO, "more than %d certificates", PATH_CERTIFICATE_MAX);
        return 0;
    }
    struct buffer *der = &signature->certificates[signature->certificate_count++];
    buffer_init(der, PATH_CERTIFICATE_SIZE_MAX);
    int r = dsig_base64(text, der);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        checks_fail(run, CHECK_XML_KEYINFO, "line %ld: X509Certificate is not base64",
                    xml_line(element));
        return 0;
    }
    for (size_t i = 0; i + 1 < signature->certificate_count; i++) {
        const struct buffer *other = &signature->certificates[i];
        if (!bytes_equal(bytes_of(der->data, der->size), bytes_of(other->data, other->size)))
            continue;
        checks_fail(run, CHECK_XML_CERTIFICATE_TWICE,
                    "line %ld: this certificate stood there before", xml_line(element));
        buffer_done(der);
        signature->certificate_count--;
        break;
    }
    return 0;
}

/* Hints are read once the signer is known; here only their names. */
static bool is_certificate_hint(const xmlNode *node)
{
    return xml_is_element(node, DSIG_NS, "X509IssuerSerial") ||
           xml_is_element(node, DSIG_NS, "X509SKI") ||
           xml_is_element(node, DSIG_NS, "X509SubjectName") ||
           xml_is_element(node, DSIG11_NS, "X509Digest");
}

static int x509_data_read(struct check_run *run, const xmlNode *element,
                          struct dsig_signature *signature)
{
    struct dsig_cursor cursor;
    const char *text;

    if (!dsig_enter(&cursor, run, CHECK_XML_KEYINFO, element, dsig_only_id))
        return 0;
    while (cursor.next) {
        const xmlNode *child = cursor.next;
        int r = 0;
        if (xml_is_element(child, DSIG_NS, "X509Certificate"))
            r = certificate_add(run, child, signature);
        else if (xml_is_element(child, DSIG_NS, "X509CRL")) {
            if (dsig_enter_text(run, CHECK_XML_KEYINFO, child, dsig_no_attributes, &text))
                checks_fail(run, CHECK_XML_KEYINFO_ONLY,
                            "line %ld: a revocation list, which is not used", xml_line(child));
        } else if (!is_certificate_hint(child)) {
            checks_fail(run, CHECK_XML_KEYINFO, "line %ld: %.60s in X509Data", xml_line(child),
                        (const char *)child->name);
        }
        if (r < 0 || !checks_going(run) || !dsig_advance(&cursor))
            return r;
    }
    return 0;
}

static X509 *certificate_decode(const struct buffer *der)
{
    const uint8_t *next = der->data;
    X509 *certificate = d2i_X509(NULL, &next, (long)der->size);

    if (certificate && next != der->data + der->size) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

static bool names_equal(const X509_NAME *a, const X509_NAME *b)
{
    return X509_NAME_cmp(a, b) == 0;
}

/* The one certificate that issued none of the others; `count` if there is not exactly one. */
static size_t signer_find(X509 *const *certificates, size_t count)
{
    size_t found = count;

    for (size_t i = 0; i < count; i++) {
        bool issuer = false;
        for (size_t j = 0; j < count; j++)
            issuer = issuer || (j != i && names_equal(X509_get_issuer_name(certificates[j]),
                                                      X509_get_subject_name(certificates[i])));
        if (!issuer && found != count)
            return count;
        if (!issuer)
            found = i;
    }
    return found;
}

/* True if all certificates stand on one path that begins at the signer. */
static bool path_is_one(X509 *const *certificates, size_t count, size_t signer)
{
    bool on_path[PATH_CERTIFICATE_MAX] = {false};
    size_t current = signer;

    on_path[signer] = true;
    for (size_t step = 1; step < count; step++) {
        size_t next = count;
        for (size_t i = 0; i < count && next == count; i++) {
            EVP_PKEY *key = on_path[i] ? NULL : X509_get0_pubkey(certificates[i]);
            if (key &&
                names_equal(X509_get_issuer_name(certificates[current]),
                            X509_get_subject_name(certificates[i])) &&
                X509_verify(certificates[current], key) == 1)
                next = i;
        }
        if (next == count)
            return false;
        on_path[next] = true;
        current = next;
    }
    return true;
}

bool dsig_memory_was_short(void)
{
    unsigned long error;
    bool found = false;

    while ((error = ERR_get_error()) != 0)
        found = found || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    return found;
}

static int certificates_check(struct check_run *run, struct dsig_signature *signature)
{
    X509 *certificates[PATH_CERTIFICATE_MAX] = {NULL};
    size_t count = signature->certificate_count;
    bool good = true;

    if (count == 1) {
        checks_pass(run, CHECK_XML_CERTIFICATES);
        return 0;
    }
    ERR_clear_error();
    for (size_t i = 0; i < count && good; i++) {
        certificates[i] = certificate_decode(&signature->certificates[i]);
        good = certificates[i] != NULL;
    }
    if (good) {
        signature->signer = signer_find(certificates, count);
        good = signature->signer < count && path_is_one(certificates, count, signature->signer);
    }
    for (size_t i = 0; i < count; i++)
        X509_free(certificates[i]);
    if (dsig_memory_was_short())
        return -ENOMEM;
    checks_that(run, CHECK_XML_CERTIFICATES, good,
                "the %zu certificates do not form one path from the signer upwards", count);
    return 0;
}

int dsig_read_keyinfo(struct check_run *run, struct dsig_signature *signature)
{
    struct dsig_cursor cursor;
    const xmlNode *element = signature->key_info;
    unsigned x509_data = 0;

    if (!dsig_enter(&cursor, run, CHECK_XML_KEYINFO, element, dsig_only_id))
        return 0;
    while (cursor.next) {
        const xmlNode *child = cursor.next;
        int r = 0;
        if (xml_is_element(child, DSIG_NS, "X509Data")) {
            if (++x509_data > 1)
                checks_fail(run, CHECK_XML_KEYINFO_ONLY, "line %ld: a second X509Data",
                            xml_line(child));
            r = x509_data_read(run, child, signature);
        } else if (xml_is_element(child, DSIG_NS, "KeyName") ||
                   xml_is_element(child, DSIG_NS, "KeyValue")) {
            checks_fail(run, CHECK_XML_KEYINFO_ONLY, "line %ld: %s besides the certificate",
                        xml_line(child), (const char *)child->name);
        } else {
            checks_fail(run, CHECK_XML_KEYINFO, "line %ld: %.60s in KeyInfo", xml_line(child),
                        (const char *)child->name);
        }
        if (r < 0 || !checks_going(run) || !dsig_advance(&cursor))
            return r;
    }
    if (signature->certificate_count == 0) {
        checks_fail(run, CHECK_XML_KEYINFO, "KeyInfo holds no certificate");
        return 0;
    }
    checks_pass(run, CHECK_XML_KEYINFO_ONLY);
    checks_pass(run, CHECK_XML_CERTIFICATE_TWICE);
    return certificates_check(run, signature);
}

/* Hints about the certificate */

static bool is_text_of(const xmlNode *element, const void *wanted, size_t size)
{
    _cleanup_buffer_ struct buffer decoded;
    const char *text = xml_text(element);

    buffer_init(&decoded, 4096);
    return text && dsig_base64(text, &decoded) == 0 &&
           bytes_equal(bytes_of(decoded.data, decoded.size), bytes_of(wanted, size));
}

static bool is_name(const xmlNode *element, const X509_NAME *wanted)
{
    const char *text = xml_text(element);
    X509_NAME *name = NULL;
    bool same =
        text && dn_parse(bytes_of(text, strlen(text)), &name) == 0 && names_equal(name, wanted);

    X509_NAME_free(name);
    return same;
}

static bool is_serial(const xmlNode *element, const X509 *certificate)
{
    const char *text = xml_text(element);
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    BIGNUM *named = NULL;
    bool same = number && text && strlen(text) <= 64 && text[0] &&
                BN_dec2bn(&named, text) == (int)strlen(text) && BN_cmp(number, named) == 0;

    BN_free(number);
    BN_free(named);
    return same;
}

static bool is_issuer_serial(struct check_run *run, const xmlNode *element, const X509 *certificate)
{
    struct dsig_cursor cursor;
    const xmlNode *issuer, *serial;

    return dsig_enter(&cursor, run, CHECK_XML_KEYINFO, element, dsig_no_attributes) &&
           dsig_take(&cursor, DSIG_NS, "X509IssuerName", &issuer) &&
           dsig_take(&cursor, DSIG_NS, "X509SerialNumber", &serial) && dsig_leave(&cursor) &&
           is_name(issuer, X509_get_issuer_name(certificate)) && is_serial(serial, certificate);
}

static bool hint_agrees(struct check_run *run, const xmlNode *hint, X509 *certificate,
                        const struct path_signer *signer)
{
    const char *algorithm = xml_attribute(hint, "Algorithm");

    if (xml_is_element(hint, DSIG_NS, "X509IssuerSerial"))
        return is_issuer_serial(run, hint, certificate);
    if (xml_is_element(hint, DSIG_NS, "X509SubjectName"))
        return is_name(hint, X509_get_subject_name(certificate));
    if (xml_is_element(hint, DSIG_NS, "X509SKI")) {
        const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(certificate);
        return id && is_text_of(hint, ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id));
    }
    return algorithm && strcmp(algorithm, "http://www.w3.org/2001/04/xmlenc#sha256") == 0 &&
           is_text_of(hint, signer->sha256, SHA256_SIZE);
}

/* CryptoBinary (XMLDSIG 4.1): a number, big-endian. */
static bool is_key_number(const xmlNode *element, const EVP_PKEY *key, const char *parameter)
{
    _cleanup_buffer_ struct buffer decoded;
    const char *text = xml_text(element);
    BIGNUM *wanted = NULL, *number = NULL;

    buffer_init(&decoded, 4096);
    if (text && dsig_base64(text, &decoded) == 0 &&
        EVP_PKEY_get_bn_param(key, parameter, &wanted) == 1)
        number = BN_bin2bn(decoded.data, (int)decoded.size, NULL);
    bool same = number && BN_cmp(number, wanted) == 0;
    BN_free(wanted);
    BN_free(number);
    return same;
}

static bool key_value_agrees(struct check_run *run, const xmlNode *element, const EVP_PKEY *key)
{
    struct dsig_cursor cursor;
    const xmlNode *rsa, *modulus, *exponent;

    return dsig_enter(&cursor, run, CHECK_XML_KEYINFO, element, dsig_no_attributes) &&
           dsig_take(&cursor, DSIG_NS, "RSAKeyValue", &rsa) && dsig_leave(&cursor) &&
           dsig_enter(&cursor, run, CHECK_XML_KEYINFO, rsa, dsig_no_attributes) &&
           dsig_take(&cursor, DSIG_NS, "Modulus", &modulus) &&
           dsig_take(&cursor, DSIG_NS, "Exponent", &exponent) && dsig_leave(&cursor) &&
           is_key_number(modulus, key, OSSL_PKEY_PARAM_RSA_N) &&
           is_key_number(exponent, key, OSSL_PKEY_PARAM_RSA_E);
}

int dsig_check_keyinfo(struct check_run *run, const struct dsig_signature *signature,
                       const struct path_signer *signer)
{
    const xmlNode *top = signature->key_info;

    for (const xmlNode *node = top; node; node = xml_next_node(node, top)) {
        if (is_certificate_hint(node) && !hint_agrees(run, node, signer->certificate, signer)) {
            checks_fail(run, CHECK_XML_KEYINFO, "line %ld: %s names another certificate",
                        xml_line(node), (const char *)node->name);
            return 0;
        }
        if (xml_is_element(node, DSIG_NS, "KeyValue") &&
            !key_value_agrees(run, node, signer->key)) {
            checks_fail(run, CHECK_XML_KEYINFO, "line %ld: KeyValue is another key",
                        xml_line(node));
            return 0;
        }
    }
    checks_pass(run, CHECK_XML_KEYINFO);
    return 0;
}
