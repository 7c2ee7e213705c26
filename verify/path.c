/*
 * RFC 5280 path validation by OpenSSL, with its findings sorted into our named checks.
 *
 * OpenSSL stops at its first finding. The callback lets it go on after a date and whatever concerns
 * revocation, so that a revoked certificate is called revoked even when it has expired; nothing
 * that was let pass is forgotten: dates become faults, and what lists say becomes the status of
 * each certificate, which base/signer.h judges by proof of existence and time. Revocation of the
 * anchor itself is not asked for (RFC 5280 6.1: an anchor is trusted by configuration), but a list
 * that names it is heeded.
 *
 * Validity counts at the time of receipt, the proof of existence; the age of lists counts now.
 */
#include "verify/path.h"

#include "verify/path_attempt.h"
#include "verify/path_store.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static enum path_fault fault_of(int error)
{
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_UNTRUSTED:
        return FAULT_BUILT;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
    case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
        return FAULT_SIGNATURES;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return FAULT_NOT_BEGUN;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return FAULT_EXPIRED;
    case X509_V_ERR_CERT_REVOKED:
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
    case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
    case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
    case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
        return FAULT_REVOCATION;
    default:
        return FAULT_CONSTRAINTS;
    }
}

void path_attempt_fault(struct path_attempt *attempt, enum path_fault fault, int depth,
                        const char *text)
{
    if (attempt->faulty[fault])
        return;
    attempt->faulty[fault] = true;
    if (depth == 0)
        snprintf(attempt->text[fault], sizeof attempt->text[fault], "signer's certificate: %s",
                 text);
    else
        snprintf(attempt->text[fault], sizeof attempt->text[fault],
                 "certificate %d on the path above the signer's: %s", depth, text);
}

static int on_finding(int ok, X509_STORE_CTX *context)
{
    struct path_attempt *attempt = X509_STORE_CTX_get_app_data(context);

    if (ok)
        return 1;
    int error = X509_STORE_CTX_get_error(context);
    int depth = X509_STORE_CTX_get_error_depth(context);
    enum path_fault fault = fault_of(error);
    if (error == X509_V_ERR_OUT_OF_MEM) {
        attempt->out_of_memory = true;
        return 0;
    }
    if (fault == FAULT_REVOCATION) {
        path_revocation_found(attempt, context, error);
        return 1;
    }
    path_attempt_fault(attempt, fault, depth, X509_verify_cert_error_string(error));
    return fault == FAULT_NOT_BEGUN || fault == FAULT_EXPIRED;
}

bool path_strong(int signature_nid)
{
    int digest = NID_undef;

    return OBJ_find_sigid_algs(signature_nid, &digest, NULL) &&
           (digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512);
}

/* Ed25519 counts 253. */
enum { RSA_BITS_MIN = 2048, CURVE_BITS_MIN = 253 };

bool path_key_strong(EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return bits >= RSA_BITS_MIN;
    case EVP_PKEY_EC:
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        return bits >= CURVE_BITS_MIN;
    default:
        return false;
    }
}

/* The facts about a path that OpenSSL found, beyond what OpenSSL judges. */
struct path_facts {
    int64_t from_s, until_s; /* validity of all its certificates */
    bool weak;               /* a certificate below the anchor signed with other than SHA-2 */
    int key_bits;            /* of the smallest RSA key */
    int curve_bits;          /* of the smallest elliptic curve */
    bool odd_key;            /* neither RSA nor an elliptic curve */
};

static void collect_key(EVP_PKEY *key, struct path_facts *facts)
{
    int bits = EVP_PKEY_get_bits(key);

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        facts->key_bits = bits < facts->key_bits ? bits : facts->key_bits;
        break;
    case EVP_PKEY_EC:
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        facts->curve_bits = bits < facts->curve_bits ? bits : facts->curve_bits;
        break;
    default:
        facts->odd_key = true;
    }
}

static int collect_facts(STACK_OF(X509) * chain, struct path_signer *signer,
                         struct path_facts *ret_facts)
{
    struct path_facts facts = {
        .from_s = INT64_MIN, .until_s = INT64_MAX, .key_bits = INT32_MAX, .curve_bits = INT32_MAX};
    int size = sk_X509_num(chain);

