/*
 * The signer of the last document for whom a path was built, as kosekifs-mount keeps him; and his
 * status anew, from those same certificates, when revocation lists have changed.
 */
#include "verify/path_attempt.h"
#include "verify/path_store.h"
#include "verify/verify.h"

#include "base/crl.h"
#include "verify/dn.h"

#include <openssl/x509v3.h>
#include <stdio.h>

static void add_url(struct signer_record *signer, const ASN1_IA5STRING *uri)
{
    const uint8_t *text = ASN1_STRING_get0_data(uri);
    size_t size = (size_t)ASN1_STRING_length(uri);
    char *out = signer->urls[signer->url_count];

    if (signer->url_count == SIGNER_URLS_MAX || size >= SIGNER_URL_MAX || size < 8 ||
        memcmp(text, "http://", 7) != 0)
        return;
    for (size_t i = 0; i < size; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return;
    }
    memcpy(out, text, size);
    out[size] = '\0';
    for (unsigned i = 0; i < signer->url_count; i++) {
        if (strcmp(signer->urls[i], out) == 0)
            return;
    }
    signer->url_count++;
}

static void collect_urls(struct signer_record *signer, const X509 *certificate)
{
    CRL_DIST_POINTS *points =
        X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);

    for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT *point = sk_DIST_POINT_value(points, i);
        /* Not lists by reasons, nor of another issuer: they would be refused. */
        if (!point->distpoint || point->distpoint->type != 0 || point->reasons || point->CRLissuer)
            continue;
        const GENERAL_NAMES *names = point->distpoint->name.fullname;
        for (int k = 0; k < sk_GENERAL_NAME_num(names); k++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, k);
            if (name->type == GEN_URI)
                add_url(signer, name->d.uniformResourceIdentifier);
        }
    }
    CRL_DIST_POINTS_free(points);
}

bool verify_signer_last(struct verify_trust *trust, struct signer_record *ret_signer)
{
    struct signer_slot *slot = trust->signers->judged;

    if (!slot || slot->status.path_size == 0 || !slot->chain)
        return false;
    memset(ret_signer, 0, sizeof *ret_signer);
    ret_signer->status = slot->status;
    for (int i = 0; i < slot->status.path_size; i++) {
        X509 *certificate = sk_X509_value(slot->chain, i);
        /* OpenSSL keeps the encoding that the certificate came with. */
        uint8_t *der = slot->encoded[i];
        int size = i2d_X509(certificate, NULL);
        if (!der && size > 0) {
            der = NULL;
            size = i2d_X509(certificate, &der);
            slot->encoded[i] = der;
        }
        if (!der || size <= 0)
            return false;
        ret_signer->certificates[i] = bytes_of(der, (size_t)size);
        if (i < slot->status.path_size - 1)
            collect_urls(ret_signer, certificate);
    }
    ret_signer->certificate_count = slot->status.path_size;
    return true;
}

int verify_assess(struct verify_trust *trust, const struct bytes *certificates, unsigned count,
                  int64_t now_s)
{
    _cleanup_free_ struct check_run *run = malloc(sizeof *run);
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    const struct path_signer *signer;

    if (!run || !verdict)
        return -ENOMEM;
    if (count == 0)
        return -EBADMSG;
    int r = path_signer_get(trust, certificates[0], certificates + 1, count - 1, &signer);
    if (r != 0)
        return r == PATH_UNDECODABLE ? -EBADMSG : r;
    /* Whether it was valid then was judged when the document came; the path is the same now, and an
     * expired certificate has one too. */
    const struct verify_request request = {.time_s = now_s};
    verdict_init(verdict);
    checks_begin(run, &trust->levels);
    return path_check(run, trust, &request, verdict);
}

bool verify_trust_anchor(struct verify_trust *trust, unsigned index,
                         struct verify_anchor *ret_anchor)
{
    unsigned digest_size = 0;

    if (index >= (unsigned)sk_X509_num(trust->anchors))
        return false;
    X509 *anchor = sk_X509_value(trust->anchors, (int)index);
    memset(ret_anchor, 0, sizeof *ret_anchor);
    EVP_PKEY *key = X509_get0_pubkey(anchor);
    ret_anchor->authority = X509_check_ca(anchor) == 1;
    ret_anchor->key_bits = key ? (uint16_t)EVP_PKEY_get_bits(key) : 0;
    return dn_format(X509_get_subject_name(anchor), ret_anchor->subject,
                     sizeof ret_anchor->subject) == 0 &&
           X509_digest(anchor, EVP_sha256(), ret_anchor->sha256, &digest_size) &&
           path_time(X509_get0_notBefore(anchor), &ret_anchor->not_before_s) &&
           path_time(X509_get0_notAfter(anchor), &ret_anchor->not_after_s);
}
