/*
 * OpenSSL chooses a revocation list for each certificate on the path, checks that it is its
 * issuer's and looks the serial number up. We look over its shoulder: which list it was, until when
 * that one counts, and what the entry says. Whether a list is too old is decided by us, at another
 * time than that of the certificates' validity.
 */
#include "verify/path_attempt.h"
#include "verify/path_store.h"

#include "verify/crl.h"

#include <openssl/x509v3.h>
#include <stdio.h>

static struct certificate_status *status_at(struct path_attempt *attempt, X509_STORE_CTX *context)
{
    int depth = X509_STORE_CTX_get_error_depth(context);

    return depth >= 0 && depth < PATH_DEPTH_MAX ? &attempt->path[depth] : NULL;
}

static bool of_anchor(X509_STORE_CTX *context)
{
    return X509_STORE_CTX_get_error_depth(context) ==
           sk_X509_num(X509_STORE_CTX_get0_chain(context)) - 1;
}

static bool same_extension(const X509_CRL *a, const X509_CRL *b, int nid)
{
    int at_a = X509_CRL_get_ext_by_NID(a, nid, -1), at_b = X509_CRL_get_ext_by_NID(b, nid, -1);

    if (at_a < 0 || at_b < 0)
        return at_a < 0 && at_b < 0;
    return ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509_CRL_get_ext(a, at_a)),
                                 X509_EXTENSION_get_data(X509_CRL_get_ext(b, at_b))) == 0;
}

/* A list of the same key and scope, issued later. */
static bool replaces(const X509_CRL *list, const X509_CRL *older)
{
    return X509_CRL_cmp(list, older) == 0 &&
           same_extension(list, older, NID_authority_key_identifier) &&
           same_extension(list, older, NID_issuing_distribution_point) &&
           ASN1_TIME_compare(X509_CRL_get0_lastUpdate(list), X509_CRL_get0_lastUpdate(older)) > 0;
}

/* Neither what is not issued yet nor what has been replaced: OpenSSL would prefer a list that was
 * valid when the certificates were. */
static STACK_OF(X509_CRL) * look_up(const X509_STORE_CTX *context, const X509_NAME *issuer)
{
    const struct path_attempt *attempt =
        X509_STORE_CTX_get_app_data((X509_STORE_CTX *)(uintptr_t)context);
    STACK_OF(X509_CRL) *lists = X509_STORE_CTX_get1_crls(context, issuer);

    for (int i = sk_X509_CRL_num(lists) - 1; i >= 0; i--) {
        int64_t issued_s;
        X509_CRL *list = sk_X509_CRL_value(lists, i);
        if (!path_time(X509_CRL_get0_lastUpdate(list), &issued_s) ||
            issued_s <= attempt->now_s + CRL_SKEW_S)
            continue;
        X509_CRL_free(sk_X509_CRL_delete(lists, i));
    }
    for (int i = sk_X509_CRL_num(lists) - 1; i >= 0; i--) {
        bool replaced = false;
        for (int k = 0; k < sk_X509_CRL_num(lists); k++)
            replaced =
                replaced || replaces(sk_X509_CRL_value(lists, k), sk_X509_CRL_value(lists, i));
        if (replaced)
            X509_CRL_free(sk_X509_CRL_delete(lists, i));
    }
    return lists;
}

static int64_t stale_at(const struct verify_trust *trust, int64_t issued_s, int64_t next_s)
{
    int64_t at_s = next_s + trust->crl_grace_s;

    if (trust->crl_max_age_s && issued_s + trust->crl_max_age_s < at_s)
        at_s = issued_s + trust->crl_max_age_s;
    return at_s;
}

static int observe_list(X509_STORE_CTX *context, X509_CRL *list)
{
    struct path_attempt *attempt = X509_STORE_CTX_get_app_data(context);
    struct certificate_status *status = status_at(attempt, context);
    int64_t issued_s, next_s;

    if (status)
        attempt->list_refused[status - attempt->path] = false;
    if (status && !of_anchor(context)) {
        if (path_time(X509_CRL_get0_lastUpdate(list), &issued_s) &&
            path_time(X509_CRL_get0_nextUpdate(list), &next_s)) {
            status->list_issued_s = issued_s;
            status->list_next_s = next_s;
            status->list_stale_at_s = stale_at(attempt->trust, issued_s, next_s);
        } else {
            snprintf(attempt->list_text[status - attempt->path], sizeof attempt->list_text[0],
                     "its revocation list does not say until when it is valid");
        }
        if (!path_strong(X509_CRL_get_signature_nid(list)))
            attempt->crl_weak = true;
    }
    return attempt->trust->signers->check_crl(context, list);
}

static void note_entry(struct certificate_status *status, const X509_REVOKED *entry)
{
    int critical;
    ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, &critical, NULL);
    ASN1_GENERALIZEDTIME *invalid =
        X509_REVOKED_get_ext_d2i(entry, NID_invalidity_date, &critical, NULL);
    int64_t date_s;

    status->reason = REASON_UNSPECIFIED;
    if (reason) {
        long number = ASN1_ENUMERATED_get(reason);
        status->reason = number >= 0 && number <= UINT8_MAX ? (uint8_t)number : UINT8_MAX;
    }
    status->state = status->reason == REASON_HOLD ? CERTIFICATE_HELD : CERTIFICATE_REVOKED;
    status->revoked_s =
        path_time(X509_REVOKED_get0_revocationDate(entry), &date_s) ? date_s : INT64_MIN;
    if (invalid && path_time(invalid, &date_s) && date_s < status->revoked_s)
        status->revoked_s = date_s;
    ASN1_ENUMERATED_free(reason);
    ASN1_GENERALIZEDTIME_free(invalid);
}

