/*
 * Wrapped form: key id (4) ‖ nonce (12) ‖ encrypted data key (32) ‖ tag (16). The key id is the
 * head of SHA-256(label ‖ root): it tells which master key wrapped, without telling the key.
 */
#include "keys/master_key.h"

#include "base/ed25519.h"
#include "keys/token.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MASTER_KEY_SIZE = 32,
    SEALED_SIZE = AEAD_KEY_SIZE + AEAD_TAG_SIZE,
};

static const char id_label[] = "kosekifs master key id 1";
static const char checkpoint_label[] = "kosekifs audit checkpoint key 1";
static const char wrap_label[] = "kosekifs data key 1";
static const char root_label[] = "kosekifs master key root 1";
static const char root_nonce[AEAD_NONCE_SIZE + 1] = "kosekifs-drv";

struct master_key {
    struct token_key *token_key;   /* NULL: `root` is the key */
    uint8_t root[MASTER_KEY_SIZE]; /* what others are derived from */
    uint8_t id[KEYS_ID_SIZE];
};

_Static_assert(KEYS_WRAPPED_SIZE == KEYS_ID_SIZE + AEAD_NONCE_SIZE + SEALED_SIZE, "wrapped form");

static int check_file(int fd, char *ret_message)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        int r = -errno;
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "master key file: %s", strerror(-r));
        return r;
    }
    if (!S_ISREG(status.st_mode)) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "master key file: not a regular file");
        return -EINVAL;
    }
    if ((status.st_mode & 0077) != 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "master key file: mode is %04o; others may use it, make it 0400 (chmod 0400)",
                 (unsigned)status.st_mode & 07777);
        return -EINVAL;
    }
    if (status.st_size != MASTER_KEY_SIZE) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "master key file: has %jd bytes, must have exactly %d random ones (head -c %d "
                 "/dev/urandom)",
                 (intmax_t)status.st_size, MASTER_KEY_SIZE, MASTER_KEY_SIZE);
        return -EINVAL;
    }
    return 0;
}

/* Straight into locked memory: stdio would leave a copy in its buffer. */
static int read_secret(int fd, uint8_t *secret, char *ret_message)
{
    size_t have = 0;
    while (have < MASTER_KEY_SIZE) {
        ssize_t count = pread(fd, secret + have, MASTER_KEY_SIZE - have, (off_t)have);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            int r = count < 0 ? -errno : -EIO;
            snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "master key file: %s", strerror(-r));
            return r;
        }
        have += (size_t)count;
    }
    static const uint8_t zeros[MASTER_KEY_SIZE];
    if (memory_equal(secret, zeros, MASTER_KEY_SIZE)) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "master key file: holds zeros, not a key");
        return -EINVAL;
    }
    return 0;
}

/* SHA-256(label ‖ root). */
static int derive(const struct master_key *key, const char *label, uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    if (!stream)
        return -ENOMEM;
    int r = sha256_stream_update(stream, label, strlen(label));
    if (r == 0)
        r = sha256_stream_update(stream, key->root, sizeof key->root);
    return r < 0 ? r : sha256_stream_finish(stream, ret_digest);
}

static int compute_id(struct master_key *key)
{
    uint8_t digest[SHA256_SIZE];
    int r = derive(key, id_label, digest);
    if (r < 0)
        return r;
    memcpy(key->id, digest, sizeof key->id);
    wipe(digest, sizeof digest);
    return 0;
}

static void cleanup_master_key(struct master_key **slot)
{
    master_key_free(*slot);
}

int master_key_of_file(int fd, char *ret_message, struct master_key **ret_key)
{
    int r = check_file(fd, ret_message);
    if (r < 0)
        return r;
    _cleanup_(cleanup_master_key) struct master_key *key = OPENSSL_secure_zalloc(sizeof *key);
    if (!key) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "master key: out of memory");
        return -ENOMEM;
    }
    r = read_secret(fd, key->root, ret_message);
    if (r < 0)
        return r;
    r = compute_id(key);
    if (r < 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "master key: %s", strerror(-r));
        return r;
    }
    *ret_key = steal_ptr(&key);
    return 0;
}

/* Twice, and back again: a token that chose nonces by itself would give another root each time. */
static int compute_root(struct master_key *key)
{
    static const uint8_t zeros[MASTER_KEY_SIZE];
    uint8_t sealed[SEALED_SIZE], again[SEALED_SIZE], opened[MASTER_KEY_SIZE];
    const uint8_t *nonce = (const uint8_t *)root_nonce;
    int r = token_seal(key->token_key, nonce, root_label, strlen(root_label), zeros, sizeof zeros,
                       sealed);
    if (r == 0)
        r = token_seal(key->token_key, nonce, root_label, strlen(root_label), zeros, sizeof zeros,
                       again);
    if (r == 0)
        r = token_unseal(key->token_key, nonce, root_label, strlen(root_label), sealed,
                         sizeof opened, opened);
    if (r == 0 &&
        (!memory_equal(sealed, again, sizeof sealed) || !memory_equal(opened, zeros, sizeof zeros)))
        r = -EOPNOTSUPP;
    if (r == 0)
        memcpy(key->root, sealed, sizeof key->root);
    wipe(sealed, sizeof sealed);
    wipe(again, sizeof again);
    return r;
}