    if (size > PATH_DEPTH_MAX)
        return -EINVAL;
    for (int i = 0; i < size; i++) {
        X509 *certificate = sk_X509_value(chain, i);
        EVP_PKEY *key = X509_get0_pubkey(certificate);
        int64_t from_s, until_s;
        unsigned digest_size = 0;
        if (!key || !path_time(X509_get0_notBefore(certificate), &from_s) ||
            !path_time(X509_get0_notAfter(certificate), &until_s) ||
            !X509_digest(certificate, EVP_sha256(), signer->path_sha256[i], &digest_size))
            return -EINVAL;
        facts.from_s = from_s > facts.from_s ? from_s : facts.from_s;
        facts.until_s = until_s < facts.until_s ? until_s : facts.until_s;
        if (i < size - 1 && !path_strong(X509_get_signature_nid(certificate)))
            facts.weak = true;
        collect_key(key, &facts);
    }
    signer->path_size = (unsigned)size;
    *ret_facts = facts;
    return 0;
}

/* RFC 5280 4.2.1.3 and 4.2.1.12: an extension that is there must allow signing a document. */
static bool usage_allows_signing(X509 *certificate)
{
    static const char *const purposes[] = {
        "2.5.29.37.0",            /* anyExtendedKeyUsage */
        "1.3.6.1.5.5.7.3.4",      /* emailProtection: what CMS programs ask for */
        "1.3.6.1.5.5.7.3.36",     /* documentSigning, RFC 9336 */
        "1.2.840.113583.1.1.5",   /* Adobe: authentic documents */
        "1.3.6.1.4.1.311.10.3.12" /* Microsoft: document signing */
    };
    uint32_t usage = X509_get_key_usage(certificate);
    int critical = 0;
    bool allowed = false;

    if (usage != UINT32_MAX && !(usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
        return false;
    EXTENDED_KEY_USAGE *extended =
        X509_get_ext_d2i(certificate, NID_ext_key_usage, &critical, NULL);
    if (!extended)
        return critical == -1; /* absent; otherwise malformed or there twice */
    for (int i = 0; i < sk_ASN1_OBJECT_num(extended); i++) {
        char text[80];
        OBJ_obj2txt(text, sizeof text, sk_ASN1_OBJECT_value(extended, i), 1);
        for (size_t p = 0; p < sizeof purposes / sizeof purposes[0]; p++)
            allowed = allowed || strcmp(text, purposes[p]) == 0;
    }
    sk_ASN1_OBJECT_pop_free(extended, ASN1_OBJECT_free);
    return allowed;
}

static bool note_fault(struct check_run *run, const struct path_attempt *attempt,
                       enum path_fault fault)
{
    static const enum check_id checks[] = {
        [FAULT_BUILT] = CHECK_PATH_BUILT,           [FAULT_CONSTRAINTS] = CHECK_PATH_CONSTRAINTS,
        [FAULT_SIGNATURES] = CHECK_PATH_SIGNATURES, [FAULT_NOT_BEGUN] = CHECK_PATH_BEGUN,
        [FAULT_EXPIRED] = CHECK_PATH_NOT_EXPIRED,
    };

    return checks_that(run, checks[fault], !attempt->faulty[fault], "%s", attempt->text[fault]);
}

static bool pinned(const struct verify_trust *trust, const struct path_signer *signer)
{
    for (size_t i = 0; i < trust->pin_count; i++) {
        if (memory_equal(trust->pins[i], signer->sha256, SHA256_SIZE))
            return true;
    }
    return trust->pin_count == 0;
}

static void note_key_sizes(struct check_run *run, const struct path_facts *facts)
{
    if (facts->odd_key)
        checks_fail(run, CHECK_KEY_SIZE, "a key on the path is neither RSA nor on a curve");
    else if (facts->curve_bits < CURVE_BITS_MIN)
        checks_fail(run, CHECK_KEY_SIZE, "an elliptic curve on the path has only %d bits",
                    facts->curve_bits);
    else
        checks_that(run, CHECK_KEY_SIZE, facts->key_bits >= RSA_BITS_MIN,
                    "an RSA key on the path has only %d bits", facts->key_bits);
}

static bool note_facts(struct check_run *run, const struct verify_trust *trust,
                       const struct signer_slot *slot, const struct path_attempt *attempt,
                       const struct path_facts *facts)
{
    if (!checks_that(run, CHECK_PATH_ALGORITHMS, !facts->weak && !attempt->crl_weak,
                     "a %s on the path is signed with a digest other than SHA-256, -384 or -512",
                     facts->weak ? "certificate" : "revocation list"))
        return false;
    if (!checks_that(run, CHECK_SIGNER_USAGE, usage_allows_signing(slot->signer.certificate),
                     "key usage or extended key usage of the signer's certificate does not allow "
                     "signing documents"))
        return false;
    if (!checks_that(
            run, CHECK_SIGNER_NAME,
            X509_NAME_cmp(X509_get_subject_name(slot->signer.certificate), trust->signer_name) == 0,
            "signed by %.180s, who is not the configured signer", slot->signer.unverified_subject))
        return false;
    if (!checks_that(run, CHECK_SIGNER_PIN, pinned(trust, &slot->signer),
                     "the signer's certificate is none of those that are pinned"))
        return false;
    note_key_sizes(run, facts);
    return true;
}

/* What lists say that ends the run. */
static bool note_revoked(struct check_run *run, const struct signer_judgement *judgement)
{
    return checks_that(run, CHECK_PATH_NOT_REVOKED, judgement->outcome != SIGNER_REVOKED, "%s",
                       judgement->text) &&
           checks_that(run, CHECK_PATH_NOT_HELD, judgement->outcome != SIGNER_HELD, "%s",
                       judgement->text);
}

/* What an operator may think about differently. `why` tells more than the judgement; or empty. */
static void note_freshness(struct check_run *run, const struct signer_judgement *judgement,
                           const char *why)
{
    checks_that(run, CHECK_REVOKED_LATER, !judgement->revoked_later, "%s", judgement->text);
    if (judgement->outcome == SIGNER_UNKNOWN && *why)
        checks_undecided(run, CHECK_REVOCATION, "%s: %s",
                         judgement->depth == 0 ? "signer's certificate"
                                               : "a certificate on the path above the signer's",
                         why);
    else if (judgement->outcome == SIGNER_UNKNOWN)
        checks_undecided(run, CHECK_REVOCATION, "%s", judgement->text);
    else
        checks_pass(run, CHECK_REVOCATION);
}

/* By the rule alone: levels are applied to what is noted. */
static void judge(const struct signer_status *status, const struct verify_request *request,
                  struct signer_judgement *ret_judgement)
{
    struct signer_status strict = *status;

    strict.stale_accepted = strict.later_rejected = false;
    signer_judge(&strict, verify_received_s(request), request->time_s, ret_judgement);
}

/* 0 = OpenSSL ran to its end, whatever it found; *ret_chain is the caller's. */
static int run_openssl(struct verify_trust *trust, struct signer_slot *slot, int64_t received_s,
                       struct path_attempt *attempt, STACK_OF(X509) * *ret_chain)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new();

    if (!context ||
        !X509_STORE_CTX_init(context, trust->store, slot->signer.certificate, slot->others) ||
        !X509_STORE_CTX_set_app_data(context, attempt)) {
        X509_STORE_CTX_free(context);
        return -ENOMEM;
    }
    X509_STORE_CTX_set_time(context, 0, received_s);
    X509_STORE_CTX_set_verify_cb(context, on_finding);
    int verified = X509_verify_cert(context);
    bool faulty = false;
    if (X509_STORE_CTX_get_error(context) == X509_V_ERR_OUT_OF_MEM)
        attempt->out_of_memory = true;
    for (int i = 0; i < FAULT_COUNT; i++)
        faulty = faulty || attempt->faulty[i];
    /* OpenSSL refused without telling the callback why: out of memory, or misuse. */
    if (verified != 1 && !faulty)
        path_attempt_fault(attempt, FAULT_BUILT, 0,
                           X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    *ret_chain = X509_STORE_CTX_get1_chain(context);
    X509_STORE_CTX_free(context);
    ERR_clear_error();
    if (attempt->out_of_memory || (!*ret_chain && !attempt->faulty[FAULT_BUILT]))
        return -ENOMEM;
    return 0;
}

static bool is_judged_anew(unsigned check)
{
    return check == CHECK_PATH_NOT_REVOKED || check == CHECK_PATH_NOT_HELD ||
           check == CHECK_REVOKED_LATER || check == CHECK_REVOCATION;
}

static void remember(struct signer_slot *slot, const struct check_run *run,
                     const struct path_facts *facts)
{
    for (unsigned i = CHECK_PATH_FIRST; i <= CHECK_PATH_LAST; i++) {
        if (!is_judged_anew(i) && (!run->notes[i].noted || run->notes[i].outcome != CHECK_PASSED))
            return;
    }
    for (unsigned i = 0; i < slot->status.path_size; i++) {
        if (slot->status.path[i].state == CERTIFICATE_UNKNOWN)
            return;
    }
    slot->held =
        (struct path_held){.known = true, .from_s = facts->from_s, .until_s = facts->until_s};
}

/* Notes everything about the path that OpenSSL built; `chain` is empty if it built none. */
static void note_path(struct check_run *run, struct verify_trust *trust, struct signer_slot *slot,
                      const struct path_attempt *attempt, STACK_OF(X509) * chain,
                      const struct verify_request *request, struct verdict *verdict)
{
    struct signer_judgement judgement;
    struct path_facts facts;

    if (!note_fault(run, attempt, FAULT_BUILT) || !note_fault(run, attempt, FAULT_CONSTRAINTS) ||
        !note_fault(run, attempt, FAULT_SIGNATURES))
        return;
    if (path_revocation_status(attempt, chain, &slot->status) < 0 ||
        collect_facts(chain, &slot->signer, &facts) < 0) {
        slot->status.path_size = 0;
        checks_fail(run, CHECK_PATH_CONSTRAINTS, "a certificate on the path is malformed");
        return;
    }
    memcpy(slot->status.subject, slot->signer.unverified_subject, sizeof slot->status.subject - 1);
    judge(&slot->status, request, &judgement);
    if (!note_revoked(run, &judgement) || !note_fault(run, attempt, FAULT_NOT_BEGUN) ||
        !note_fault(run, attempt, FAULT_EXPIRED) || !note_facts(run, trust, slot, attempt, &facts))
        return;
    note_freshness(run, &judgement, attempt->list_text[judgement.depth]);
    verdict->fresh_until_s = judgement.fresh_until_s;
    remember(slot, run, &facts);
}

static int check_anew(struct check_run *run, struct verify_trust *trust, struct signer_slot *slot,
                      const struct verify_request *request, struct verdict *verdict)
{
    struct path_attempt attempt = {.trust = trust, .now_s = request->time_s};
    STACK_OF(X509) *chain = NULL;

    path_slot_drop_chain(slot);
    int r = run_openssl(trust, slot, verify_received_s(request), &attempt, &chain);
    if (r == 0)
        note_path(run, trust, slot, &attempt, chain, request, verdict);
    slot->chain = chain;
    return r;
}

static void check_held(struct check_run *run, const struct signer_slot *slot,
                       const struct verify_request *request, struct verdict *verdict)
{
    struct signer_judgement judgement;

    for (unsigned i = CHECK_PATH_FIRST; i <= CHECK_PATH_LAST; i++) {
        if (!is_judged_anew(i))
            checks_pass(run, i);
    }
    judge(&slot->status, request, &judgement);
    if (!note_revoked(run, &judgement))
        return;
    note_freshness(run, &judgement, "");
    verdict->fresh_until_s = judgement.fresh_until_s;
}

int path_check(struct check_run *run, struct verify_trust *trust,
               const struct verify_request *request, struct verdict *verdict)
{
    struct signer_slot *slot = trust->signers->current;
    const struct path_held *held = &slot->held;
    int64_t received_s = verify_received_s(request);

    verdict->verified_at_s = request->time_s;
    memcpy(verdict->signer_sha256, slot->signer.sha256, SHA256_SIZE);
    if (held->known && held->from_s <= received_s && received_s < held->until_s) {
        check_held(run, slot, request, verdict);
    } else {
        int r = check_anew(run, trust, slot, request, verdict);
        if (r < 0)
            return r;
    }
    trust->signers->judged = slot;
    if (checks_going(run))
        memcpy(verdict->signer, slot->signer.unverified_subject, sizeof verdict->signer);
    return 0;
}
