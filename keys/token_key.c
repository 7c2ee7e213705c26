/* Objects of a token and what they do; see keys/token.h. */
#include "keys/token_private.h"

#include "base/log.h"

#include <string.h>

/* Attributes of a key object that we look at. */
struct traits {
    CK_KEY_TYPE type;
    CK_ULONG value_size;
    CK_BBOOL extractable, always_authenticate, use, other_use;
};

static bool get(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *out,
                size_t size)
{
    CK_ATTRIBUTE attribute = {type, out, size};
    return token->functions->C_GetAttributeValue(token->session, object, &attribute, 1) == CKR_OK &&
           attribute.ulValueLen == size;
}

/* 0, -ENOENT, -ENOTUNIQ, or another negative errno. */
static int find_object(struct token_key *key, CK_OBJECT_HANDLE *ret_handle)
{
    struct token *token = key->token;
    CK_ATTRIBUTE wanted[8];
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG count = 0, found = 0, given = 0;
    CK_OBJECT_HANDLE handles[2];
    CK_ATTRIBUTE *named = p11_kit_uri_get_attributes(key->uri, &given);
    for (CK_ULONG i = 0; i < given && count < 6; i++)
        if (named[i].type == CKA_LABEL || named[i].type == CKA_ID)
            wanted[count++] = named[i];
    wanted[count++] = (CK_ATTRIBUTE){CKA_CLASS, &key->class, sizeof key->class};
    wanted[count++] = (CK_ATTRIBUTE){CKA_TOKEN, &yes, sizeof yes};
    CK_RV rv = token->functions->C_FindObjectsInit(token->session, wanted, count);
    if (rv != CKR_OK)
        return token_session_is_lost(token, rv) ? -ENODEV : -EIO;
    rv = token->functions->C_FindObjects(token->session, handles, 2, &found);
    token->functions->C_FindObjectsFinal(token->session);
    if (rv != CKR_OK)
        return token_session_is_lost(token, rv) ? -ENODEV : -EIO;
    if (found != 1)
        return found == 0 ? -ENOENT : -ENOTUNIQ;
    *ret_handle = handles[0];
    return 0;
}

static const char *check_uri(P11KitUri *uri, CK_OBJECT_CLASS class)
{
    CK_ATTRIBUTE *type = p11_kit_uri_get_attribute(uri, CKA_CLASS);
    if (p11_kit_uri_get_pin_value(uri) || p11_kit_uri_get_pin_source(uri))
        return "names a PIN, which belongs into [keys] pin";
    if (p11_kit_uri_get_module_path(uri) || p11_kit_uri_get_module_name(uri))
        return "names a module, which belongs into [keys] pkcs11_module";
    if (p11_kit_uri_any_unrecognized(uri))
        return "has a part that is not understood";
    if (!p11_kit_uri_get_attribute(uri, CKA_LABEL) && !p11_kit_uri_get_attribute(uri, CKA_ID))
        return "names neither object= nor id=";
    if (type && (type->ulValueLen != sizeof class || memcmp(type->pValue, &class, sizeof class)))
        return class == CKO_PRIVATE_KEY ? "has a type= that is not private"
                                        : "has a type= that is not secret-key";
    return NULL;
}

static int add_key(struct token *token, const char *uri_text, CK_OBJECT_CLASS class,
                   char *ret_message, struct token_key **ret_key)
{
    struct token_key *key = &token->keys[token->key_count];
    if (token->key_count == TOKEN_KEY_MAX) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "[keys] too many keys on the token");
        return -EINVAL;
    }
    *key = (struct token_key){
        .token = token, .uri = p11_kit_uri_new(), .uri_text = uri_text, .class = class};
    int code = key->uri ? p11_kit_uri_parse(uri_text, P11_KIT_URI_FOR_ANY, key->uri)
                        : P11_KIT_URI_UNEXPECTED;
    const char *wrong = code == P11_KIT_URI_OK ? check_uri(key->uri, class) : "cannot be parsed";
    if (wrong) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "[keys] %.120s %s", uri_text, wrong);
        p11_kit_uri_free(key->uri);
        return -EINVAL;
    }
    token->key_count++;
    *ret_key = key;
    return 0;
}

