/*
 * A certificate that nobody will accept is found here, where the operator looks, and not in the
 * first handshake. The private key is neither read nor known: only its type is, from the
 * certificate.
 */
#include "transport/tls.h"

#include "base/clock.h"
#include "base/memfd.h"
#include "transport/sign_provider.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <assert.h>
#include <stdarg.h>
#include <string.h>

static void cleanup_bio(BIO **slot)
{
    BIO_free(*slot);
}

static void cleanup_x509(X509 **slot)
{
    X509_free(*slot);
}

static int tls_fault(char fault[ROOM_TEXT_MAX], const char *format, ...) _printf_(2, 3);

static int tls_fault(char fault[ROOM_TEXT_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(fault, ROOM_TEXT_MAX, format, arguments) < 0)
        fault[0] = '\0';
    va_end(arguments);
    return -EINVAL;
}

/* Reads the next certificate; NULL at the end, *ret_broken when something else stands there. */
static X509 *tls_next_certificate(BIO *bio, bool *ret_broken)
{
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned long error = ERR_peek_last_error();
    *ret_broken = !certificate && !(ERR_GET_LIB(error) == ERR_LIB_PEM &&
                                    ERR_GET_REASON(error) == PEM_R_NO_START_LINE);
    ERR_clear_error();
    return certificate;
}

static int tls_read_issuers(struct tls *tls, const char *path, int fd, char fault[ROOM_TEXT_MAX])
{
    _cleanup_mapping_ struct mapping mapping = {0};
    int r = mapping_open(fd, TLS_FILE_MAX, &mapping);
    if (r < 0) {
        tls_fault(fault, "[link] ca_file %s: cannot be read: %s", path, strerror(-r));
        return r;
    }
    _cleanup_(cleanup_bio) BIO *bio = BIO_new_mem_buf(mapping.data, (int)mapping.size);
    tls->issuers = malloc(mapping.size + 1);
    if (!bio || !tls->issuers) {
        tls_fault(fault, "[link] ca_file %s: out of memory", path);
        return -ENOMEM;
    }
    memcpy(tls->issuers, mapping.data, mapping.size);
    tls->issuers_size = mapping.size;

    unsigned count = 0;
    bool broken = false;
    for (;;) {
        _cleanup_(cleanup_x509) X509 *issuer = tls_next_certificate(bio, &broken);
        if (!issuer)
            break;
        count++;
    }
    if (broken)
        return tls_fault(fault, "[link] ca_file %s: certificate %u cannot be parsed", path,
                         count + 1);
    if (count == 0)
        return tls_fault(fault, "[link] ca_file %s: holds no certificate in PEM form", path);
    return 0;
}

static void tls_time_text(const ASN1_TIME *time, char out[RFC3339_SIZE])
{
    struct tm tm;
    int64_t seconds = 0;
    if (ASN1_TIME_to_tm(time, &tm) != 1 ||
        !civil_to_seconds(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                          tm.tm_sec, &seconds))
        seconds = 0;
    rfc3339_format(seconds, out);
}

/* Not before now, not after it. */
static int tls_check_validity(const struct tls *tls, const char *path, char fault[ROOM_TEXT_MAX])
{
    char when[RFC3339_SIZE];
    const ASN1_TIME *begin = X509_get0_notBefore(tls->certificate);
    const ASN1_TIME *end = X509_get0_notAfter(tls->certificate);
    if (X509_cmp_current_time(begin) >= 0) { /* 0: cannot be read */
        tls_time_text(begin, when);
        return tls_fault(fault,
                         "[link] certificate_file %s: our certificate is not valid before %s; "
                         "is the clock right?",
                         path, when);
    }
    if (X509_cmp_current_time(end) <= 0) {
        tls_time_text(end, when);
        return tls_fault(fault,
                         "[link] certificate_file %s: our certificate expired at %s; ask the "
                         "issuer for a new one",
                         path, when);
    }
    return 0;
}

