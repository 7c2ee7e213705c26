/*
 * Wrapped form: key id (4) ‖ nonce (12) ‖ encrypted data key (32) ‖ tag (16). The key id is the
 * head of SHA-256(label ‖ master key): it tells which master key wrapped, without telling the key.
 */
#include "keys/master_key.h"

#include "base/ed25519.h"

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

struct master_key {
    uint8_t secret[MASTER_KEY_SIZE];
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

/* SHA-256(label ‖ master key). */
static int derive(const struct master_key *key, const char *label, uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    if (!stream)
        return -ENOMEM;
    int r = sha256_stream_update(stream, label, strlen(label));
    if (r == 0)
        r = sha256_stream_update(stream, key->secret, sizeof key->secret);
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

int master_key_load(int fd, char *ret_message, struct master_key **ret_key)
{
    int r = check_file(fd, ret_message);
    if (r < 0)
        return r;
    _cleanup_(cleanup_master_key) struct master_key *key = OPENSSL_secure_zalloc(sizeof *key);
    if (!key) {
        snprintf(ret_message, KEY_LOAD_MESSAGE_MAX, "master key: out of memory");
        return -ENOMEM;
    }
    r = read_secret(fd, key->secret, ret_message);
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
        r = aead_seal(key->secret, nonce, full.bytes, full.size, data_key, AEAD_KEY_SIZE,
                      nonce + AEAD_NONCE_SIZE);
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
    r = aead_open(key->secret, nonce, full.bytes, full.size, nonce + AEAD_NONCE_SIZE,
                  sizeof data_key, data_key);
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