/* A second URI may name the token in other words, but not another one. */
static int check_token(struct token_key *key, char *ret_message)
{
    CK_SESSION_INFO session;
    CK_TOKEN_INFO info;
    struct token *token = key->token;
    if (token->functions->C_GetSessionInfo(token->session, &session) == CKR_OK &&
        token->functions->C_GetTokenInfo(session.slotID, &info) == CKR_OK &&
        p11_kit_uri_match_token_info(key->uri, &info))
        return 0;
    snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
             "[keys] %.120s is on another token than the keys before it; one token is served",
             key->uri_text);
    return -EINVAL;
}

static int find_key(struct token *token, const char *uri_text, CK_OBJECT_CLASS class,
                    char *ret_message, struct token_key **ret_key)
{
    struct token_key *key;
    int r = add_key(token, uri_text, class, ret_message, &key);
    if (r < 0)
        return r;
    r = token_connect(token, key->uri);
    if (r != 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "%s", token->message);
        return r;
    }
    r = check_token(key, ret_message);
    if (r < 0)
        return r;
    r = find_object(key, &key->handle);
    if (r < 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "[keys] %.120s: %s", uri_text,
                 r == -ENOENT     ? "there is no such key on the token"
                 : r == -ENOTUNIQ ? "several keys fit; name its id="
                                  : strerror(-r));
        return r;
    }
    key->found_in = token->generation;
    *ret_key = key;
    return 0;
}

/* What must hold of a key besides its kind. */
static int check_traits(const struct token_key *key, const struct traits *traits, char *ret_message)
{
    const char *wrong = NULL;
    if (!traits->use || !traits->other_use)
        wrong = key->class == CKO_PRIVATE_KEY
                    ? "may not sign (CKA_SIGN)"
                    : "may not encrypt and decrypt (CKA_ENCRYPT, CKA_DECRYPT)";
    else if (traits->always_authenticate)
        wrong = "wants the PIN for each use (CKA_ALWAYS_AUTHENTICATE), which is not supported";
    if (traits->extractable)
        log_warning("%.120s can be taken out of the token (CKA_EXTRACTABLE)", key->uri_text);
    if (!wrong)
        return 0;
    snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "[keys] %.120s %s", key->uri_text, wrong);
    return -EINVAL;
}

int token_find_private(struct token *token, const char *uri, char *ret_message,
                       struct token_key **ret_key)
{
    struct token_key *key;
    struct traits traits = {.other_use = CK_TRUE};
    int r = find_key(token, uri, CKO_PRIVATE_KEY, ret_message, &key);
    if (r != 0)
        return r;
    (void)get(token, key->handle, CKA_SIGN, &traits.use, sizeof traits.use);
    (void)get(token, key->handle, CKA_EXTRACTABLE, &traits.extractable, sizeof traits.extractable);
    (void)get(token, key->handle, CKA_ALWAYS_AUTHENTICATE, &traits.always_authenticate,
              sizeof traits.always_authenticate);
    r = check_traits(key, &traits, ret_message);
    if (r == 0)
        *ret_key = key;
    return r;
}

int token_find_secret(struct token *token, const char *uri, char *ret_message,
                      struct token_key **ret_key)
{
    struct token_key *key;
    struct traits traits = {0};
    int r = find_key(token, uri, CKO_SECRET_KEY, ret_message, &key);
    if (r != 0)
        return r;
    if (!get(token, key->handle, CKA_KEY_TYPE, &traits.type, sizeof traits.type) ||
        traits.type != CKK_AES ||
        !get(token, key->handle, CKA_VALUE_LEN, &traits.value_size, sizeof traits.value_size) ||
        traits.value_size != AEAD_KEY_SIZE) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "[keys] %.120s is no AES key of 256 bits (pkcs11-tool --keygen --key-type AES:32)",
                 uri);
        return -EINVAL;
    }
    (void)get(token, key->handle, CKA_ENCRYPT, &traits.use, sizeof traits.use);
    (void)get(token, key->handle, CKA_DECRYPT, &traits.other_use, sizeof traits.other_use);
    (void)get(token, key->handle, CKA_EXTRACTABLE, &traits.extractable, sizeof traits.extractable);
    r = check_traits(key, &traits, ret_message);
    if (r == 0)
        *ret_key = key;
    return r;
}

