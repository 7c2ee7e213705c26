/*
 * Four readers while one thread admits, replaces, revises, withholds and purges: a read yields one
 * version, whole and right, or says that there is none. Built with ThreadSanitizer it also proves
 * that nothing is shared unlocked.
 */
#include "store_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { READERS = 4, NAMES = 5, ROUNDS = 400, SIZE_MAX_HERE = 200000 };

/* What the entry of a name must say when no change of it is under way; atomic. */
struct promise {
    unsigned begun, done; /* changes */
    unsigned state;
    size_t size;
};

struct shared {
    struct store store;
    int stop;       /* atomic */
    unsigned reads; /* atomic, as the next: what the readers met */
    unsigned misses;
    unsigned wrong;
    unsigned promised; /* entries that could be compared */
    struct promise promises[NAMES];
};

/* The first four bytes of a content tell its seed. */
static bool content_right(const uint8_t *content, size_t size)
{
    uint32_t seed;
    if (size < sizeof seed)
        return false;
    memcpy(&seed, content, sizeof seed);
    uint8_t *expected = malloc(size);
    content_fill(expected, size, seed);
    bool right = memcmp(expected, content, size) == 0;
    free(expected);
    return right;
}

static void count(unsigned *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static void read_once(struct shared *shared, uint32_t inode, uint8_t *buffer)
{
    size_t size = 0;
    int r = cache_read(shared->store.cache, inode, 0, buffer, SIZE_MAX_HERE, &size);
    if (r == CACHE_MISS)
        count(&shared->misses);
    else if (r == 0 && content_right(buffer, size))
        count(&shared->reads);
    else
        count(&shared->wrong);
}

/* An entry kept in memory must not outlive the change that came after it. */
static void find_once(struct shared *shared, unsigned number)
{
    struct promise *promise = &shared->promises[number];
    struct cache_entry entry;
    unsigned done = __atomic_load_n(&promise->done, __ATOMIC_SEQ_CST);
    unsigned state = __atomic_load_n(&promise->state, __ATOMIC_SEQ_CST);
    size_t size = __atomic_load_n(&promise->size, __ATOMIC_SEQ_CST);
    int r = cache_find_inode(shared->store.cache, CACHE_INODE_FIRST + number, &entry);
    if (__atomic_load_n(&promise->begun, __ATOMIC_SEQ_CST) != done || done == 0)
        return;
    count(&shared->promised);
    if (r != 0 || entry.state != state || entry.size != size)
        count(&shared->wrong);
}

static bool any_name(void *context, const struct certname *name)
{
    (void)context;
    (void)name;
    return true;
}

static bool any_entry(void *context, const struct cache_entry *entry)
{
    (void)context;
    (void)entry;
    return true;
}

static bool note_listed(void *context, uint32_t inode, const struct certname *name,
                        const struct cache_entry *entry)
{
    bool *listed = context;
    (void)name;
    (void)entry;
    listed[inode - CACHE_INODE_FIRST] = true;
    return true;
}

static uint64_t one_standing(void *context)
{
    (void)context;
    return 0;
}

/* Nor may a mark. */
static void walk_once(struct shared *shared)
{
    unsigned done[NAMES], state[NAMES];
    bool listed[NAMES] = {false}, end;
    uint32_t cursor = 0;
    const struct cache_walk walk = {.context = listed,
                                    .names_max = NAMES + 1,
                                    .entries_max = NAMES + 1,
                                    .standing = one_standing,
                                    .wanted = any_name,
                                    .shown = any_entry,
                                    .add = note_listed};
    for (unsigned i = 0; i < NAMES; i++) {
        done[i] = __atomic_load_n(&shared->promises[i].done, __ATOMIC_SEQ_CST);
        state[i] = __atomic_load_n(&shared->promises[i].state, __ATOMIC_SEQ_CST);
    }
    if (cache_walk(shared->store.cache, &walk, &cursor, &end) != 0 || !end)
        count(&shared->wrong);
    for (unsigned i = 0; i < NAMES; i++) {
        if (done[i] > 0 &&
            __atomic_load_n(&shared->promises[i].begun, __ATOMIC_SEQ_CST) == done[i] &&
            listed[i] != (state[i] == CACHE_STORED))
            count(&shared->wrong);
    }
}

static void *run_reader(void *argument)
{
    struct shared *shared = argument;
    uint8_t *buffer = malloc(SIZE_MAX_HERE);
    struct verdict *verdict = malloc(sizeof *verdict);
    unsigned turn = 0;
    while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
        struct certname name = name_number(turn % NAMES);
        struct cache_entry entry, page[3];
        struct cache_statistics statistics;
        uint32_t cursor = 0;
        size_t filled;
        read_once(shared, CACHE_INODE_FIRST + turn++ % NAMES, buffer);
        for (unsigned i = 0; i < 20 * NAMES; i++)
            find_once(shared, i % NAMES);
        for (unsigned i = 0; i < 5; i++)
            walk_once(shared);
        if (cache_find(shared->store.cache, &name, &entry) < 0 ||
            cache_verdict(shared->store.cache, &name, verdict) < 0 ||
            cache_list(shared->store.cache, &cursor, page, 3, &filled) != 0 ||
            cache_statistics(shared->store.cache, &statistics) != 0 || statistics.stored > NAMES)
            count(&shared->wrong);
    }
    free(buffer);
    free(verdict);
    return NULL;
}

