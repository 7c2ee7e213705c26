/*
 * Fills the store of an installation that does not run with small certificates, so that listings
 * and look-ups can be tried among many, and with files as they are, as a program that accepted them
 * would have. They get the verdict of the first certificate that is stored already. The master key
 * comes on standard input; runs as the owner of the directory.
 * usage: fill-store STATE_DIRECTORY MAP_SIZE COUNT SIZE [FILE]... <KEY
 */
#include "base/clock.h"
#include "cache/cache.h"
#include "keys/master_key.h"

#include <fcntl.h>
#include <stdio.h>

enum { CONTENT_MIN = 20, CONTENT_MAX = 256 * 1024 * 1024 };

static void require(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "fill-store: %s failed\n", what);
        exit(1);
    }
}

static int generate(void *context, const void *aad, size_t aad_size, uint8_t ret_key[AEAD_KEY_SIZE],
                    uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    return master_key_generate(context, aad, aad_size, ret_key, ret_wrapped);
}

static int unwrap(void *context, const void *aad, size_t aad_size,
                  const uint8_t wrapped[CACHE_WRAPPED_SIZE], uint8_t ret_key[AEAD_KEY_SIZE])
{
    return master_key_unwrap(context, aad, aad_size, wrapped, ret_key);
}

static void take_verdict(struct cache *cache, struct verdict *ret_verdict)
{
    struct cache_entry first;
    uint32_t cursor = 0;
    size_t filled = 0;
    require(cache_list(cache, &cursor, &first, 1, &filled) == 0 && filled == 1, "first entry");
    require(cache_verdict(cache, &first.name, ret_verdict) == 0, "its verdict");
    ret_verdict->reason_count = 0;
}

static void add(struct cache *cache, struct verdict *verdict, const char *text,
                struct bytes content)
{
    struct certname name;
    struct cache_entry entry;
    int64_t now_s = clock_realtime_s();
    require(certname_parse(text, &name), "name");
    verdict->document_size = content.size;
    require(sha256(content.data, content.size, verdict->document_sha256) == 0, "digest");
    require(cache_upsert(cache, &name, content.size, now_s, "0 \"filled\"", clock_realtime_ns(),
                         &entry) == 0,
            "entry");
    require(cache_admit(cache, &name, content, verdict, now_s, now_s, 0, &entry) == 0, "content");
}

static void add_made(struct cache *cache, struct verdict *verdict, unsigned number, char *content,
                     size_t size)
{
    char text[64];
    snprintf(text, sizeof text, "filled-%07u.pdf", number);
    snprintf(content, size, "%%PDF-1.7 %07u\n", number);
    add(cache, verdict, text, bytes_of(content, size));
}

static void add_file(struct cache *cache, struct verdict *verdict, const char *path)
{
    _cleanup_free_ uint8_t *content = malloc(CONTENT_MAX);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    require(content && fd >= 0, path);
    ssize_t size = read(fd, content, CONTENT_MAX);
    require(size >= 0 && size < CONTENT_MAX, path);
    add(cache, verdict, strrchr(path, '/') + 1, bytes_of(content, (size_t)size));
}

int main(int count, char **arguments)
{
    char message[KEY_LOAD_MESSAGE_MAX] = "";
    struct master_key *key = NULL;
    struct cache *cache = NULL;
    struct verdict *verdict = malloc(sizeof *verdict);
    require(verdict && count >= 5, "four arguments");
    size_t size = strtoull(arguments[4], NULL, 10);
    char *content = size >= CONTENT_MIN && size <= CONTENT_MAX ? calloc(1, size) : NULL;
    require(content != NULL, "size");
    require(master_key_of_file(STDIN_FILENO, message, &key) == 0, message);
    const struct cache_settings settings = {
        .directory_fd = open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        .map_size = strtoull(arguments[2], NULL, 10),
        .keyring = {key, generate, unwrap},
    };
    require(cache_open(&settings, message, &cache) == 0, message);
    take_verdict(cache, verdict);
    for (unsigned i = 0, last = (unsigned)atoi(arguments[3]); i < last; i++)
        add_made(cache, verdict, i, content, size);
    for (int i = 5; i < count; i++)
        add_file(cache, verdict, arguments[i]);
    cache_close(cache);
    master_key_free(key);
    free(verdict);
    free(content);
    return 0;
}