enum operation_kind { SIGN, ENCRYPT, DECRYPT };

/* One operation with one input and one output. */
struct operation {
    enum operation_kind kind;
    CK_MECHANISM *mechanism;
    CK_BYTE *in;
    CK_ULONG in_size;
    CK_BYTE *out;
    CK_ULONG out_size; /* room, then what came */
};

static CK_RV perform(struct token_key *key, struct operation *operation)
{
    struct token *token = key->token;
    const CK_FUNCTION_LIST *call = token->functions;
    CK_SESSION_HANDLE session = token->session;
    CK_RV rv;
    switch (operation->kind) {
    case SIGN:
        rv = call->C_SignInit(session, operation->mechanism, key->handle);
        return rv != CKR_OK ? rv
                            : call->C_Sign(session, operation->in, operation->in_size,
                                           operation->out, &operation->out_size);
    case ENCRYPT:
        rv = call->C_EncryptInit(session, operation->mechanism, key->handle);
        return rv != CKR_OK ? rv
                            : call->C_Encrypt(session, operation->in, operation->in_size,
                                              operation->out, &operation->out_size);
    default:
        rv = call->C_DecryptInit(session, operation->mechanism, key->handle);
        return rv != CKR_OK ? rv
                            : call->C_Decrypt(session, operation->in, operation->in_size,
                                              operation->out, &operation->out_size);
    }
}

/* Session and handle as they must be for the operation. */
static int prepare(struct token_key *key)
{
    struct token *token = key->token;
    int r = token_connect(token, key->uri);
    if (r == TOKEN_PIN_REFUSED)
        return -EACCES;
    if (r < 0)
        return r == -EACCES ? r : -ENODEV;
    if (key->found_in == token->generation)
        return 0;
    r = find_object(key, &key->handle);
    if (r == 0)
        key->found_in = token->generation;
    return r < 0 ? -ENODEV : 0;
}

/* Once more if the session was lost under it. */
static int operate(struct token_key *key, const struct operation *operation,
                   struct operation *ret_done)
{
    for (unsigned attempt = 0;; attempt++) {
        *ret_done = *operation;
        int r = prepare(key);
        if (r < 0)
            return r;
        CK_RV rv = perform(key, ret_done);
        if (rv == CKR_OK)
            return 0;
        if (!token_session_is_lost(key->token, rv)) {
            log_debug("token: %s", token_error_text(rv));
            return operation->kind == DECRYPT ? -EBADMSG : -EIO;
        }
        log_warning("the token's session was lost: %s", token_error_text(rv));
        token_disconnect(key->token);
        if (attempt > 0)
            return -ENODEV;
    }
}

/* DER of DigestInfo up to the digest (RFC 8017 9.2, note 1). */
static size_t digest_info_head(size_t digest_size, uint8_t out[19])
{
    static const uint8_t head[19] = {0x30, 0,    0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0,    0x05, 0x00, 0x04, 0};
    memcpy(out, head, sizeof head);
    out[1] = (uint8_t)(17 + digest_size);
    out[14] = digest_size == 32 ? 1 : digest_size == 48 ? 2 : 3;
    out[18] = (uint8_t)digest_size;
    return sizeof head;
}