static int tls_check_key(const struct tls *tls, const char *path, char fault[ROOM_TEXT_MAX])
{
    EVP_PKEY *key = X509_get0_pubkey(tls->certificate);
    if (!key)
        return tls_fault(fault, "[link] certificate_file %s: its public key cannot be parsed",
                         path);
    if (EVP_PKEY_is_a(key, "RSA")) {
        int bits = EVP_PKEY_get_bits(key);
        if (bits < TLS_RSA_BITS_MIN || bits > SIGN_SIGNATURE_MAX * 8)
            return tls_fault(fault,
                             "[link] certificate_file %s: an RSA key of %d bits; %d to %d are "
                             "supported",
                             path, bits, TLS_RSA_BITS_MIN, SIGN_SIGNATURE_MAX * 8);
        return 0;
    }
    char group[64] = "";
    size_t size = 0;
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
        strcmp(group, "prime256v1") == 0)
        return 0;
    const char *kind = EVP_PKEY_get0_type_name(key);
    return tls_fault(fault,
                     "[link] certificate_file %s: a key of type %s%s%s; RSA and EC on P-256 are "
                     "supported",
                     path, kind ? kind : "unknown", group[0] ? " on " : "", group);
}

static int tls_read_chain(struct tls *tls, const char *path, BIO *bio, char fault[ROOM_TEXT_MAX])
{
    bool broken = false;
    for (;;) {
        _cleanup_(cleanup_x509) X509 *issuer = tls_next_certificate(bio, &broken);
        if (broken)
            return tls_fault(fault, "[link] certificate_file %s: certificate %d cannot be parsed",
                             path, sk_X509_num(tls->chain) + 2);
        if (!issuer)
            return 0;
        if (sk_X509_num(tls->chain) == TLS_CHAIN_MAX)
            return tls_fault(fault, "[link] certificate_file %s: more than %d certificates", path,
                             TLS_CHAIN_MAX + 1);
        if (!sk_X509_push(tls->chain, issuer)) {
            tls_fault(fault, "[link] certificate_file %s: out of memory", path);
            return -ENOMEM;
        }
        (void)steal_ptr(&issuer);
    }
}

static int tls_read_certificates(struct tls *tls, const char *path, int fd,
                                 char fault[ROOM_TEXT_MAX])
{
    _cleanup_mapping_ struct mapping mapping = {0};
    int r = mapping_open(fd, TLS_FILE_MAX, &mapping);
    if (r < 0) {
        tls_fault(fault, "[link] certificate_file %s: cannot be read: %s", path, strerror(-r));
        return r;
    }
    static const char key_mark[] = "PRIVATE KEY-----";
    if (memmem(mapping.data, mapping.size, key_mark, sizeof key_mark - 1))
        return tls_fault(fault,
                         "[link] certificate_file %s: holds a private key, which belongs into "
                         "[keys] tls_key alone",
                         path);
    _cleanup_(cleanup_bio) BIO *bio = BIO_new_mem_buf(mapping.data, (int)mapping.size);
    tls->chain = sk_X509_new_null();
    if (!bio || !tls->chain) {
        tls_fault(fault, "[link] certificate_file %s: out of memory", path);
        return -ENOMEM;
    }
    bool broken = false;
    tls->certificate = tls_next_certificate(bio, &broken);
    if (!tls->certificate)
        return tls_fault(fault,
                         broken ? "[link] certificate_file %s: our certificate cannot be parsed"
                                : "[link] certificate_file %s: holds no certificate in PEM form",
                         path);
    r = tls_read_chain(tls, path, bio, fault);
    if (r == 0)
        r = tls_check_validity(tls, path, fault);
    if (r == 0)
        r = tls_check_key(tls, path, fault);
    if (r == 0 && X509_check_purpose(tls->certificate, X509_PURPOSE_SSL_CLIENT, 0) != 1)
        r = tls_fault(fault,
                      "[link] certificate_file %s: our certificate is not meant for TLS clients "
                      "(key usage)",
                      path);
    return r;
}