static void write_once(struct store *store, unsigned round, size_t *sizes, uint32_t *seeds)
{
    unsigned number = round % NAMES;
    struct certname name = name_number(number);
    struct verdict verdict;
    static uint8_t content[SIZE_MAX_HERE];
    switch (round / NAMES % 5) {
    case 0:
    case 1: /* new, then replaced */
        sizes[number] = 100 + round * 997 % (SIZE_MAX_HERE - 100);
        seeds[number] = round;
        assert_int_equal(store_admit(store, &name, sizes[number], round, NULL), 0);
        break;
    case 2: /* withheld */
    case 3: /* and given back */
        content_fill(content, sizes[number], seeds[number]);
        verdict_for(&verdict, content, sizes[number]);
        if (round / NAMES % 5 == 2)
            verdict.indication = VERDICT_INDETERMINATE;
        assert_int_equal(cache_revise(store->cache, &name, &verdict), 0);
        break;
    case 4:
        assert_int_equal(cache_purge(store->cache, &name), 0);
        break;
    }
}

static void write_promised(struct shared *shared, unsigned round, size_t *sizes, uint32_t *seeds)
{
    struct promise *promise = &shared->promises[round % NAMES];
    unsigned phase = round / NAMES % 5;
    __atomic_add_fetch(&promise->begun, 1, __ATOMIC_SEQ_CST);
    write_once(&shared->store, round, sizes, seeds);
    unsigned state = phase == 2 ? CACHE_WITHHELD : phase == 4 ? CACHE_KNOWN : CACHE_STORED;
    __atomic_store_n(&promise->state, state, __ATOMIC_SEQ_CST);
    __atomic_store_n(&promise->size, sizes[round % NAMES], __ATOMIC_SEQ_CST);
    __atomic_store_n(&promise->done, promise->begun, __ATOMIC_SEQ_CST);
}

static void test_readers_and_a_writer(void **state)
{
    (void)state;
    static struct shared shared;
    pthread_t readers[READERS];
    size_t sizes[NAMES] = {0};
    uint32_t seeds[NAMES] = {0};
    store_new(&shared.store);
    store_open(&shared.store);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, run_reader, &shared), 0);
    for (unsigned round = 0; round < ROUNDS; round++)
        write_promised(&shared, round, sizes, seeds);
    __atomic_store_n(&shared.stop, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    print_message("%u reads, %u misses, %u entries\n", shared.reads, shared.misses,
                  shared.promised);
    assert_int_equal(shared.wrong, 0);
    assert_true(shared.reads > 0 && shared.misses > 0 && shared.promised > 0);
    store_remove(&shared.store);
}

/* A key that is being unwrapped while its slot is erased must not stay in memory: the reader is
 * held inside unwrap until the purge is over. */
struct gate {
    struct cache_keyring ring;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed, waiting;
};

static int gate_unwrap(void *context, const void *aad, size_t aad_size,
                       const uint8_t wrapped[CACHE_WRAPPED_SIZE], uint8_t ret_key[AEAD_KEY_SIZE])
{
    struct gate *gate = context;
    pthread_mutex_lock(&gate->lock);
    gate->waiting = true;
    pthread_cond_broadcast(&gate->changed);
    while (gate->closed)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return gate->ring.unwrap(gate->ring.context, aad, aad_size, wrapped, ret_key);
}

static int gate_generate(void *context, const void *aad, size_t aad_size,
                         uint8_t ret_key[AEAD_KEY_SIZE], uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    struct gate *gate = context;
    return gate->ring.generate(gate->ring.context, aad, aad_size, ret_key, ret_wrapped);
}

struct held_read {
    struct cache *cache;
    int result;
    uint8_t bytes[10];
};

static void *run_held_read(void *argument)
{
    struct held_read *held = argument;
    size_t size;
    held->result = cache_read(held->cache, CACHE_INODE_FIRST, 0, held->bytes, 10, &size);
    return NULL;
}

static void test_purge_while_a_key_is_fetched(void **state)
{
    (void)state;
    struct store store;
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct held_read held = {0};
    struct certname name = name_number(1);
    char message[256];
    pthread_t thread;
    store_new(&store);
    store_open(&store);
    assert_int_equal(store_admit(&store, &name, 1000, 1, NULL), 0);
    gate.ring = store.settings.keyring;
    store_close(&store);
    store.settings.keyring =
        (struct cache_keyring){.context = &gate, .generate = gate_generate, .unwrap = gate_unwrap};
    assert_int_equal(cache_open(&store.settings, message, &held.cache), 0);

    pthread_mutex_lock(&gate.lock);
    gate.closed = true;
    gate.waiting = false;
    assert_int_equal(pthread_create(&thread, NULL, run_held_read, &held), 0);
    while (!gate.waiting)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    assert_int_equal(cache_purge(held.cache, &name), 0);
    pthread_mutex_lock(&gate.lock);
    gate.closed = false;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    pthread_join(thread, NULL);
    assert_int_equal(held.result, CACHE_MISS);
    assert_int_equal(held.bytes[0], 0);
    cache_close(held.cache);
    store_remove(&store);
}

int main(void)
{
    if (!store_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_and_a_writer),
        cmocka_unit_test(test_purge_while_a_key_is_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
