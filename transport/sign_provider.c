/*
 * OpenSSL's signature functions (provider-signature(7)) over the channel to kosekifs-keys, and the
 * provider around them. DigestSign is the only operation, so that the other side sees the content
 * to be signed and not a bare digest; TLS signs each CertificateVerify in one such call, in 1.2
 * over all handshake messages so far.
 */
#include "transport/sign_provider.h"

#include "transport/sign_key.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char provider_name[] = "kosekifs-sign";
static const char provider_query[] = "provider=kosekifs-sign";

struct signing {
    struct sign_key *key;
    bool pss;
    unsigned digest_bits;
};

static void *signing_new(void *provider, const char *query)
{
    (void)provider;
    (void)query;
    return calloc(1, sizeof(struct signing));
}

static void signing_free(void *data)
{
    struct signing *signing = data;
    if (signing)
        sign_key_unref(signing->key);
    free(signing);
}

static unsigned digest_bits(const char *name)
{
    if (strcasecmp(name, "SHA256") == 0 || strcasecmp(name, "SHA2-256") == 0)
        return 256;
    if (strcasecmp(name, "SHA384") == 0 || strcasecmp(name, "SHA2-384") == 0)
        return 384;
    if (strcasecmp(name, "SHA512") == 0 || strcasecmp(name, "SHA2-512") == 0)
        return 512;
    return 0;
}

/* The parameter comes as a name or as OpenSSL's old number. */
static bool padding_is_pss(const OSSL_PARAM *param)
{
    int mode = 0;
    if (param->data_type == OSSL_PARAM_UTF8_STRING)
        return param->data && strcmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
    return OSSL_PARAM_get_int(param, &mode) && mode == RSA_PKCS1_PSS_PADDING;
}

/* The salt of TLS 1.3 is as long as the digest (RFC 8446 4.2.3), and so signs kosekifs-keys. */
static bool salt_is_digest(const OSSL_PARAM *param, unsigned bits)
{
    int size = 0;
    if (param->data_type == OSSL_PARAM_UTF8_STRING)
        return param->data && strcmp(param->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
    return OSSL_PARAM_get_int(param, &size) &&
           (size == RSA_PSS_SALTLEN_DIGEST || size == (int)bits / 8);
}

static bool digest_is(const OSSL_PARAM *param, unsigned bits)
{
    return param->data_type == OSSL_PARAM_UTF8_STRING && param->data &&
           digest_bits(param->data) == bits;
}

static int signing_set_params(void *data, const OSSL_PARAM params[])
{
    struct signing *signing = data;
    const OSSL_PARAM *param;
    if (!params)
        return 1;
    if ((param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE)))
        signing->pss = padding_is_pss(param);
    if ((param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN)) &&
        !salt_is_digest(param, signing->digest_bits))
        return 0;
    if ((param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST)) &&
        !digest_is(param, signing->digest_bits))
        return 0;
    if ((param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST)) &&
        !digest_is(param, signing->digest_bits))
        return 0;
    return 1;
}

static const OSSL_PARAM *signing_settable_params(void *data, void *provider)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)data;
    (void)provider;
    return settable;
}

static int signing_begin(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
    struct signing *signing = data;
    unsigned bits = digest_bits(digest ? digest : "SHA256");
    if (bits == 0)
        return 0;
    if (key) {
        sign_key_unref(signing->key);
        signing->key = sign_key_ref(key);
    }
    signing->pss = false;
    signing->digest_bits = bits;
    return signing->key != NULL && signing_set_params(signing, params);
}

static uint32_t signing_scheme(const struct signing *signing)
{
    static const struct {
        unsigned digest_bits;
        uint32_t ecdsa, pss, pkcs1;
    } schemes[] = {
        {256, SIGN_ECDSA_SECP256R1_SHA256, SIGN_RSA_PSS_RSAE_SHA256, SIGN_RSA_PKCS1_SHA256},
        {384, SIGN_ECDSA_SHA384, SIGN_RSA_PSS_RSAE_SHA384, SIGN_RSA_PKCS1_SHA384},
        {512, SIGN_ECDSA_SHA512, SIGN_RSA_PSS_RSAE_SHA512, SIGN_RSA_PKCS1_SHA512},
    };
    unsigned i = signing->digest_bits == 256 ? 0 : signing->digest_bits == 384 ? 1 : 2;
    return signing->key->ec ? schemes[i].ecdsa : signing->pss ? schemes[i].pss : schemes[i].pkcs1;
}