int token_sign(struct token_key *key, enum token_scheme scheme, const char *digest_name,
               const uint8_t *digest, size_t digest_size, uint8_t *ret_signature,
               size_t signature_max, size_t *ret_size)
{
    bool sha256 = strcmp(digest_name, "SHA256") == 0, sha384 = strcmp(digest_name, "SHA384") == 0;
    CK_RSA_PKCS_PSS_PARAMS pss = {
        .hashAlg = sha256   ? CKM_SHA256
                   : sha384 ? CKM_SHA384
                            : CKM_SHA512,
        .mgf = sha256   ? CKG_MGF1_SHA256
               : sha384 ? CKG_MGF1_SHA384
                        : CKG_MGF1_SHA512,
        .sLen = digest_size, /* RFC 8446 4.2.3 */
    };
    CK_MECHANISM mechanism = {.mechanism = scheme == TOKEN_RSA_PSS     ? CKM_RSA_PKCS_PSS
                                           : scheme == TOKEN_RSA_PKCS1 ? CKM_RSA_PKCS
                                                                       : CKM_ECDSA,
                              .pParameter = scheme == TOKEN_RSA_PSS ? &pss : NULL,
                              .ulParameterLen = scheme == TOKEN_RSA_PSS ? sizeof pss : 0};
    uint8_t in[19 + 64];
    size_t head = scheme == TOKEN_RSA_PKCS1 ? digest_info_head(digest_size, in) : 0;
    if (digest_size > sizeof in - head)
        return -EINVAL;
    memcpy(in + head, digest, digest_size);
    struct operation done, operation = {.kind = SIGN,
                                        .mechanism = &mechanism,
                                        .in = in,
                                        .in_size = head + digest_size,
                                        .out = ret_signature,
                                        .out_size = signature_max};
    int r = operate(key, &operation, &done);
    if (r == 0 && (done.out_size == 0 || done.out_size > signature_max))
        r = -EIO;
    if (r == 0)
        *ret_size = done.out_size;
    return r;
}

/* Encrypts or decrypts; the token must give exactly `out_size` bytes. */
static int gcm(struct token_key *key, enum operation_kind kind, const uint8_t *nonce,
               const void *aad, size_t aad_size, const void *in, size_t in_size, uint8_t *out,
               size_t out_size)
{
    uint8_t iv[AEAD_NONCE_SIZE], aad_copy[128], input[AEAD_KEY_SIZE + AEAD_TAG_SIZE];
    uint8_t output[sizeof input];
    if (aad_size > sizeof aad_copy || in_size > sizeof input || out_size > sizeof output)
        return -EINVAL;
    memcpy(iv, nonce, sizeof iv); /* modules take pointers that are not const */
    memcpy(aad_copy, aad, aad_size);
    memcpy(input, in, in_size);
    CK_GCM_PARAMS parameters = {.iv_ptr = iv,
                                .iv_len = sizeof iv,
                                .iv_bits = 8 * sizeof iv,
                                .aad_ptr = aad_copy,
                                .aad_len = aad_size,
                                .tag_bits = 8 * AEAD_TAG_SIZE};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &parameters, sizeof parameters};
    struct operation done, operation = {.kind = kind,
                                        .mechanism = &mechanism,
                                        .in = input,
                                        .in_size = in_size,
                                        .out = output,
                                        .out_size = sizeof output};
    int r = operate(key, &operation, &done);
    /* A token that uses nonces of its own would write them here. */
    if (r == 0 && (done.out_size != out_size || memcmp(iv, nonce, sizeof iv) != 0))
        r = -EIO;
    if (r == 0)
        memcpy(out, output, out_size);
    wipe(input, sizeof input);
    wipe(output, sizeof output);
    return r;
}

int token_seal(struct token_key *key, const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad,
               size_t aad_size, const void *plain, size_t size, uint8_t *out)
{
    return gcm(key, ENCRYPT, nonce, aad, aad_size, plain, size, out, size + AEAD_TAG_SIZE);
}

int token_unseal(struct token_key *key, const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad,
                 size_t aad_size, const uint8_t *sealed, size_t size, uint8_t *out)
{
    return gcm(key, DECRYPT, nonce, aad, aad_size, sealed, size + AEAD_TAG_SIZE, out, size);
}
