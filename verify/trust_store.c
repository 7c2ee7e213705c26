/*
 * From the raw items of a trust bundle to decoded anchors, revocation lists and expectations. The
 * bundle comes from the operator: what is wrong in it is named to him, and nothing is skipped.
 */
#include "verify/trust_store.h"

#include "verify/anchor.h"
#include "verify/dn.h"
#include "verify/path_store.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

static void complain(char *ret_message, const struct trust_item *item, const char *text)
{
    snprintf(ret_message, VERDICT_TEXT_MAX, "%.120s: %s", item->label, text);
}

static int add_anchor(struct verify_trust *trust, X509 *certificate)
{
    if (sk_X509_num(trust->anchors) == VERIFY_ANCHORS_MAX) {
        X509_free(certificate);
        return -EMSGSIZE;
    }
    if (!sk_X509_push(trust->anchors, certificate)) {
        X509_free(certificate);
        return -ENOMEM;
    }
    return 0;
}

static int add_crl(struct verify_trust *trust, X509_CRL *crl)
{
    if (!sk_X509_CRL_push(trust->crls, crl)) {
        X509_CRL_free(crl);
        return -ENOMEM;
    }
    return 0;
}

/* DER to the last byte. 1 = it was that, 0 = it was not. */
static int add_der(struct verify_trust *trust, const struct trust_item *item)
{
    const uint8_t *next = item->content.data;
    const uint8_t *end = next + item->content.size;
    int r = 0;

    if (item->kind == TRUST_ANCHOR) {
        X509 *certificate = d2i_X509(NULL, &next, (long)item->content.size);
        if (certificate && next == end)
            return (r = add_anchor(trust, certificate)) < 0 ? r : 1;
        X509_free(certificate);
    } else {
        X509_CRL *crl = d2i_X509_CRL(NULL, &next, (long)item->content.size);
        if (crl && next == end)
            return (r = add_crl(trust, crl)) < 0 ? r : 1;
        X509_CRL_free(crl);
    }
    ERR_clear_error();
    return 0;
}

