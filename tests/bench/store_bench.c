/*
 * The store against its floors, in interleaved rounds of one run, since disks and neighbours vary:
 *   admit   300 KiB: cache_admit() against one raw LMDB transaction that puts the same bytes;
 *   read    300 KiB: cache_read() against AES-256-GCM decryption of the same bytes plus memcpy;
 *   first 4 KiB of a 20 MiB certificate, and all of it in pieces of 128 KiB, as the kernel asks.
 * Prints medians. usage: store_bench [ROUNDS]; works in a directory of the current one.
 */
#include "cache/cache.h"

#include "base/clock.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { SIZE = 300 * 1024, LARGE = 20 * 1024 * 1024, PIECE = 128 * 1024, ROUNDS_MAX = 10000 };

static const uint8_t wrapping_key[AEAD_KEY_SIZE] = {1};

static int generate(void *context, const void *aad, size_t aad_size, uint8_t ret_key[AEAD_KEY_SIZE],
                    uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    (void)context;
    if (random_bytes(ret_key, AEAD_KEY_SIZE) < 0 || random_bytes(ret_wrapped, 16) < 0)
        return -EIO;
    return aead_seal(wrapping_key, ret_wrapped, aad, aad_size, ret_key, AEAD_KEY_SIZE,
                     ret_wrapped + 16);
}

static int unwrap(void *context, const void *aad, size_t aad_size,
                  const uint8_t wrapped[CACHE_WRAPPED_SIZE], uint8_t ret_key[AEAD_KEY_SIZE])
{
    (void)context;
    return aead_open(wrapping_key, wrapped, aad, aad_size, wrapped + 16, AEAD_KEY_SIZE, ret_key);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void require(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "store_bench: %s failed: %s\n", what, strerror(errno));
        exit(1);
    }
}

struct series {
    double us[ROUNDS_MAX];
    unsigned count;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct series *series)
{
    qsort(series->us, series->count, sizeof *series->us, compare);
    return series->us[series->count / 2];
}

static void print_pair(const char *what, struct series *ours, const char *floor_name,
                       struct series *floor_series)
{
    double a = median(ours);
    double b = median(floor_series);
    printf("%-34s %9.1f us   %-28s %9.1f us   ratio %.2f\n", what, a, floor_name, b, a / b);
}

static void add(struct series *series, double begin_us)
{
    series->us[series->count++] = now_us() - begin_us;
}

static struct cache *open_store(int directory_fd)
{
    struct cache *cache;
    char message[256];
    struct cache_settings settings = {.directory_fd = directory_fd,
                                      .map_size = (uint64_t)8 << 30,
                                      .keyring = {.generate = generate, .unwrap = unwrap}};
    int r = cache_open(&settings, message, &cache);
    if (r < 0) {
        fprintf(stderr, "store_bench: %s\n", message);
        exit(1);
    }
    return cache;
}

static uint32_t admit(struct cache *cache, unsigned number, const uint8_t *content, size_t size,
                      struct series *series)
{
    struct certname name;
    struct cache_entry entry;
    static struct verdict verdict;
    char text[32];
    snprintf(text, sizeof text, "c%u.pdf", number);
    require(certname_parse(text, &name), "name");
    verdict_init(&verdict);
    verdict.indication = VERDICT_TOTAL_PASSED;
    verdict.document_size = size;
    require(sha256(content, size, verdict.document_sha256) == 0, "sha256");
    require(cache_upsert(cache, &name, size, 1, "\"v\"", 1, &entry) == 0, "upsert");
    double begin_us = now_us();
    require(cache_admit(cache, &name, bytes_of(content, size), &verdict, 1, 1, 0, &entry) == 0,
            "admit");
    if (series)
        add(series, begin_us);
    return entry.inode;
}

static MDB_env *open_raw(const char *path, MDB_dbi *ret_table)
{
    MDB_env *environment;
    MDB_txn *transaction;
    require(mdb_env_create(&environment) == 0 &&
                mdb_env_set_mapsize(environment, (size_t)8 << 30) == 0 &&
                mdb_env_open(environment, path, 0, 0600) == 0 &&
                mdb_txn_begin(environment, NULL, 0, &transaction) == 0 &&
                mdb_dbi_open(transaction, NULL, 0, ret_table) == 0 &&
                mdb_txn_commit(transaction) == 0,
            "LMDB");
    return environment;
}

static void put_raw(MDB_env *environment, MDB_dbi table, unsigned number, uint8_t *content,
                    struct series *series)
{
    MDB_txn *transaction;
    MDB_val key = {.mv_size = sizeof number, .mv_data = &number};
    MDB_val value = {.mv_size = SIZE, .mv_data = content};
    double begin_us = now_us();
    require(mdb_txn_begin(environment, NULL, 0, &transaction) == 0 &&
                mdb_put(transaction, table, &key, &value, 0) == 0 &&
                mdb_txn_commit(transaction) == 0,
            "raw put");
    add(series, begin_us);
}

