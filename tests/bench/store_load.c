/*
 * Fills a store with many small certificates for store_million.py and trust_bench.py, through
 * cache_upsert() and cache_admit() as the daemon does, under the daemon's master key. Nothing is
 * synced meanwhile: a million commits would take an hour of a disk's time, and a crash means to
 * begin again.
 *
 * usage: store-load DIRECTORY MASTER_KEY_FILE TRUST_GENERATION COUNT SIZE [SIGNER_SHA256]
 */
#include "cache/cache.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static uint8_t master[AEAD_KEY_SIZE];
static uint8_t master_id[4];

/* In place of the C library's, for LMDB and the slots. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int open_unsynced(const char *path, int flags, ...) __asm__("open");
int open_unsynced(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags & ~O_DSYNC, mode);
}

/* docs/store-format.md, "Keys". */
static int wrap(const void *aad, size_t aad_size, const uint8_t key[AEAD_KEY_SIZE],
                uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    static const char label[] = "kosekifs data key 1";
    uint8_t full[sizeof label - 1 + sizeof master_id + CACHE_AAD_MAX];
    memcpy(full, label, sizeof label - 1);
    memcpy(full + sizeof label - 1, master_id, sizeof master_id);
    memcpy(full + sizeof label - 1 + sizeof master_id, aad, aad_size);
    memcpy(ret_wrapped, master_id, sizeof master_id);
    int r = random_bytes(ret_wrapped + 4, AEAD_NONCE_SIZE);
    return r < 0 ? r
                 : aead_seal(master, ret_wrapped + 4, full,
                             sizeof label - 1 + sizeof master_id + aad_size, key, AEAD_KEY_SIZE,
                             ret_wrapped + 4 + AEAD_NONCE_SIZE);
}

static int generate(void *context, const void *aad, size_t aad_size, uint8_t ret_key[AEAD_KEY_SIZE],
                    uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    (void)context;
    int r = random_bytes(ret_key, AEAD_KEY_SIZE);
    return r < 0 ? r : wrap(aad, aad_size, ret_key, ret_wrapped);
}

static int unwrap(void *context, const void *aad, size_t aad_size,
                  const uint8_t wrapped[CACHE_WRAPPED_SIZE], uint8_t ret_key[AEAD_KEY_SIZE])
{
    static const char label[] = "kosekifs data key 1";
    uint8_t full[sizeof label - 1 + sizeof master_id + CACHE_AAD_MAX];
    (void)context;
    memcpy(full, label, sizeof label - 1);
    memcpy(full + sizeof label - 1, master_id, sizeof master_id);
    memcpy(full + sizeof label - 1 + sizeof master_id, aad, aad_size);
    return aead_open(master, wrapped + 4, full, sizeof label - 1 + sizeof master_id + aad_size,
                     wrapped + 4 + AEAD_NONCE_SIZE, AEAD_KEY_SIZE, ret_key);
}

static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "store-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void load_master(const char *path)
{
    static const char label[] = "kosekifs master key id 1";
    uint8_t input[sizeof label - 1 + sizeof master], digest[SHA256_SIZE];
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    require(fd >= 0 && read(fd, master, sizeof master) == sizeof master, path);
    memcpy(input, label, sizeof label - 1);
    memcpy(input + sizeof label - 1, master, sizeof master);
    require(sha256(input, sizeof input, digest) == 0, "digest");
    memcpy(master_id, digest, sizeof master_id);
}

static void load_one(struct cache *cache, unsigned number, size_t size,
                     const uint8_t trust[SHA256_SIZE], const uint8_t signer[SHA256_SIZE],
                     uint8_t *content)
{
    static struct verdict verdict;
    struct certname name;
    struct cache_entry entry;
    char text[32];
    snprintf(text, sizeof text, "B%07u.pdf", number);
    memcpy(content, &number, sizeof number);
    verdict_init(&verdict);
    verdict.indication = VERDICT_TOTAL_PASSED;
    verdict.document_size = size;
    memcpy(verdict.trust_generation, trust, SHA256_SIZE);
    memcpy(verdict.signer_sha256, signer, SHA256_SIZE);
    require(certname_parse(text, &name) && sha256(content, size, verdict.document_sha256) == 0,
            "name");
    int r = cache_upsert(cache, &name, size, 1700000000, "\"v\"", 1700000000000000000, &entry);
    if (r == 0)
        r = cache_admit(cache, &name, bytes_of(content, size), &verdict, 1700000000, 1700000000, 0,
                        &entry);
    errno = -r;
    require(r == 0, "admit");
}

int main(int argc, char **argv)
{
    uint8_t trust[SHA256_SIZE], signer[SHA256_SIZE] = {0};
    char message[256];
    struct cache *cache;
    require((argc == 6 || argc == 7) && hex_decode(argv[3], strlen(argv[3]), trust, sizeof trust) &&
                (argc == 6 || hex_decode(argv[6], strlen(argv[6]), signer, sizeof signer)),
            "arguments");
    unsigned count = (unsigned)atoi(argv[4]);
    size_t size = (size_t)atoi(argv[5]);
    uint8_t *content = calloc(1, size + sizeof count);
    load_master(argv[2]);
    _cleanup_close_ int directory_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(content && directory_fd >= 0, argv[1]);
    const struct cache_settings settings = {
        .directory_fd = directory_fd,
        .map_size = (uint64_t)64 << 30,
        .keyring = {.generate = generate, .unwrap = unwrap},
    };
    int r = cache_open(&settings, message, &cache);
    if (r < 0)
        fprintf(stderr, "store-load: %s\n", message);
    require(r == 0, "open");
    for (unsigned i = 0; i < count; i++)
        load_one(cache, i, size, trust, signer, content);
    cache_close(cache);
    free(content);
    return 0;
}