/* One or more of sha256//BASE64, separated by semicolons: libcurl takes a value of another form
 * for the name of a file. */
static bool tls_pin_ok(const char *pin)
{
    static const char prefix[] = "sha256//";
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { DIGITS = 43 }; /* 32 bytes; a '=' follows */
    for (;;) {
        if (strncmp(pin, prefix, sizeof prefix - 1) != 0)
            return false;
        pin += sizeof prefix - 1;
        if (strspn(pin, alphabet) != DIGITS || pin[DIGITS] != '=')
            return false;
        pin += DIGITS + 1;
        if (*pin == '\0')
            return true;
        if (*pin++ != ';')
            return false;
    }
}

static int tls_read_settings(struct tls *tls, const struct config_link *config,
                             char fault[ROOM_TEXT_MAX])
{
    if (strcmp(config->tls_min, "1.3") == 0)
        tls->version_min = CURL_SSLVERSION_TLSv1_3;
    else if (strcmp(config->tls_min, "1.2") == 0)
        tls->version_min = CURL_SSLVERSION_TLSv1_2;
    else
        return tls_fault(fault, "[link] tls_min: 1.2 or 1.3, not \"%s\"", config->tls_min);
    if (config->server_pin[0] != '\0' && !tls_pin_ok(config->server_pin))
        return tls_fault(fault, "[link] server_pin: not of the form sha256//BASE64");
    static_assert(sizeof tls->pin == sizeof config->server_pin, "the pin fits");
    memcpy(tls->pin, config->server_pin, sizeof tls->pin);
    return 0;
}

int tls_init(struct tls *tls, const struct config_link *config, int issuers_fd, int certificates_fd,
             struct sign_channel *channel, char fault[ROOM_TEXT_MAX])
{
    memset(tls, 0, sizeof *tls);
    int r = tls_read_settings(tls, config, fault);
    /* What is not given was waived: base/config.c. */
    if (r == 0 && config->ca_file[0])
        r = tls_read_issuers(tls, config->ca_file, issuers_fd, fault);
    if (r == 0 && config->certificate_file[0])
        r = tls_read_certificates(tls, config->certificate_file, certificates_fd, fault);
    if (r == 0 && tls->certificate) {
        r = sign_provider_key(channel, X509_get0_pubkey(tls->certificate), &tls->key);
        if (r < 0)
            tls_fault(fault, "[link] certificate_file %s: no key object for it: %s",
                      config->certificate_file, strerror(-r));
    }
    if (r < 0)
        tls_done(tls);
    return r;
}

void tls_done(struct tls *tls)
{
    free(tls->issuers);
    X509_free(tls->certificate);
    sk_X509_pop_free(tls->chain, X509_free);
    EVP_PKEY_free(tls->key);
    memset(tls, 0, sizeof *tls);
}

CURLcode tls_fill_context(CURL *easy, void *context, void *user)
{
    struct tls *tls = user;
    (void)easy;
    if (!tls->certificate)
        return CURLE_OK;
    tls->certificate_expired = X509_cmp_current_time(X509_get0_notAfter(tls->certificate)) <= 0;
    if (tls->certificate_expired)
        return CURLE_SSL_CERTPROBLEM;
    if (SSL_CTX_use_cert_and_key(context, tls->certificate, tls->key, tls->chain, 1) != 1)
        return CURLE_SSL_CERTPROBLEM;
    return CURLE_OK;
}

CURLcode tls_apply(struct tls *tls, CURL *easy)
{
    struct curl_blob issuers = {
        .data = tls->issuers, .len = tls->issuers_size, .flags = CURL_BLOB_NOCOPY};
    CURLcode code = tls->issuers ? curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &issuers) : CURLE_OK;
    if (code == CURLE_OK) /* Debian's libcurl has a default of its own */
        code = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, tls->version_min);
    if (code == CURLE_OK && tls->pin[0] != '\0')
        code = curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, tls->pin);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, tls_fill_context);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, tls);
    return code;
}
