/* See store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cmocka.h>

const char content_marker[] = "<<certificate of all records>>";

static int ring_generate(void *context, const void *aad, size_t aad_size,
                         uint8_t ret_key[AEAD_KEY_SIZE], uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    struct ring *ring = context;
    if (ring->fail_with) {
        __atomic_add_fetch(&ring->failed, 1, __ATOMIC_RELAXED);
        return ring->fail_with;
    }
    int r = random_bytes(ret_key, AEAD_KEY_SIZE);
    if (r == 0)
        r = random_bytes(ret_wrapped, 16);
    if (r == 0)
        r = aead_seal(ring->master, ret_wrapped, aad, aad_size, ret_key, AEAD_KEY_SIZE,
                      ret_wrapped + 16);
    if (r == 0) {
        unsigned place = ring->generated++ % RING_MAX;
        memcpy(ring->given[place].key, ret_key, AEAD_KEY_SIZE);
        memcpy(ring->given[place].wrapped, ret_wrapped, CACHE_WRAPPED_SIZE);
    }
    return r;
}

static int ring_unwrap(void *context, const void *aad, size_t aad_size,
                       const uint8_t wrapped[CACHE_WRAPPED_SIZE], uint8_t ret_key[AEAD_KEY_SIZE])
{
    struct ring *ring = context;
    if (ring->fail_with) {
        __atomic_add_fetch(&ring->failed, 1, __ATOMIC_RELAXED);
        return ring->fail_with;
    }
    __atomic_add_fetch(&ring->unwrapped, 1, __ATOMIC_RELAXED);
    int r = aead_open(ring->master, wrapped, aad, aad_size, wrapped + 16, AEAD_KEY_SIZE, ret_key);
    if (r == -EBADMSG)
        r = aead_open(ring->previous, wrapped, aad, aad_size, wrapped + 16, AEAD_KEY_SIZE, ret_key);
    return r;
}

static int ring_rewrap(void *context, const void *aad, size_t aad_size,
                       const uint8_t wrapped[CACHE_WRAPPED_SIZE],
                       uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    struct ring *ring = context;
    uint8_t key[AEAD_KEY_SIZE];
    if (aead_open(ring->master, wrapped, aad, aad_size, wrapped + 16, AEAD_KEY_SIZE, key) == 0)
        return CACHE_MISS;
    int r = aead_open(ring->previous, wrapped, aad, aad_size, wrapped + 16, AEAD_KEY_SIZE, key);
    if (r == 0)
        r = random_bytes(ret_wrapped, 16);
    if (r == 0)
        r = aead_seal(ring->master, ret_wrapped, aad, aad_size, key, AEAD_KEY_SIZE,
                      ret_wrapped + 16);
    return r;
}

bool store_possible(void)
{
    struct statfs status;
    if (statfs(".", &status) == 0 &&
        (status.f_type == EXT4_SUPER_MAGIC || status.f_type == 0x58465342))
        return true;
    print_message("skipped: the build directory is neither on ext4 nor on xfs\n");
    return false;
}

void store_new(struct store *store)
{
    memset(store, 0, sizeof *store);
    snprintf(store->path, sizeof store->path, "store-test-XXXXXX");
    assert_non_null(mkdtemp(store->path));
    store->directory_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(store->directory_fd >= 0);
    memset(store->ring.master, 0x77, sizeof store->ring.master);
    store->settings =
        (struct cache_settings){.directory_fd = store->directory_fd, .map_size = (uint64_t)1 << 30};
}

int store_try_open(struct store *store, char message[256])
{
    store->settings.keyring = (struct cache_keyring){.context = &store->ring,
                                                     .generate = ring_generate,
                                                     .unwrap = ring_unwrap,
                                                     .rewrap = ring_rewrap};
    return cache_open(&store->settings, message, &store->cache);
}

void store_open(struct store *store)
{
    char message[256];
    int r = store_try_open(store, message);
    if (r != 0)
        fail_msg("cache_open: %d: %s", r, message);
}

void store_close(struct store *store)
{
    store->cache = cache_close(store->cache);
}

void store_reopen(struct store *store)
{
    store_close(store);
    store_open(store);
}

static const char *const file_names[] = {"data.mdb", "lock.mdb", "slots", "slots.new", "lock"};

void store_remove(struct store *store)
{
    store_close(store);
    for (size_t i = 0; i < sizeof file_names / sizeof *file_names; i++)
        unlinkat(store->directory_fd, file_names[i], 0);
    close(store->directory_fd);
    assert_int_equal(rmdir(store->path), 0);
}

static void copy_file(int from_fd, int to_fd, const char *name)
{
    static uint8_t buffer[1 << 20];
    int from = openat(from_fd, name, O_RDONLY | O_CLOEXEC);
    int to = openat(to_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(from >= 0 && to >= 0);
    ssize_t size;
    while ((size = read(from, buffer, sizeof buffer)) > 0)
        assert_int_equal(write(to, buffer, (size_t)size), size);
    assert_int_equal(size, 0);
    close(from);
    close(to);
}

void store_copy(const struct store *from, struct store *to)
{
    copy_file(from->directory_fd, to->directory_fd, "data.mdb");
    copy_file(from->directory_fd, to->directory_fd, "slots");
}

struct certname name_of(const char *text)
{
    struct certname name;
    assert_true(certname_parse(text, &name));
    return name;
}

struct certname name_number(unsigned number)
{
    char text[32];
    snprintf(text, sizeof text, "c%u.pdf", number);
    return name_of(text);
}

void content_fill(uint8_t *out, size_t size, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (uint8_t)(state >> 24);
    }
    for (size_t i = 4; i + sizeof content_marker <= size; i += 4096)
        memcpy(out + i, content_marker, sizeof content_marker);
    if (size >= sizeof seed)
        memcpy(out, &seed, sizeof seed);
}

void verdict_for(struct verdict *verdict, const uint8_t *content, size_t size)
{
    verdict_init(verdict);
    verdict_add(verdict, CHECK_PASSED, "integrity", "ISO 32000-1 12.8.1", "digest matches");
    verdict->indication = VERDICT_TOTAL_PASSED;
    verdict->document_size = size;
    verdict->fresh_until_s = 2000000000;
    memset(verdict->trust_generation, 0x44, sizeof verdict->trust_generation);
    snprintf(verdict->signer, sizeof verdict->signer, "CN=Minister of Justice,C=JP");
    assert_int_equal(sha256(content, size, verdict->document_sha256), 0);
}

int store_admit(struct store *store, const struct certname *name, size_t size, uint32_t seed,
                struct cache_entry *ret_entry)
{
    struct cache_entry entry;
    struct verdict verdict;
    uint8_t *content = malloc(size + 1);
    assert_non_null(content);
    content_fill(content, size, seed);
    verdict_for(&verdict, content, size);
    int r = cache_upsert(store->cache, name, size, 1700000000, "\"v1\"", 5, &entry);
    if (r == 0)
        r = cache_admit(store->cache, name, bytes_of(content, size), &verdict, 100, 200,
                        store->keep_until_s, ret_entry ? ret_entry : &entry);
    free(content);
    return r;
}

int store_check(struct store *store, const struct certname *name, size_t size, uint32_t seed)
{
    struct cache_entry entry;
    size_t got = 0;
    int r = cache_find(store->cache, name, &entry);
    if (r != 0)
        return r;
    uint8_t *expected = malloc(size + 1);
    uint8_t *actual = calloc(1, size + 1);
    assert_true(expected && actual);
    content_fill(expected, size, seed);
    r = cache_read(store->cache, entry.inode, 0, actual, size + 1, &got);
    if (r == 0) {
        assert_int_equal(got, size);
        assert_memory_equal(actual, expected, size);
    } else {
        for (size_t i = 0; i < size; i++)
            assert_int_equal(actual[i], 0);
    }
    free(expected);
    free(actual);
    return r;
}

static uint8_t *load_file(const struct store *store, const char *name, size_t *ret_size)
{
    int fd = openat(store->directory_fd, name, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0)
        return NULL;
    assert_int_equal(fstat(fd, &status), 0);
    *ret_size = (size_t)status.st_size;
    uint8_t *bytes = malloc(*ret_size + 1);
    assert_non_null(bytes);
    for (size_t done = 0; done < *ret_size;) {
        ssize_t count = pread(fd, bytes + done, *ret_size - done, (off_t)done);
        assert_true(count > 0);
        done += (size_t)count;
    }
    close(fd);
    return bytes;
}

bool store_contains(const struct store *store, const void *bytes, size_t size)
{
    bool found = false;
    for (size_t i = 0; i < sizeof file_names / sizeof *file_names; i++) {
        size_t file_size;
        uint8_t *file = load_file(store, file_names[i], &file_size);
        if (file && memmem(file, file_size, bytes, size))
            found = true;
        free(file);
    }
    return found;
}

unsigned store_keyed_slots(const struct store *store)
{
    size_t size;
    unsigned count = 0;
    uint8_t *file = load_file(store, "slots", &size);
    assert_non_null(file);
    for (size_t at = 4096; at + 128 <= size; at += 128)
        if (be32_get(file + at + 16) == 2)
            count++;
    free(file);
    return count;
}
