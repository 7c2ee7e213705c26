/* See keys/client_certificate.h. */
#include "keys/client_certificate.h"

#include "base/clock.h"
#include "keys/master_key.h"

#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

static void cleanup_bio(BIO **slot)
{
    BIO_free(*slot);
}

static void take_subject(struct client_certificate *certificate)
{
    _cleanup_(cleanup_bio) BIO *bio = BIO_new(BIO_s_mem());
    if (!bio || X509_NAME_print_ex(bio, X509_get_subject_name(certificate->x509), 0,
                                   XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
        return;
    int size = BIO_read(bio, certificate->subject, sizeof certificate->subject - 1);
    size = size < 0 ? 0 : size;
    /* Not in the middle of a character. */
    if ((size_t)size == sizeof certificate->subject - 1)
        while (size > 0 && ((unsigned char)certificate->subject[size - 1] & 0xc0) == 0x80)
            size--;
    certificate->subject[size] = '\0';
}

static int64_t end_of_validity(const X509 *x509)
{
    struct tm tm;
    int64_t seconds = 0;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(x509), &tm) != 1 ||
        !civil_to_seconds(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                          tm.tm_sec, &seconds))
        return 0;
    return seconds;
}

int client_certificate_init(struct client_certificate *certificate, struct bytes pem,
                            char *ret_message)
{
    *certificate = (struct client_certificate){0};
    _cleanup_(cleanup_bio) BIO *bio =
        pem.size > 0 && pem.size <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.size) : NULL;
    unsigned char *der = NULL;
    int size = -1;
    certificate->x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    if (certificate->x509) {
        certificate->public_key = X509_get0_pubkey(certificate->x509);
        size = i2d_X509(certificate->x509, &der);
    }
    ERR_clear_error();
    if (!certificate->public_key || size <= 0) {
        OPENSSL_free(der);
        client_certificate_done(certificate);
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "[link] certificate_file: no certificate in PEM form");
        return -EINVAL;
    }
    certificate->der = bytes_of(der, (size_t)size);
    certificate->not_after_s = end_of_validity(certificate->x509);
    take_subject(certificate);
    ERR_clear_error();
    return 0;
}

void client_certificate_done(struct client_certificate *certificate)
{
    X509_free(certificate->x509);
    OPENSSL_free((void *)(uintptr_t)certificate->der.data);
    *certificate = (struct client_certificate){0};
}