static int signing_sign(void *data, unsigned char *signature, size_t *size, size_t max,
                        const unsigned char *content, size_t content_size)
{
    struct signing *signing = data;
    if (!signature) {
        *size = sign_key_signature_max(signing->key);
        return 1;
    }
    uint32_t scheme = signing_scheme(signing);
    if (!signing->key->channel)
        return 0;
    return sign_channel_sign(signing->key->channel, (enum sign_scheme)scheme,
                             bytes_of(content, content_size), signature, max, size) == 0;
}

#define FUNCTION(name) ((void (*)(void))(name))

static const OSSL_DISPATCH signing_functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, FUNCTION(signing_new)},
    {OSSL_FUNC_SIGNATURE_FREECTX, FUNCTION(signing_free)},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, FUNCTION(signing_begin)},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, FUNCTION(signing_sign)},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, FUNCTION(signing_set_params)},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, FUNCTION(signing_settable_params)},
    {0, NULL},
};

static const OSSL_ALGORITHM *provider_query_operation(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM keys[] = {
        {"RSA:rsaEncryption", provider_query, sign_key_rsa_functions, NULL},
        {"EC:id-ecPublicKey", provider_query, sign_key_ec_functions, NULL},
        {NULL, NULL, NULL, NULL},
    };
    static const OSSL_ALGORITHM signatures[] = {
        {"RSA:rsaEncryption", provider_query, signing_functions, NULL},
        {"ECDSA", provider_query, signing_functions, NULL},
        {NULL, NULL, NULL, NULL},
    };
    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT)
        return keys;
    return operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, FUNCTION(provider_query_operation)},
        {0, NULL},
    };
    (void)in;
    *out = functions;
    memcpy(context, &handle, sizeof handle);
    return 1;
}

/* Everything but our own key must come from OpenSSL's default provider, hence the preference. */
int sign_provider_load(struct sign_provider *ret_provider)
{
    struct sign_provider provider = {.base = OSSL_PROVIDER_load(NULL, "default")};
    if (provider.base && OSSL_PROVIDER_add_builtin(NULL, provider_name, provider_init) == 1)
        provider.sign = OSSL_PROVIDER_load(NULL, provider_name);
    if (!provider.sign || EVP_set_default_properties(NULL, "?provider=default") != 1) {
        sign_provider_unload(&provider);
        return -EIO;
    }
    *ret_provider = provider;
    return 0;
}

void sign_provider_unload(struct sign_provider *provider)
{
    if (provider->sign)
        OSSL_PROVIDER_unload(provider->sign);
    if (provider->base)
        OSSL_PROVIDER_unload(provider->base);
    *provider = (struct sign_provider){0};
}

static void cleanup_params(OSSL_PARAM **slot)
{
    OSSL_PARAM_free(*slot);
}

static void cleanup_pkey_context(EVP_PKEY_CTX **slot)
{
    EVP_PKEY_CTX_free(*slot);
}

int sign_provider_key(struct sign_channel *channel, EVP_PKEY *public_key, EVP_PKEY **ret_key)
{
    const char *kind = EVP_PKEY_is_a(public_key, "RSA")  ? "RSA"
                       : EVP_PKEY_is_a(public_key, "EC") ? "EC"
                                                         : NULL;
    if (!kind || EVP_PKEY_get_size(public_key) > SIGN_SIGNATURE_MAX)
        return -ENOTSUP;

    _cleanup_(cleanup_params) OSSL_PARAM *public_params = NULL;
    if (EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &public_params) != 1)
        return -ENOTSUP;
    void *pointer = channel;
    OSSL_PARAM own[2] = {
        OSSL_PARAM_construct_octet_ptr(SIGN_KEY_PARAM_CHANNEL, &pointer, sizeof *channel),
        OSSL_PARAM_construct_end(),
    };
    _cleanup_(cleanup_params) OSSL_PARAM *merged = OSSL_PARAM_merge(public_params, own);
    if (!merged)
        return -ENOMEM;

    EVP_PKEY *key = NULL;
    _cleanup_(cleanup_pkey_context) EVP_PKEY_CTX *context =
        EVP_PKEY_CTX_new_from_name(NULL, kind, provider_query);
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, merged) != 1)
        return -ENOTSUP;
    *ret_key = key;
    return 0;
}
