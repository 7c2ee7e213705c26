/*
 * The salt of RSA-PSS is as long as the digest (RFC 8446 4.2.3). A token gets the digest, made
 * here from content that was looked at here.
 */
#include "keys/tls_signer.h"

#include "keys/handshake.h"
#include "keys/handshake12.h"
#include "keys/tls_key_file.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <string.h>

enum {
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = SIGN_SIGNATURE_MAX * 8,
    P256_SIZE = 32, /* of r and of s */
};

struct tls_signer {
    const struct client_certificate *certificate;
    EVP_PKEY *key;               /* private; NULL with a token */
    struct token_key *token_key; /* NULL with a file */
    bool rsa;
};

/* What a code point stands for. */
struct scheme {
    uint32_t code;
    bool rsa, pkcs1, tls12_only;
    const char *digest;
};

static const struct scheme schemes[] = {
    {SIGN_RSA_PSS_RSAE_SHA256, true, false, false, "SHA256"},
    {SIGN_RSA_PSS_RSAE_SHA384, true, false, false, "SHA384"},
    {SIGN_RSA_PSS_RSAE_SHA512, true, false, false, "SHA512"},
    {SIGN_ECDSA_SECP256R1_SHA256, false, false, false, "SHA256"},
    {SIGN_RSA_PKCS1_SHA256, true, true, true, "SHA256"},
    {SIGN_RSA_PKCS1_SHA384, true, true, true, "SHA384"},
    {SIGN_RSA_PKCS1_SHA512, true, true, true, "SHA512"},
    {SIGN_ECDSA_SHA384, false, false, true, "SHA384"},
    {SIGN_ECDSA_SHA512, false, false, true, "SHA512"},
};

static void cleanup_signer(struct tls_signer **slot)
{
    tls_signer_free(*slot);
}

static void cleanup_md_context(EVP_MD_CTX **slot)
{
    EVP_MD_CTX_free(*slot);
}

static void cleanup_ecdsa(ECDSA_SIG **slot)
{
    ECDSA_SIG_free(*slot);
}

static const struct scheme *find_scheme(const struct tls_signer *signer, uint32_t code, bool tls12)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (schemes[i].code == code && schemes[i].rsa == signer->rsa &&
            (tls12 || !schemes[i].tls12_only))
            return &schemes[i];
    return NULL;
}

static bool set_padding(const struct scheme *scheme, EVP_PKEY_CTX *context)
{
    if (!scheme->rsa)
        return true;
    if (scheme->pkcs1)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static int sign_here(const struct tls_signer *signer, const struct scheme *scheme,
                     struct bytes content, uint8_t ret_signature[SIGN_SIGNATURE_MAX],
                     size_t *ret_size)
{
    _cleanup_(cleanup_md_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL; /* belongs to `context` */
    size_t size = SIGN_SIGNATURE_MAX;
    if (!context ||
        EVP_DigestSignInit_ex(context, &key_context, scheme->digest, NULL, NULL, signer->key,
                              NULL) != 1 ||
        !set_padding(scheme, key_context) ||
        EVP_DigestSign(context, ret_signature, &size, content.data, content.size) != 1) {
        ERR_clear_error();
        return -EIO;
    }
    *ret_size = size;
    return 0;
}

/* r ‖ s, as tokens give it, to the DER that TLS wants. */
static int encode_ecdsa(const uint8_t *raw, uint8_t *ret_der, size_t *ret_size)
{
    _cleanup_(cleanup_ecdsa) ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, P256_SIZE, NULL), *s = BN_bin2bn(raw + P256_SIZE, P256_SIZE, NULL);
    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return -ENOMEM;
    }
    int size = i2d_ECDSA_SIG(signature, &ret_der);
    if (size <= 0)
        return -ENOMEM;
    *ret_size = (size_t)size;
    return 0;
}

static int sign_on_token(const struct tls_signer *signer, const struct scheme *scheme,
                         struct bytes content, uint8_t ret_signature[SIGN_SIGNATURE_MAX],
                         size_t *ret_size)
{
    uint8_t digest[EVP_MAX_MD_SIZE], raw[2 * P256_SIZE];
    size_t digest_size = 0;
    if (EVP_Q_digest(NULL, scheme->digest, NULL, content.data, content.size, digest,
                     &digest_size) != 1)
        return -EIO;
    if (scheme->rsa)
        return token_sign(signer->token_key, scheme->pkcs1 ? TOKEN_RSA_PKCS1 : TOKEN_RSA_PSS,
                          scheme->digest, digest, digest_size, ret_signature, SIGN_SIGNATURE_MAX,
                          ret_size);
    /* ECDSA takes the leftmost bits of a digest (FIPS 186-4 6.4); not every token does. */
    if (digest_size > P256_SIZE)
        digest_size = P256_SIZE;
    size_t size = 0;
    int r = token_sign(signer->token_key, TOKEN_ECDSA, scheme->digest, digest, digest_size, raw,
                       sizeof raw, &size);
    if (r == 0)
        r = size == sizeof raw ? encode_ecdsa(raw, ret_signature, ret_size) : -EIO;
    return r;
}

static int sign_content(const struct tls_signer *signer, const struct scheme *scheme,
                        struct bytes content, struct sign_reply *ret_reply)
{
    size_t size = 0;
    uint8_t signature[SIGN_SIGNATURE_MAX];
    int r = signer->token_key ? sign_on_token(signer, scheme, content, signature, &size)
                              : sign_here(signer, scheme, content, signature, &size);
    if (r < 0)
        return r;
    memcpy(ret_reply->signature, signature, size);
    ret_reply->signature_size = (uint32_t)size;
    return 0;
}