/* PEM, one or more. Returns the count, or -EBADMSG when a later one is damaged, or -ENOMEM. */
static int add_pem(struct verify_trust *trust, const struct trust_item *item)
{
    BIO *bio = BIO_new_mem_buf(item->content.data, (int)item->content.size);
    int count = 0, r = 0;

    if (!bio)
        return -ENOMEM;
    for (; r == 0; count++) {
        ERR_clear_error();
        if (item->kind == TRUST_ANCHOR) {
            X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
            if (!certificate)
                break;
            r = add_anchor(trust, certificate);
        } else {
            X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
            if (!crl)
                break;
            r = add_crl(trust, crl);
        }
    }
    /* The one error that means "the end": no further BEGIN line. */
    if (r == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        r = -EBADMSG;
    ERR_clear_error();
    BIO_free(bio);
    return r < 0 ? r : count;
}

static int add_certificates_or_crls(struct verify_trust *trust, const struct trust_item *item,
                                    char *ret_message)
{
    int r = item->content.size ? add_der(trust, item) : 0;

    if (r == 0 && item->content.size)
        r = add_pem(trust, item);
    if (r > 0)
        return 0;
    if (r == -EMSGSIZE)
        complain(ret_message, item, "there are more than 64 trust anchors");
    if (r == 0 || r == -EBADMSG) {
        complain(ret_message, item,
                 item->kind == TRUST_ANCHOR ? "not a certificate in PEM or DER"
                                            : "not a revocation list in PEM or DER");
        return -EBADMSG;
    }
    return r;
}

static int set_signer(struct verify_trust *trust, const struct trust_item *item, char *ret_message)
{
    if (trust->signer_name) {
        complain(ret_message, item, "a second signer name");
        return -EINVAL;
    }
    int r = dn_parse(item->content, &trust->signer_name);
    if (r == -EINVAL)
        complain(ret_message, item, "the signer is not a distinguished name as in RFC 4514");
    return r;
}

static int add_schema(struct verify_trust *trust, const struct trust_item *item)
{
    struct trust_schema *schemas =
        realloc(trust->schemas, (trust->schema_count + 1) * sizeof *schemas);
    if (!schemas)
        return -ENOMEM;
    trust->schemas = schemas;
    uint8_t *copy = malloc(item->content.size ? item->content.size : 1);
    if (!copy)
        return -ENOMEM;
    if (item->content.size)
        memcpy(copy, item->content.data, item->content.size);
    struct trust_schema *schema = &schemas[trust->schema_count++];
    memcpy(schema->label, item->label, sizeof schema->label);
    schema->content = bytes_of(copy, item->content.size);
    return 0;
}

static int add_policy(struct verify_trust *trust, const struct trust_item *item, char *ret_message)
{
    char text[128];
    ASN1_OBJECT *object = NULL;

    if (item->content.size > 0 && item->content.size < sizeof text) {
        memcpy(text, item->content.data, item->content.size);
        text[item->content.size] = '\0';
        object = OBJ_txt2obj(text, 1);
    }
    ERR_clear_error();
    if (!object || sk_ASN1_OBJECT_num(trust->policies) == TRUST_POLICIES_MAX) {
        complain(ret_message, item,
                 object ? "more than 32 certificate policies"
                        : "not an object identifier as 1.2.3");
        ASN1_OBJECT_free(object);
        return -EINVAL;
    }
    if (!sk_ASN1_OBJECT_push(trust->policies, object)) {
        ASN1_OBJECT_free(object);
        return -ENOMEM;
    }
    return 0;
}

static int add_pin(struct verify_trust *trust, const struct trust_item *item, char *ret_message)
{
    if (trust->pin_count < TRUST_PINS_MAX &&
        hex_decode((const char *)item->content.data, item->content.size,
                   trust->pins[trust->pin_count], SHA256_SIZE)) {
        trust->pin_count++;
        return 0;
    }
    complain(ret_message, item,
             trust->pin_count == TRUST_PINS_MAX ? "more than 32 pinned certificates"
                                                : "not a SHA-256 in 64 hexadecimal digits");
    return -EINVAL;
}

/* "NAME=SECONDS" */
static int set_limit(struct verify_trust *trust, const struct trust_item *item, char *ret_message)
{
    char text[64] = "";
    int64_t seconds = -1;
    char *end = NULL;

    if (item->content.size < sizeof text)
        memcpy(text, item->content.data, item->content.size);
    char *equals = strchr(text, '=');
    if (equals && equals[1]) {
        *equals = '\0';
        seconds = strtoll(equals + 1, &end, 10);
    }
    if (end && *end == '\0' && seconds >= 0 && seconds <= INT32_MAX) {
        if (strcmp(text, "crl-grace") == 0) {
            trust->crl_grace_s = seconds;
            return 0;
        }
        if (strcmp(text, "crl-max-age") == 0) {
            trust->crl_max_age_s = seconds;
            return 0;
        }
    }
    complain(ret_message, item, "not crl-grace=SECONDS or crl-max-age=SECONDS");
    return -EINVAL;
}

static int add_item(struct verify_trust *trust, const struct trust_item *item, char *ret_message)
{
    switch (item->kind) {
    case TRUST_ANCHOR:
    case TRUST_CRL:
        return add_certificates_or_crls(trust, item, ret_message);
    case TRUST_SIGNER_DN:
        return set_signer(trust, item, ret_message);
    case TRUST_POLICY:
        if (checks_set_level(&trust->levels, item->content))
            return 0;
        snprintf(ret_message, VERDICT_TEXT_MAX,
                 "%.*s: not NAME=LEVEL with the name of a policy check and fail, warn or ignore",
                 (int)(item->content.size < 100 ? item->content.size : 100),
                 item->content.size ? (const char *)item->content.data : "");
        return -EINVAL;
    case TRUST_SCHEMA:
        return add_schema(trust, item);
    case TRUST_SIGNER_POLICY:
        return add_policy(trust, item, ret_message);
    case TRUST_SIGNER_PIN:
        return add_pin(trust, item, ret_message);
    case TRUST_LIMIT:
        return set_limit(trust, item, ret_message);
    }
    complain(ret_message, item, "an item of unknown kind");
    return -EBADMSG;
}

static int read_bundle(struct verify_trust *trust, struct bytes bundle, char *ret_message)
{
    struct trust_item item;
    size_t offset = 0;
    int r;

    while ((r = trust_bundle_next(bundle, &offset, &item)) > 0) {
        r = add_item(trust, &item, ret_message);
        if (r < 0)
            return r;
    }
    if (r < 0) {
        snprintf(ret_message, VERDICT_TEXT_MAX, "the trust bundle is malformed");
        return r;
    }
    if (sk_X509_num(trust->anchors) == 0) {
        snprintf(ret_message, VERDICT_TEXT_MAX, "there is no trust anchor");
        return -EINVAL;
    }
    if (!trust->signer_name) {
        snprintf(ret_message, VERDICT_TEXT_MAX, "the signer's name is not given");
        return -EINVAL;
    }
    return 0;
}

int verify_trust_new(struct bytes bundle, char *ret_message, struct verify_trust **ret_trust)
{
    struct verify_trust *trust = calloc(1, sizeof *trust);
    int r;

    snprintf(ret_message, VERDICT_TEXT_MAX, "memory is short");
    if (!trust)
        return -ENOMEM;
    trust->anchors = sk_X509_new_null();
    trust->crls = sk_X509_CRL_new_null();
    trust->policies = sk_ASN1_OBJECT_new_null();
    r = trust->anchors && trust->crls && trust->policies
            ? sha256(bundle.data, bundle.size, trust->generation)
            : -ENOMEM;
    if (r == 0)
        r = read_bundle(trust, bundle, ret_message);
    if (r == 0)
        r = path_store_prepare(trust);
    if (r == 0)
        r = anchor_check_all(trust, ret_message);
    if (r < 0) {
        verify_trust_free(trust);
        return r;
    }
    *ret_trust = trust;
    return 0;
}

int verify_trust_set_crls(struct verify_trust *trust, struct bytes bundle, char *ret_message)
{
    STACK_OF(X509_CRL) *before = trust->crls;
    struct trust_item item;
    size_t offset = 0;
    int r = sha256(bundle.data, bundle.size, trust->crl_generation);

    trust->crls = sk_X509_CRL_new_null();
    if (!trust->crls)
        r = -ENOMEM;
    snprintf(ret_message, VERDICT_TEXT_MAX, "the bundle of revocation lists is malformed");
    int more = 1;
    while (r == 0 && (more = trust_bundle_next(bundle, &offset, &item)) > 0)
        r = item.kind == TRUST_CRL ? add_item(trust, &item, ret_message) : -EBADMSG;
    if (r == 0 && more < 0)
        r = more;
    sk_X509_CRL_pop_free(before, X509_CRL_free);
    return r < 0 ? r : path_store_renew(trust);
}

struct verify_trust *verify_trust_free(struct verify_trust *trust)
{
    if (!trust)
        return NULL;
    path_store_done(trust);
    sk_X509_pop_free(trust->anchors, X509_free);
    sk_X509_CRL_pop_free(trust->crls, X509_CRL_free);
    sk_ASN1_OBJECT_pop_free(trust->policies, ASN1_OBJECT_free);
    X509_NAME_free(trust->signer_name);
    for (size_t i = 0; i < trust->schema_count; i++)
        free((void *)(uintptr_t)trust->schemas[i].content.data);
    free(trust->schemas);
    if (trust->schema_cache)
        trust->free_schema_cache(trust->schema_cache);
    free(trust);
    return NULL;
}