static void bench_admit(struct cache *cache, MDB_env *raw, MDB_dbi table, uint8_t *content,
                        unsigned rounds)
{
    static struct series ours, floor_series;
    for (unsigned i = 0; i < rounds; i++) {
        admit(cache, i, content, SIZE, &ours);
        put_raw(raw, table, i, content, &floor_series);
    }
    print_pair("admit 300 KiB", &ours, "raw LMDB put and commit", &floor_series);
}

static void bench_read(struct cache *cache, uint32_t inode, const uint8_t *content, unsigned rounds)
{
    static struct series ours, floor_series;
    static uint8_t out[SIZE], plain[SIZE], sealed[SIZE + AEAD_TAG_SIZE];
    const uint8_t nonce[AEAD_NONCE_SIZE] = {0};
    size_t got;
    require(aead_seal(wrapping_key, nonce, NULL, 0, content, SIZE, sealed) == 0, "seal");
    for (unsigned i = 0; i < rounds; i++) {
        double begin_us = now_us();
        require(cache_read(cache, inode, 0, out, SIZE, &got) == 0 && got == SIZE, "read");
        add(&ours, begin_us);
        begin_us = now_us();
        require(aead_open(wrapping_key, nonce, NULL, 0, sealed, SIZE, plain) == 0, "open");
        memcpy(out, plain, SIZE);
        add(&floor_series, begin_us);
    }
    print_pair("read 300 KiB", &ours, "AES-256-GCM and memcpy", &floor_series);
}

static void bench_large(struct cache *cache, unsigned rounds)
{
    static struct series head, whole;
    static uint8_t out[PIECE];
    uint8_t *content = calloc(1, LARGE);
    size_t got;
    require(content != NULL, "memory");
    uint32_t inode = admit(cache, 1000000, content, LARGE, NULL);
    for (unsigned i = 0; i < rounds; i++) {
        double begin_us = now_us();
        require(cache_read(cache, inode, (uint64_t)(i % 150) * PIECE, out, 4096, &got) == 0,
                "read");
        add(&head, begin_us);
    }
    for (unsigned i = 0; i < rounds / 20 + 1; i++) {
        double begin_us = now_us();
        for (uint64_t at = 0; at < LARGE; at += PIECE)
            require(cache_read(cache, inode, at, out, PIECE, &got) == 0, "read");
        add(&whole, begin_us);
    }
    printf("%-34s %9.1f us\n", "4 KiB out of 20 MiB", median(&head));
    printf("%-34s %9.1f us\n", "20 MiB in pieces of 128 KiB", median(&whole));
    free(content);
}

static void bench_lookup(struct cache *cache, unsigned rounds)
{
    static struct series find;
    struct certname name;
    struct cache_entry entry;
    for (unsigned i = 0; i < rounds; i++) {
        char text[32];
        snprintf(text, sizeof text, "c%u.pdf", i * 7 % rounds);
        require(certname_parse(text, &name), "name");
        double begin_us = now_us();
        require(cache_find(cache, &name, &entry) == 0, "find");
        add(&find, begin_us);
    }
    printf("%-34s %9.1f us\n", "look-up of a name", median(&find));
}

static void remove_directory(const char *path, const char *const *names, size_t count)
{
    char file[128];
    for (size_t i = 0; i < count; i++) {
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        unlink(file);
    }
    rmdir(path);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "slots", "lock"};
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 300;
    char store_path[] = "store-bench-XXXXXX";
    char raw_path[] = "store-bench-XXXXXX";
    static uint8_t content[SIZE];
    MDB_dbi table;
    require(rounds > 0 && rounds <= ROUNDS_MAX, "ROUNDS");
    require(random_bytes(content, sizeof content) == 0, "random");
    require(mkdtemp(store_path) && mkdtemp(raw_path), "mkdtemp");
    _cleanup_close_ int directory_fd = open(store_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cache *cache = open_store(directory_fd);
    MDB_env *raw = open_raw(raw_path, &table);

    bench_admit(cache, raw, table, content, rounds);
    bench_read(cache, admit(cache, 0, content, SIZE, NULL), content, rounds);
    bench_large(cache, rounds);
    bench_lookup(cache, rounds);

    mdb_env_close(raw);
    cache_close(cache);
    remove_directory(store_path, names, sizeof names / sizeof *names);
    remove_directory(raw_path, names, sizeof names / sizeof *names);
    return 0;
}
