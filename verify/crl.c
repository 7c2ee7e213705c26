/*
 * Delta lists and indirect lists are refused by name rather than passed over: a list that is there
 * and not used would look like one that says "good". So are lists that cover some reasons only.
 */
#include "verify/crl.h"

#include "verify/dn.h"
#include "verify/path_attempt.h"
#include "verify/path_store.h"
#include "verify/verify.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static const char *scope_fault(const X509_CRL *list)
{
    int critical = 0;
    ISSUING_DIST_POINT *scope =
        X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, &critical, NULL);
    const char *fault = NULL;

    if (!scope)
        return critical == -1 ? NULL : "its scope (issuing distribution point) is malformed";
    if (scope->indirectCRL > 0)
        fault = "it is an indirect list (RFC 5280 5.2.5), which is not used";
    else if (scope->onlysomereasons)
        fault = "it covers some revocation reasons only";
    else if (scope->onlyattr > 0)
        fault = "it is a list of attribute certificates";
    else if (scope->onlyuser > 0 && scope->onlyCA > 0)
        fault = "its scope contradicts itself";
    ISSUING_DIST_POINT_free(scope);
    return fault;
}

static const char *extension_fault(const X509_CRL *list)
{
    for (int i = 0; i < X509_CRL_get_ext_count(list); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(list, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        if (nid == NID_delta_crl)
            return "it is a delta list (RFC 5280 5.2.4), which is not used";
        if (X509_EXTENSION_get_critical(extension) && nid != NID_issuing_distribution_point &&
            nid != NID_authority_key_identifier && nid != NID_crl_number)
            return "it has a critical extension that is not known here";
    }
    return NULL;
}

const char *crl_form_fault(const X509_CRL *list)
{
    const char *fault = extension_fault(list);

    if (!fault)
        fault = scope_fault(list);
    if (!fault && X509_CRL_get_ext_count(list) > 0 && X509_CRL_get_version(list) != 1)
        fault = "it has extensions without being of version 2";
    return fault;
}

static const char *entry_fault(const X509_REVOKED *entry)
{
    int count = X509_REVOKED_get_ext_count(entry);

    for (int i = 0; i < count; i++) {
        X509_EXTENSION *extension = X509_REVOKED_get_ext(entry, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        if (nid == NID_certificate_issuer)
            return "it has entries of another issuer: an indirect list, which is not used";
        if (X509_EXTENSION_get_critical(extension) && nid != NID_crl_reason &&
            nid != NID_invalidity_date)
            return "an entry has a critical extension that is not known here";
        if (nid != NID_crl_reason)
            continue;
        ASN1_ENUMERATED *reason = X509V3_EXT_d2i(extension);
        long number = reason ? ASN1_ENUMERATED_get(reason) : -1;
        ASN1_ENUMERATED_free(reason);
        if (number == 8)
            return "an entry says removeFromCRL, which stands in delta lists only";
        if (number < 0 || number > 10 || number == 7)
            return "an entry has a reason that the standard does not know";
    }
    return NULL;
}

/* Sets the numbers as it goes. */
static const char *content_fault(X509_CRL *list, int64_t now_s, struct crl_info *info)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(list);
    int count = sk_X509_REVOKED_num(entries);
    const char *fault = NULL;

    info->entries = count < 0 ? 0 : (uint32_t)count;
    if (count > CRL_ENTRIES_MAX)
        return "it has more than 1,000,000 entries";
    if (!path_time(X509_CRL_get0_lastUpdate(list), &info->issued_s))
        return "its thisUpdate is malformed";
    if (!path_time(X509_CRL_get0_nextUpdate(list), &info->next_s))
        return "it does not say until when it is valid (nextUpdate)";
    if (info->next_s <= info->issued_s)
        return "its nextUpdate is not after its thisUpdate";
    if (info->issued_s > now_s + CRL_SKEW_S)
        return "it is dated in the future";
    for (int i = 0; i < count && !fault; i++)
        fault = entry_fault(sk_X509_REVOKED_value(entries, i));
    return fault;
}

static const char *number_fault(const X509_CRL *list, struct crl_info *info)
{
    int critical = 0;
    uint8_t bytes[CRL_NUMBER_MAX];
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(list, NID_crl_number, &critical, NULL);

    if (!number)
        return critical == -1 ? NULL : "its number is malformed";
    BIGNUM *value = ASN1_INTEGER_to_BN(number, NULL);
    ASN1_INTEGER_free(number);
    bool fits = value && !BN_is_negative(value) && BN_num_bytes(value) <= CRL_NUMBER_MAX;
    if (fits) {
        info->number_size = (uint8_t)BN_bn2bin(value, bytes);
        memcpy(info->number, bytes, info->number_size);
        if (info->number_size == 0) { /* zero is a number too */
            info->number_size = 1;
            info->number[0] = 0;
        }
    }
    BN_free(value);
    return fits ? NULL : "its number is longer than 20 bytes or negative";
}

static int hash_extension(struct sha256_stream *stream, const X509_CRL *list, int nid)
{
    uint8_t size[8] = {0};
    int at = X509_CRL_get_ext_by_NID(list, nid, -1);
    const ASN1_OCTET_STRING *value =
        at < 0 ? NULL : X509_EXTENSION_get_data(X509_CRL_get_ext(list, at));

    if (value)
        be64_put(size, (uint64_t)ASN1_STRING_length(value) + 1);
    int r = sha256_stream_update(stream, size, sizeof size);
    if (r == 0 && value)
        r = sha256_stream_update(stream, ASN1_STRING_get0_data(value),
                                 (size_t)ASN1_STRING_length(value));
    return r;
}

static int hash_scope(const X509_CRL *list, uint8_t ret_scope[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    const uint8_t *issuer;
    size_t size;

    if (!stream || !X509_NAME_get0_der(X509_CRL_get_issuer(list), &issuer, &size))
        return -ENOMEM;
    int r = sha256_stream_update(stream, issuer, size);
    if (r == 0)
        r = hash_extension(stream, list, NID_authority_key_identifier);
    if (r == 0)
        r = hash_extension(stream, list, NID_issuing_distribution_point);
    return r < 0 ? r : sha256_stream_finish(stream, ret_scope);
}

/* 1 = it signed the list, 0 = it is somebody else, -1 = it should have and did not. */
static int signed_by(X509_CRL *list, X509 *authority)
{
    if (X509_NAME_cmp(X509_get_subject_name(authority), X509_CRL_get_issuer(list)) != 0)
        return 0;
    /* This also has OpenSSL read the extensions: without, X509_check_akid() compares nothing. */
    uint32_t usage = X509_get_key_usage(authority);
    AUTHORITY_KEYID *key_id = X509_CRL_get_ext_d2i(list, NID_authority_key_identifier, NULL, NULL);
    int named = key_id ? X509_check_akid(authority, key_id) : X509_V_OK;
    AUTHORITY_KEYID_free(key_id);
    if (named != X509_V_OK)
        return 0;
    if (usage != UINT32_MAX && !(usage & KU_CRL_SIGN))
        return -1;
    return X509_CRL_verify(list, X509_get0_pubkey(authority)) == 1 ? 1 : -1;
}

static X509 *decode_authority(struct bytes der)
{
    const uint8_t *next = der.data;

    return der.size > 0 && der.size <= PATH_CERTIFICATE_SIZE_MAX
               ? d2i_X509(NULL, &next, (long)der.size)
               : NULL;
}

static enum crl_outcome find_issuer(const struct verify_trust *trust, X509_CRL *list,
                                    const struct bytes *authorities, size_t count)
{
    int best = 0;

    for (int i = 0; i < sk_X509_num(trust->anchors) && best <= 0; i++) {
        int found = signed_by(list, sk_X509_value(trust->anchors, i));
        best = found ? found : best;
    }
    for (size_t i = 0; i < count && best <= 0; i++) {
        X509 *authority = decode_authority(authorities[i]);
        int found = authority ? signed_by(list, authority) : 0;
        best = found ? found : best;
        X509_free(authority);
    }
    ERR_clear_error();
    return best > 0 ? CRL_GOOD : best < 0 ? CRL_REFUSED : CRL_UNKNOWN_ISSUER;
}

X509_CRL *crl_decode(struct bytes content)
{
    const uint8_t *next = content.data;
    X509_CRL *list = NULL;

    if (content.size == 0 || content.size > CRL_SIZE_MAX)
        return NULL;
    list = d2i_X509_CRL(NULL, &next, (long)content.size);
    if (list && next != content.data + content.size) {
        X509_CRL_free(list);
        list = NULL;
    }
    if (!list) {
        BIO *bio = BIO_new_mem_buf(content.data, (int)content.size);
        list = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
    }
    ERR_clear_error();
    return list;
}

static int64_t stale_at(const struct verify_trust *trust, const struct crl_info *info)
{
    int64_t at_s = info->next_s + trust->crl_grace_s;

    if (trust->crl_max_age_s && info->issued_s + trust->crl_max_age_s < at_s)
        at_s = info->issued_s + trust->crl_max_age_s;
    return at_s;
}

int verify_crl(struct verify_trust *trust, struct bytes content, const struct bytes *authorities,
               size_t authority_count, int64_t now_s, struct crl_info *ret_info)
{
    struct crl_info info = {.outcome = CRL_REFUSED};
    X509_CRL *list = crl_decode(content);

    if (!list) {
        snprintf(info.text, sizeof info.text, "%s",
                 content.size > CRL_SIZE_MAX ? "it is larger than 32 MiB"
                                             : "it is not a revocation list in PEM or DER");
        *ret_info = info;
        return 0;
    }
    const char *fault = crl_form_fault(list);
    if (!fault)
        fault = content_fault(list, now_s, &info);
    if (!fault)
        fault = number_fault(list, &info);
    if (!fault && !path_strong(X509_CRL_get_signature_nid(list)))
        fault = "it is signed with a digest other than SHA-256, -384 or -512";
    info.stale_at_s = stale_at(trust, &info);
    int r = dn_format(X509_CRL_get_issuer(list), info.issuer, sizeof info.issuer);
    if (r == 0)
        r = hash_scope(list, info.scope);
    if (r == 0 && !fault) {
        info.outcome = (uint8_t)find_issuer(trust, list, authorities, authority_count);
        if (info.outcome == CRL_REFUSED)
            fault = "its signature is not that of its issuer";
        else if (info.outcome == CRL_UNKNOWN_ISSUER)
            snprintf(info.text, sizeof info.text, "no certificate of its issuer is known yet");
    }
    if (fault)
        snprintf(info.text, sizeof info.text, "%s", fault);
    X509_CRL_free(list);
    ERR_clear_error();
    if (r == 0)
        *ret_info = info;
    return r;
}
