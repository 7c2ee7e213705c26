/*
 * The store is filled from the trust bundle only and has no look-up method: nothing is ever
 * searched on disk or network. The signer cache is a handful of slots, since there is one Minister
 * with few certificates at a time.
 */
#include "verify/path_store.h"

#include "verify/path_attempt.h"

#include "base/clock.h"
#include "verify/dn.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <time.h>

static int fill_store(struct verify_trust *trust)
{
    for (int i = 0; i < sk_X509_num(trust->anchors); i++) {
        if (!X509_STORE_add_cert(trust->store, sk_X509_value(trust->anchors, i)))
            return -ENOMEM;
    }
    for (int i = 0; i < sk_X509_CRL_num(trust->crls); i++) {
        if (!X509_STORE_add_crl(trust->store, sk_X509_CRL_value(trust->crls, i)))
            return -ENOMEM;
    }
    /* Level 0: strength is judged by our own checks, which have names; see path_check(). */
    X509_VERIFY_PARAM *parameters = X509_STORE_get0_param(trust->store);
    X509_VERIFY_PARAM_set_auth_level(parameters, 0);
    X509_VERIFY_PARAM_set_depth(parameters, PATH_DEPTH_MAX - 2);
    unsigned long flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_CRL_CHECK |
                          X509_V_FLAG_CRL_CHECK_ALL | X509_V_FLAG_PARTIAL_CHAIN |
                          X509_V_FLAG_POLICY_CHECK;
    if (sk_ASN1_OBJECT_num(trust->policies) > 0) {
        flags |= X509_V_FLAG_EXPLICIT_POLICY;
        if (!X509_VERIFY_PARAM_set1_policies(parameters, trust->policies))
            return -ENOMEM;
    }
    return X509_STORE_set_flags(trust->store, flags) ? 0 : -ENOMEM;
}

int path_store_prepare(struct verify_trust *trust)
{
    trust->signers = calloc(1, sizeof *trust->signers);
    trust->store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int r = -ENOMEM;

    if (trust->signers && trust->store && context &&
        X509_STORE_CTX_init(context, trust->store, NULL, NULL)) {
        trust->signers->check_crl = X509_STORE_CTX_get_check_crl(context);
        trust->signers->cert_crl = X509_STORE_CTX_get_cert_crl(context);
        path_revocation_observe(trust);
        r = fill_store(trust);
    }
    X509_STORE_CTX_free(context);
    return r;
}

void path_slot_drop_chain(struct signer_slot *slot)
{
    sk_X509_pop_free(slot->chain, X509_free);
    slot->chain = NULL;
    for (unsigned i = 0; i < PATH_DEPTH_MAX; i++) {
        OPENSSL_free(slot->encoded[i]);
        slot->encoded[i] = NULL;
    }
    slot->status.path_size = 0;
}

static void slot_clear(struct signer_slot *slot)
{
    EVP_PKEY_CTX_free(slot->verification);
    X509_free(slot->signer.certificate);
    sk_X509_pop_free(slot->others, X509_free);
    path_slot_drop_chain(slot);
    *slot = (struct signer_slot){0};
}

void path_store_done(struct verify_trust *trust)
{
    if (trust->signers) {
        for (size_t i = 0; i < SIGNER_CACHE_SIZE; i++)
            slot_clear(&trust->signers->slots[i]);
    }
    free(trust->signers);
    X509_STORE_free(trust->store);
    trust->signers = NULL;
    trust->store = NULL;
}

int path_store_renew(struct verify_trust *trust)
{
    path_store_done(trust);
    return path_store_prepare(trust);
}

/* One DER certificate to the last byte, or NULL. */
static X509 *decode(struct bytes der)
{
    const uint8_t *next = der.data;

    if (der.size == 0 || der.size > PATH_CERTIFICATE_SIZE_MAX)
        return NULL;
    X509 *certificate = d2i_X509(NULL, &next, (long)der.size);
    if (certificate && next != der.data + der.size) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

static int decode_others(struct signer_slot *slot, const struct bytes *others, size_t count)
{
    slot->others = sk_X509_new_null();
    if (!slot->others)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        X509 *certificate = decode(others[i]);
        if (!certificate)
            return PATH_UNDECODABLE;
        if (!sk_X509_push(slot->others, certificate)) {
            X509_free(certificate);
            return -ENOMEM;
        }
    }
    return 0;
}

/* After OpenSSL said no: a shortage of memory is not the certificate's fault. Empties the queue. */
static int why_openssl_failed(int otherwise)
{
    unsigned long error;
    int r = otherwise;

    while ((error = ERR_get_error()))
        r = ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? -ENOMEM : r;
    return r;
}

static bool prepare_verification(struct signer_slot *slot)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, slot->signer.key, NULL);

    slot->verification = context;
    return context && EVP_PKEY_verify_init(context) > 0 &&
           EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0 &&
           EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0;
}