static int observe_entry(X509_STORE_CTX *context, X509_CRL *list, X509 *certificate)
{
    struct path_attempt *attempt = X509_STORE_CTX_get_app_data(context);
    struct certificate_status *status = status_at(attempt, context);
    X509_REVOKED *entry = NULL;

    /* OpenSSL was let go on after a signature that is not the issuer's. */
    if (status && !attempt->list_refused[status - attempt->path] &&
        X509_CRL_get0_by_cert(list, &entry, certificate) == 1)
        note_entry(status, entry);
    return attempt->trust->signers->cert_crl(context, list, certificate);
}

void path_revocation_observe(struct verify_trust *trust)
{
    X509_STORE_set_check_crl(trust->store, observe_list);
    X509_STORE_set_cert_crl(trust->store, observe_entry);
    X509_STORE_set_lookup_crls(trust->store, look_up);
}

/* A list that is there and of no use says more than "unable to get certificate CRL". */
static const char *why_no_list(const struct path_attempt *attempt, X509_STORE_CTX *context)
{
    const X509 *certificate = X509_STORE_CTX_get_current_cert(context);

    for (int i = 0; certificate && i < sk_X509_CRL_num(attempt->trust->crls); i++) {
        X509_CRL *list = sk_X509_CRL_value(attempt->trust->crls, i);
        int64_t issued_s;
        if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(certificate)) != 0)
            continue;
        const char *fault = crl_form_fault(list);
        if (fault)
            return fault;
        if (path_time(X509_CRL_get0_lastUpdate(list), &issued_s) &&
            issued_s > attempt->now_s + CRL_SKEW_S)
            return "its revocation list is dated in the future";
    }
    return "there is no revocation list of its issuer";
}

void path_revocation_found(struct path_attempt *attempt, X509_STORE_CTX *context, int error)
{
    struct certificate_status *status = status_at(attempt, context);

    if (!status)
        return;
    bool *refused = &attempt->list_refused[status - attempt->path];
    if (error == X509_V_ERR_CERT_REVOKED) {
        if (!*refused && status->state != CERTIFICATE_REVOKED && status->state != CERTIFICATE_HELD)
            status->state = CERTIFICATE_REVOKED;
        return;
    }
    /* Of dates we think ourselves, and the anchor needs no list. */
    if (of_anchor(context) || error == X509_V_ERR_CRL_NOT_YET_VALID ||
        error == X509_V_ERR_CRL_HAS_EXPIRED)
        return;
    *refused = *refused || error != X509_V_ERR_UNABLE_TO_GET_CRL;
    char *text = attempt->list_text[status - attempt->path];
    if (*text)
        return;
    const char *why = error == X509_V_ERR_UNABLE_TO_GET_CRL ? why_no_list(attempt, context)
                                                            : X509_verify_cert_error_string(error);
    snprintf(text, sizeof attempt->list_text[0], "%s", why);
}

int path_revocation_status(const struct path_attempt *attempt, STACK_OF(X509) * chain,
                           struct signer_status *ret_status)
{
    struct signer_status status = {0};
    int size = sk_X509_num(chain);

    if (size < 1 || size > PATH_DEPTH_MAX)
        return -EINVAL;
    for (int i = 0; i < size; i++) {
        struct certificate_status *certificate = &status.path[i];
        unsigned digest_size = 0;
        *certificate = attempt->path[i];
        if (attempt->list_text[i][0])
            certificate->list_issued_s = certificate->list_next_s = certificate->list_stale_at_s =
                0;
        if (certificate->state == CERTIFICATE_UNKNOWN &&
            (certificate->list_stale_at_s || i == size - 1))
            certificate->state = CERTIFICATE_GOOD;
        if (!path_time(X509_get0_notBefore(sk_X509_value(chain, i)), &certificate->not_before_s) ||
            !path_time(X509_get0_notAfter(sk_X509_value(chain, i)), &certificate->not_after_s) ||
            !X509_digest(sk_X509_value(chain, i), EVP_sha256(), certificate->sha256, &digest_size))
            return -EINVAL;
    }
    status.path_size = (uint8_t)size;
    memcpy(status.sha256, status.path[0].sha256, SHA256_SIZE);
    memcpy(status.trust_generation, attempt->trust->generation, SHA256_SIZE);
    memcpy(status.crl_generation, attempt->trust->crl_generation, SHA256_SIZE);
    status.stale_accepted = checks_level(&attempt->trust->levels, CHECK_REVOCATION) != LEVEL_FAIL;
    status.later_rejected =
        checks_level(&attempt->trust->levels, CHECK_REVOKED_LATER) == LEVEL_FAIL;
    *ret_status = status;
    return 0;
}