static int check_kind(struct tls_signer *signer, const EVP_PKEY *key, char *ret_message)
{
    int bits = EVP_PKEY_get_bits(key);
    char group[32] = "";
    signer->rsa = EVP_PKEY_is_a(key, "RSA") == 1;
    if (signer->rsa && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)
        return 0;
    if (!signer->rsa && EVP_PKEY_is_a(key, "EC") == 1 &&
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
        strcmp(group, "prime256v1") == 0)
        return 0;
    const char *name = EVP_PKEY_get0_type_name(key);
    snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
             "TLS key: %s key of %d bits%s%s; RSA of %d to %d bits or EC P-256 is needed",
             name ? name : "unknown", bits, group[0] ? ", group " : "", group, RSA_BITS_MIN,
             RSA_BITS_MAX);
    return -EINVAL;
}

/* With the private key's own public half, or with the certificate's. Of a file, the two halves may
 * come from different keys; RFC 8446 has no word for that. It also runs lazy initialisation before
 * the process is locked in. */
static int try_key(const struct tls_signer *signer, EVP_PKEY *public_key)
{
    static const char content[] = "kosekifs trial signature";
    const struct scheme *scheme = &schemes[signer->rsa ? 0 : 3];
    struct sign_reply reply = {0};
    int r = sign_content(signer, scheme, bytes_of(content, sizeof content), &reply);
    if (r < 0)
        return r;
    _cleanup_(cleanup_md_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL;
    bool good = context &&
                EVP_DigestVerifyInit_ex(context, &key_context, scheme->digest, NULL, NULL,
                                        public_key, NULL) == 1 &&
                set_padding(scheme, key_context) &&
                EVP_DigestVerify(context, reply.signature, reply.signature_size,
                                 (const unsigned char *)content, sizeof content) == 1;
    ERR_clear_error();
    return good ? 0 : -EBADMSG;
}

static int not_of_certificate(char *ret_message)
{
    snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
             "[keys] tls_key is not the private key of [link] certificate_file");
    return -EINVAL;
}

int tls_signer_of_file(int fd, const struct client_certificate *certificate, char *ret_message,
                       struct tls_signer **ret_signer)
{
    _cleanup_(cleanup_signer) struct tls_signer *signer = calloc(1, sizeof *signer);
    if (!signer) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "TLS key: out of memory");
        return -ENOMEM;
    }
    signer->certificate = certificate;
    int r = tls_key_file_read(fd, ret_message, &signer->key);
    if (r == 0)
        r = check_kind(signer, signer->key, ret_message);
    if (r < 0)
        return r;
    if (try_key(signer, signer->key) < 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "TLS key file: a trial signature failed; private and public part do not match");
        return -EINVAL;
    }
    if (EVP_PKEY_eq(certificate->public_key, signer->key) != 1) {
        ERR_clear_error();
        return not_of_certificate(ret_message);
    }
    *ret_signer = steal_ptr(&signer);
    return 0;
}

int tls_signer_of_token(struct token_key *key, const struct client_certificate *certificate,
                        char *ret_message, struct tls_signer **ret_signer)
{
    _cleanup_(cleanup_signer) struct tls_signer *signer = calloc(1, sizeof *signer);
    if (!signer) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "TLS key: out of memory");
        return -ENOMEM;
    }
    signer->certificate = certificate;
    signer->token_key = key;
    int r = check_kind(signer, certificate->public_key, ret_message);
    if (r < 0)
        return r;
    r = try_key(signer, certificate->public_key);
    if (r == -EBADMSG)
        return not_of_certificate(ret_message);
    if (r < 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "[keys] tls_key: the token does not sign%s: %s; is it the private key of [link] "
                 "certificate_file?",
                 signer->rsa ? " with RSA-PSS" : " with ECDSA", strerror(-r));
        return r;
    }
    *ret_signer = steal_ptr(&signer);
    return 0;
}

struct tls_signer *tls_signer_free(struct tls_signer *signer)
{
    if (signer) {
        EVP_PKEY_free(signer->key);
        free(signer);
    }
    return NULL;
}

static void answer(const struct tls_signer *signer, const struct scheme *scheme,
                   struct bytes content, struct sign_reply *ret_reply)
{
    ret_reply->error = scheme ? sign_content(signer, scheme, content, ret_reply) : -EOPNOTSUPP;
}

void tls_signer_sign(const struct tls_signer *signer, const struct sign_request *request,
                     struct sign_reply *ret_reply)
{
    *ret_reply = (struct sign_reply){.error = -EPERM};
    if (request->content_size <= SIGN_CONTENT_MAX &&
        handshake_is_client_verify(request->content, request->content_size))
        answer(signer, find_scheme(signer, request->scheme, false),
               bytes_of(request->content, request->content_size), ret_reply);
}

void tls_signer_sign12(const struct tls_signer *signer, uint32_t scheme, struct bytes content,
                       struct sign_reply *ret_reply)
{
    *ret_reply = (struct sign_reply){.error = -EPERM};
    if (content.size <= SIGN_HANDSHAKE_MAX &&
        handshake12_is_client_verify(content, signer->certificate->der))
        answer(signer, find_scheme(signer, scheme, true), content, ret_reply);
}