int master_key_of_token(struct token_key *token_key, char *ret_message, struct master_key **ret_key)
{
    _cleanup_(cleanup_master_key) struct master_key *key = OPENSSL_secure_zalloc(sizeof *key);
    if (!key) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "master key: out of memory");
        return -ENOMEM;
    }
    key->token_key = token_key;
    int r = compute_root(key);
    if (r == 0)
        r = compute_id(key);
    if (r < 0) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX,
                 "[keys] master_key: the token does not encrypt and decrypt with AES-256-GCM under "
                 "a nonce that it is given: %s",
                 strerror(-r));
        return r;
    }
    *ret_key = steal_ptr(&key);
    return 0;
}

struct master_key *master_key_free(struct master_key *key)
{
    OPENSSL_secure_clear_free(key, sizeof *key);
    return NULL;
}

/* The label keeps wraps apart from any later use of the key; what varies in length comes last. */
struct wrap_aad {
    uint8_t bytes[sizeof wrap_label - 1 + KEYS_ID_SIZE + KEYS_AAD_MAX];
    size_t size;
};

static int compose_aad(const struct master_key *key, const void *aad, size_t aad_size,
                       struct wrap_aad *ret_aad)
{
    if (aad_size > KEYS_AAD_MAX)
        return -EINVAL;
    uint8_t *next = ret_aad->bytes;
    memcpy(next, wrap_label, sizeof wrap_label - 1);
    next += sizeof wrap_label - 1;
    memcpy(next, key->id, KEYS_ID_SIZE);
    next += KEYS_ID_SIZE;
    if (aad_size > 0)
        memcpy(next, aad, aad_size);
    ret_aad->size = sizeof wrap_label - 1 + KEYS_ID_SIZE + aad_size;
    return 0;
}

static int seal(const struct master_key *key, const uint8_t *nonce, const struct wrap_aad *aad,
                const uint8_t *data_key, uint8_t *ret_sealed)
{
    return key->token_key ? token_seal(key->token_key, nonce, aad->bytes, aad->size, data_key,
                                       AEAD_KEY_SIZE, ret_sealed)
                          : aead_seal(key->root, nonce, aad->bytes, aad->size, data_key,
                                      AEAD_KEY_SIZE, ret_sealed);
}

static int unseal(const struct master_key *key, const uint8_t *nonce, const struct wrap_aad *aad,
                  const uint8_t *sealed, uint8_t *ret_data_key)
{
    return key->token_key ? token_unseal(key->token_key, nonce, aad->bytes, aad->size, sealed,
                                         AEAD_KEY_SIZE, ret_data_key)
                          : aead_open(key->root, nonce, aad->bytes, aad->size, sealed,
                                      AEAD_KEY_SIZE, ret_data_key);
}

const uint8_t *master_key_id(const struct master_key *key)
{
    return key->id;
}

int master_key_wrap(const struct master_key *key, const void *aad, size_t aad_size,
                    const uint8_t data_key[AEAD_KEY_SIZE], uint8_t ret_wrapped[KEYS_WRAPPED_SIZE])
{
    struct wrap_aad full;
    uint8_t wrapped[KEYS_WRAPPED_SIZE];
    uint8_t *nonce = wrapped + KEYS_ID_SIZE;
    int r = compose_aad(key, aad, aad_size, &full);
    if (r < 0)
        return r;
    memcpy(wrapped, key->id, KEYS_ID_SIZE);
    r = random_bytes(nonce, AEAD_NONCE_SIZE);
    if (r == 0)
        r = seal(key, nonce, &full, data_key, nonce + AEAD_NONCE_SIZE);
    if (r == 0)
        memcpy(ret_wrapped, wrapped, sizeof wrapped);
    return r;
}

int master_key_generate(const struct master_key *key, const void *aad, size_t aad_size,
                        uint8_t ret_data_key[AEAD_KEY_SIZE], uint8_t ret_wrapped[KEYS_WRAPPED_SIZE])
{
    uint8_t data_key[AEAD_KEY_SIZE];
    int r = random_bytes(data_key, sizeof data_key);
    if (r == 0)
        r = master_key_wrap(key, aad, aad_size, data_key, ret_wrapped);
    if (r == 0)
        memcpy(ret_data_key, data_key, sizeof data_key);
    wipe(data_key, sizeof data_key);
    return r;
}

int master_key_unwrap(const struct master_key *key, const void *aad, size_t aad_size,
                      const uint8_t wrapped[KEYS_WRAPPED_SIZE], uint8_t ret_data_key[AEAD_KEY_SIZE])
{
    struct wrap_aad full;
    uint8_t data_key[AEAD_KEY_SIZE];
    const uint8_t *nonce = wrapped + KEYS_ID_SIZE;
    int r = compose_aad(key, aad, aad_size, &full);
    if (r < 0)
        return r;
    if (memcmp(wrapped, key->id, KEYS_ID_SIZE) != 0)
        return -EBADMSG;
    r = unseal(key, nonce, &full, nonce + AEAD_NONCE_SIZE, data_key);
    if (r == 0)
        memcpy(ret_data_key, data_key, sizeof data_key);
    wipe(data_key, sizeof data_key);
    return r;
}

int master_key_sign(const struct master_key *key, const void *statement, size_t size,
                    uint8_t ret_signature[KEYS_SIGNATURE_SIZE],
                    uint8_t ret_public_key[KEYS_PUBLIC_KEY_SIZE])
{
    _Static_assert((int)SHA256_SIZE == (int)ED25519_KEY_SIZE, "a digest is a private key");
    uint8_t private_key[ED25519_KEY_SIZE];
    int r = derive(key, checkpoint_label, private_key);
    if (r == 0)
        r = ed25519_public_key(private_key, ret_public_key);
    if (r == 0)
        r = ed25519_sign(private_key, statement, size, ret_signature);
    wipe(private_key, sizeof private_key);
    return r;
}