bool path_time(const ASN1_TIME *time, int64_t *ret_seconds)
{
    struct tm tm;

    return time && ASN1_TIME_to_tm(time, &tm) &&
           civil_to_seconds(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                            tm.tm_sec, ret_seconds);
}

static bool says_rsa(const X509 *certificate)
{
    ASN1_OBJECT *algorithm = NULL;

    X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, X509_get_X509_PUBKEY(certificate));
    return OBJ_obj2nid(algorithm) == NID_rsaEncryption;
}

static int fill_slot(struct signer_slot *slot, struct bytes certificate, const struct bytes *others,
                     size_t other_count)
{
    struct path_signer *signer = &slot->signer;
    int r;

    signer->certificate = decode(certificate);
    if (!signer->certificate)
        return PATH_UNDECODABLE;
    signer->key = X509_get0_pubkey(signer->certificate);
    if (!signer->key || EVP_PKEY_get_size(signer->key) <= 0 ||
        !path_time(X509_get0_notBefore(signer->certificate), &signer->not_before_s) ||
        !path_time(X509_get0_notAfter(signer->certificate), &signer->not_after_s))
        return PATH_UNDECODABLE;
    if (EVP_PKEY_get_base_id(signer->key) == EVP_PKEY_RSA) {
        if (!prepare_verification(slot))
            return PATH_UNDECODABLE;
    } else if (says_rsa(signer->certificate)) {
        return PATH_UNDECODABLE; /* OpenSSL could not make a key of it */
    }
    r = dn_format(X509_get_subject_name(signer->certificate), signer->unverified_subject,
                  sizeof signer->unverified_subject);
    if (r == 0)
        r = sha256(certificate.data, certificate.size, signer->sha256);
    if (r == 0)
        r = decode_others(slot, others, other_count);
    return r;
}

static int hash_key(struct bytes certificate, const struct bytes *others, size_t other_count,
                    uint8_t ret_key[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    int r = stream ? 0 : -ENOMEM;

    /* Each certificate goes in behind its length, so that different lists never look alike. */
    for (size_t i = 0; r == 0 && i <= other_count; i++) {
        struct bytes part = i == 0 ? certificate : others[i - 1];
        uint8_t size[8];
        be64_put(size, part.size);
        r = sha256_stream_update(stream, size, sizeof size);
        if (r == 0 && part.size)
            r = sha256_stream_update(stream, part.data, part.size);
    }
    return r < 0 ? r : sha256_stream_finish(stream, ret_key);
}

static struct signer_slot *find_slot(struct signer_cache *cache, const uint8_t key[SHA256_SIZE])
{
    for (size_t i = 0; i < SIGNER_CACHE_SIZE; i++) {
        struct signer_slot *slot = &cache->slots[i];
        if (slot->used && memcmp(slot->key, key, SHA256_SIZE) == 0)
            return slot;
    }
    return NULL;
}

static struct signer_slot *oldest_slot(struct signer_cache *cache)
{
    struct signer_slot *oldest = &cache->slots[0];

    for (size_t i = 1; i < SIGNER_CACHE_SIZE; i++) {
        if (cache->slots[i].last_use < oldest->last_use)
            oldest = &cache->slots[i];
    }
    return oldest;
}

int path_signer_get(struct verify_trust *trust, struct bytes certificate,
                    const struct bytes *others, size_t other_count,
                    const struct path_signer **ret_signer)
{
    struct signer_cache *cache = trust->signers;
    uint8_t key[SHA256_SIZE];

    if (other_count >= PATH_CERTIFICATE_MAX)
        return PATH_UNDECODABLE;
    cache->judged = NULL;
    int r = hash_key(certificate, others, other_count, key);
    if (r < 0)
        return r;
    struct signer_slot *slot = find_slot(cache, key);
    if (!slot) {
        slot = oldest_slot(cache);
        slot_clear(slot);
        ERR_clear_error();
        r = fill_slot(slot, certificate, others, other_count);
        r = r == 0 ? 0 : why_openssl_failed(r);
        if (r != 0) {
            slot_clear(slot);
            return r;
        }
        slot->used = true;
        memcpy(slot->key, key, sizeof key);
    }
    slot->last_use = ++cache->clock;
    cache->current = slot;
    *ret_signer = &slot->signer;
    return 0;
}

int path_signature_good(const struct path_signer *signer, const uint8_t digest[SHA256_SIZE],
                        struct bytes signature)
{
    const struct signer_slot *slot =
        (const struct signer_slot *)(const void *)((const uint8_t *)signer -
                                                   offsetof(struct signer_slot, signer));

    if (!slot->verification || signature.size != (size_t)EVP_PKEY_get_size(signer->key))
        return 0;
    ERR_clear_error();
    int r =
        EVP_PKEY_verify(slot->verification, signature.data, signature.size, digest, SHA256_SIZE);
    return r == 1 ? 1 : why_openssl_failed(0);
}
