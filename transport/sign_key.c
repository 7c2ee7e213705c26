/*
 * OpenSSL's key management functions (provider-keymgmt(7)) for a key whose private part is
 * elsewhere. It says it has a private key, or TLS would not use it; it exports only public parts,
 * so that no other provider can be made to sign with an incomplete copy.
 */
#include "transport/sign_key.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

struct sign_key *sign_key_ref(struct sign_key *key)
{
    key->references++;
    return key;
}

struct sign_key *sign_key_unref(struct sign_key *key)
{
    if (key && --key->references == 0)
        free(key);
    return NULL;
}

size_t sign_key_signature_max(const struct sign_key *key)
{
    return key->ec ? SIGN_ECDSA_MAX : key->modulus_size;
}

static struct sign_key *key_new(bool ec)
{
    struct sign_key *key = calloc(1, sizeof *key);
    if (!key)
        return NULL;
    key->references = 1;
    key->ec = ec;
    return key;
}

static void *key_new_rsa(void *provider)
{
    (void)provider;
    return key_new(false);
}

static void *key_new_ec(void *provider)
{
    (void)provider;
    return key_new(true);
}

static void key_free(void *key)
{
    sign_key_unref(key);
}

static int key_has(const void *key, int selection)
{
    (void)key;
    (void)selection;
    return 1;
}

static int key_copy_param(const OSSL_PARAM params[], const char *name, uint8_t *out, size_t max,
                          size_t *ret_size)
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, name);
    if (!param || !param->data || param->data_size == 0 || param->data_size > max)
        return 0;
    memcpy(out, param->data, param->data_size);
    *ret_size = param->data_size;
    return 1;
}

static int key_import_group(const OSSL_PARAM params[])
{
    char group[32] = {0};
    char *out = group;
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
    if (!param || !OSSL_PARAM_get_utf8_string(param, &out, sizeof group))
        return 0;
    return strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0;
}

/* Called for our own key, with the channel, and for certificates that are compared with it. */
static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
    struct sign_key *key = data;
    (void)selection;
    const OSSL_PARAM *channel = OSSL_PARAM_locate_const(params, SIGN_KEY_PARAM_CHANNEL);
    if (channel) {
        const void *pointer = NULL;
        size_t size = 0;
        if (!OSSL_PARAM_get_octet_ptr(channel, &pointer, &size) || size != sizeof *key->channel)
            return 0;
        memcpy(&key->channel, &pointer, sizeof pointer); /* the parameter is const only in form */
    }
    if (key->ec)
        return key_import_group(params) &&
               key_copy_param(params, OSSL_PKEY_PARAM_PUB_KEY, key->point, sizeof key->point,
                              &key->point_size);
    return key_copy_param(params, OSSL_PKEY_PARAM_RSA_N, key->modulus, sizeof key->modulus,
                          &key->modulus_size) &&
           key_copy_param(params, OSSL_PKEY_PARAM_RSA_E, key->exponent, sizeof key->exponent,
                          &key->exponent_size);
}

static const OSSL_PARAM *key_import_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_ptr(SIGN_KEY_PARAM_CHANNEL, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)selection;
    return types;
}

static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *argument)
{
    struct sign_key *key = data;
    if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
        return 0;
    char group[] = "prime256v1";
    OSSL_PARAM params[3] = {OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END};
    if (key->ec) {
        params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
        params[1] =
            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, key->point, key->point_size);
    } else {
        params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, key->modulus, key->modulus_size);
        params[1] =
            OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, key->exponent, key->exponent_size);
    }
    return callback(params, argument);
}

static int key_match(const void *data_a, const void *data_b, int selection)
{
    const struct sign_key *a = data_a;
    const struct sign_key *b = data_b;
    (void)selection;
    return a->ec == b->ec && a->modulus_size == b->modulus_size &&
           a->exponent_size == b->exponent_size && a->point_size == b->point_size &&
           memcmp(a->modulus, b->modulus, a->modulus_size) == 0 &&
           memcmp(a->exponent, b->exponent, a->exponent_size) == 0 &&
           memcmp(a->point, b->point, a->point_size) == 0;
}

static int key_set_int(OSSL_PARAM params[], const char *name, int value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return !param || OSSL_PARAM_set_int(param, value);
}

static int key_set_text(OSSL_PARAM params[], const char *name, const char *value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return !param || OSSL_PARAM_set_utf8_string(param, value);
}

/* Security strength of NIST SP 800-57 part 1, table 2. */
static int key_security_bits(const struct sign_key *key)
{
    if (key->ec || key->modulus_size >= 3072 / 8)
        return 128;
    return 112;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
    const struct sign_key *key = data;
    int bits = key->ec ? 256 : (int)key->modulus_size * 8;
    return key_set_int(params, OSSL_PKEY_PARAM_BITS, bits) &&
           key_set_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, key_security_bits(key)) &&
           key_set_int(params, OSSL_PKEY_PARAM_MAX_SIZE, (int)sign_key_signature_max(key)) &&
           key_set_text(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST, "SHA256") &&
           (!key->ec || key_set_text(params, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1"));
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)provider;
    return gettable;
}

static const char *key_operation_rsa(int operation)
{
    (void)operation;
    return "RSA";
}

static const char *key_operation_ec(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

/* OpenSSL's tables hold functions of all types in one. */
#define FUNCTION(name) ((void (*)(void))(name))

#define KEY_FUNCTIONS(new_function, operation_function)                                            \
    {OSSL_FUNC_KEYMGMT_NEW, FUNCTION(new_function)}, {OSSL_FUNC_KEYMGMT_FREE, FUNCTION(key_free)}, \
        {OSSL_FUNC_KEYMGMT_HAS, FUNCTION(key_has)},                                                \
        {OSSL_FUNC_KEYMGMT_IMPORT, FUNCTION(key_import)},                                          \
        {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, FUNCTION(key_import_types)},                              \
        {OSSL_FUNC_KEYMGMT_EXPORT, FUNCTION(key_export)},                                          \
        {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, FUNCTION(key_import_types)},                              \
        {OSSL_FUNC_KEYMGMT_MATCH, FUNCTION(key_match)},                                            \
        {OSSL_FUNC_KEYMGMT_GET_PARAMS, FUNCTION(key_get_params)},                                  \
        {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, FUNCTION(key_gettable_params)},                        \
        {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, FUNCTION(operation_function)},                    \
    {                                                                                              \
        0, NULL                                                                                    \
    }

const OSSL_DISPATCH sign_key_rsa_functions[] = {KEY_FUNCTIONS(key_new_rsa, key_operation_rsa)};
const OSSL_DISPATCH sign_key_ec_functions[] = {KEY_FUNCTIONS(key_new_ec, key_operation_ec)};
