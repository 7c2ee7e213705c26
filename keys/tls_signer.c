/*
 * Loading and using the TLS key. The salt of RSA-PSS is as long as the digest (RFC 8446 4.2.3).
 */
#include "keys/tls_signer.h"

#include "keys/handshake.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

enum {
    KEY_FILE_MAX = 64 * 1024,
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = SIGN_SIGNATURE_MAX * 8,
};

struct tls_signer {
    EVP_PKEY *key;
    bool rsa;
};

static void cleanup_signer(struct tls_signer **slot)
{
    tls_signer_free(*slot);
}

static void cleanup_bio(BIO **slot)
{
    BIO_free(*slot);
}

static void cleanup_md_context(EVP_MD_CTX **slot)
{
    EVP_MD_CTX_free(*slot);
}

/* A file's text; wiped with its owner. */
struct key_text {
    char *text;
    size_t size;
};

static void key_text_done(struct key_text *text)
{
    OPENSSL_secure_clear_free(text->text, KEY_FILE_MAX);
}

static int read_text(int fd, struct key_text *ret_text)
{
    while (ret_text->size < KEY_FILE_MAX) {
        ssize_t count = pread(fd, ret_text->text + ret_text->size, KEY_FILE_MAX - ret_text->size,
                              (off_t)ret_text->size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            return 0;
        ret_text->size += (size_t)count;
    }
    return -EFBIG;
}

/* One PEM block, wiped with its owner. */
struct pem_block {
    char *name;
    char *header;
    unsigned char *der;
    long size;
};

static void pem_block_done(struct pem_block *block)
{
    OPENSSL_free(block->name);
    OPENSSL_free(block->header);
    if (block->der)
        OPENSSL_clear_free(block->der, (size_t)block->size);
    *block = (struct pem_block){0};
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_size = strlen(text);
    size_t end_size = strlen(end);
    return text_size >= end_size && strcmp(text + text_size - end_size, end) == 0;
}

/* The first block that is any kind of private key; certificates may stand before it. */
static bool find_key_block(const struct key_text *text, struct pem_block *ret_block)
{
    _cleanup_(cleanup_bio) BIO *bio = BIO_new_mem_buf(text->text, (int)text->size);
    if (!bio)
        return false;
    while (PEM_read_bio(bio, &ret_block->name, &ret_block->header, &ret_block->der,
                        &ret_block->size) == 1) {
        if (ends_with(ret_block->name, "PRIVATE KEY"))
            return true;
        pem_block_done(ret_block);
    }
    return false;
}

static int decode_block(const struct pem_block *block, char *ret_message, EVP_PKEY **ret_key)
{
    if (strcmp(block->name, "ENCRYPTED PRIVATE KEY") == 0 || strstr(block->header, "ENCRYPTED")) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "TLS key file: the key is encrypted; store it without passphrase (openssl pkcs8 "
                 "-topk8 -nocrypt)");
        return -EINVAL;
    }
    if (strcmp(block->name, "PRIVATE KEY") != 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "TLS key file: '%.40s' is not PKCS#8; convert it (openssl pkcs8 -topk8 -nocrypt)",
                 block->name);
        return -EINVAL;
    }
    const unsigned char *next = block->der;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &next, block->size);
    EVP_PKEY *key = NULL;
    if (info && next == block->der + block->size)
        key = EVP_PKCS82PKEY(info);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (!key) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "TLS key file: damaged private key");
        return -EINVAL;
    }
    *ret_key = key;
    return 0;
}

static int check_kind(struct tls_signer *signer, char *ret_message)
{
    int bits = EVP_PKEY_get_bits(signer->key);
    char group[32] = "";
    signer->rsa = EVP_PKEY_is_a(signer->key, "RSA") == 1;
    if (signer->rsa && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)
        return 0;
    if (!signer->rsa && EVP_PKEY_is_a(signer->key, "EC") == 1 &&
        EVP_PKEY_get_group_name(signer->key, group, sizeof group, NULL) == 1 &&
        strcmp(group, "prime256v1") == 0)
        return 0;
    const char *name = EVP_PKEY_get0_type_name(signer->key);
    snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
             "TLS key file: %s key of %d bits%s%s; RSA of %d to %d bits or EC P-256 is needed",
             name ? name : "unknown", bits, group[0] ? ", group " : "", group, RSA_BITS_MIN,
             RSA_BITS_MAX);
    return -EINVAL;
}

