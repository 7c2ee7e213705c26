/* See keys/tls_key_file.h. */
#include "keys/tls_key_file.h"

#include "keys/master_key.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

enum { KEY_FILE_MAX = 64 * 1024 };

static void cleanup_bio(BIO **slot)
{
    BIO_free(*slot);
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

int tls_key_file_read(int fd, char *ret_message, EVP_PKEY **ret_key)
{
    _cleanup_(key_text_done) struct key_text text = {.text = OPENSSL_secure_zalloc(KEY_FILE_MAX)};
    _cleanup_(pem_block_done) struct pem_block block = {0};
    if (!text.text) {
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
    r = decode_block(&block, ret_message, ret_key);
    ERR_clear_error();
    return r;
}