static const char *scheme_digest(const struct tls_signer *signer, uint32_t scheme)
{
    switch (scheme) {
    case SIGN_RSA_PSS_RSAE_SHA256:
        return signer->rsa ? "SHA256" : NULL;
    case SIGN_RSA_PSS_RSAE_SHA384:
        return signer->rsa ? "SHA384" : NULL;
    case SIGN_RSA_PSS_RSAE_SHA512:
        return signer->rsa ? "SHA512" : NULL;
    case SIGN_ECDSA_SECP256R1_SHA256:
        return signer->rsa ? NULL : "SHA256";
    default:
        return NULL;
    }
}

static bool set_padding(const struct tls_signer *signer, EVP_PKEY_CTX *context)
{
    return !signer->rsa || (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
                            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static int sign_content(const struct tls_signer *signer, const char *digest, const void *content,
                        size_t size, struct sign_reply *ret_reply)
{
    _cleanup_(cleanup_md_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL; /* belongs to `context` */
    uint8_t signature[SIGN_SIGNATURE_MAX];
    size_t signature_size = sizeof signature;
    if (!context ||
        EVP_DigestSignInit_ex(context, &key_context, digest, NULL, NULL, signer->key, NULL) != 1 ||
        !set_padding(signer, key_context) ||
        EVP_DigestSign(context, signature, &signature_size, content, size) != 1) {
        ERR_clear_error();
        return -EIO;
    }
    memcpy(ret_reply->signature, signature, signature_size);
    ret_reply->signature_size = (uint32_t)signature_size;
    return 0;
}

/* Public and private part may come from different keys; RFC 8446 has no word for that. It also
 * runs OpenSSL's lazy initialisation before the process is locked in. */
static int try_key(const struct tls_signer *signer, char *ret_message)
{
    static const char content[] = "kosekifs trial signature";
    struct sign_reply reply = {0};
    int r = sign_content(signer, "SHA256", content, sizeof content, &reply);
    _cleanup_(cleanup_md_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL;
    if (r == 0 && context &&
        EVP_DigestVerifyInit_ex(context, &key_context, "SHA256", NULL, NULL, signer->key, NULL) ==
            1 &&
        set_padding(signer, key_context) &&
        EVP_DigestVerify(context, reply.signature, reply.signature_size,
                         (const unsigned char *)content, sizeof content) == 1)
        return 0;
    ERR_clear_error();
    snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
             "TLS key file: a trial signature failed; private and public part do not match");
    return -EINVAL;
}

int tls_signer_load(int fd, char *ret_message, struct tls_signer **ret_signer)
{
    _cleanup_(key_text_done) struct key_text text = {.text = OPENSSL_secure_zalloc(KEY_FILE_MAX)};
    _cleanup_(pem_block_done) struct pem_block block = {0};
    _cleanup_(cleanup_signer) struct tls_signer *signer = calloc(1, sizeof *signer);
    if (!text.text || !signer) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "TLS key: out of memory");
        return -ENOMEM;
    }
    int r = read_text(fd, &text);
    if (r < 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "TLS key file: %s", strerror(-r));
        return r;
    }
    bool found = find_key_block(&text, &block);
    ERR_clear_error();
    if (!found) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "TLS key file: no PEM private key in it");
        return -EINVAL;
    }
    r = decode_block(&block, ret_message, &signer->key);
    ERR_clear_error();
    if (r == 0)
        r = check_kind(signer, ret_message);
    if (r == 0)
        r = try_key(signer, ret_message);
    if (r < 0)
        return r;
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

void tls_signer_sign(const struct tls_signer *signer, const struct sign_request *request,
                     struct sign_reply *ret_reply)
{
    *ret_reply = (struct sign_reply){.error = -EPERM};
    if (request->content_size > SIGN_CONTENT_MAX ||
        !handshake_is_client_verify(request->content, request->content_size))
        return;
    const char *digest = scheme_digest(signer, request->scheme);
    ret_reply->error =
        digest ? sign_content(signer, digest, request->content, request->content_size, ret_reply)
               : -EOPNOTSUPP;
}

static void cleanup_certificate(X509 **slot)
{
    X509_free(*slot);
}

int tls_signer_check_certificate(const struct tls_signer *signer, struct bytes pem,
                                 char *ret_message)
{
    _cleanup_(cleanup_bio) BIO *bio =
        pem.size > 0 && pem.size <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.size) : NULL;
    _cleanup_(cleanup_certificate) X509 *certificate =
        bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    const EVP_PKEY *public_key = certificate ? X509_get0_pubkey(certificate) : NULL;
    int r = -EINVAL;
    if (!public_key)
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "[link] certificate_file: no certificate in PEM form");
    else if (EVP_PKEY_eq(public_key, signer->key) != 1)
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "[keys] tls_key is not the private key of [link] certificate_file");
    else
        r = 0;
    ERR_clear_error();
    return r;
}
