/* A hash table with chains, and a list from the most to the least recently used, over one array of
 * fixed size. Links are indexes; NONE ends. */
#include "cache/data_keys.h"

#include <pthread.h>
#include <sys/mman.h>

enum { NONE = DATA_KEYS_MAX, BUCKET_COUNT = 2048 };

struct place {
    struct data_key key;
    uint64_t generation;
    uint32_t slot;
    uint16_t chain;        /* next in the bucket, or next free */
    uint16_t newer, older; /* NONE at the ends */
};

struct data_keys {
    pthread_mutex_t lock;
    uint64_t epoch; /* lock, as all below */
    bool keeps_none;
    uint16_t free; /* first free place */
    uint16_t newest, oldest;
    uint16_t buckets[BUCKET_COUNT]; /* first of each chain */
    struct place places[DATA_KEYS_MAX];
};

_Static_assert(NONE <= UINT16_MAX, "indexes fit");

int data_keys_new(struct data_keys **ret_keys)
{
    struct data_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return -ENOMEM;
    int r = pthread_mutex_init(&keys->lock, NULL);
    if (r != 0) {
        free(keys);
        return -r;
    }
    /* Where the limit allows it; start is refused on unencrypted swap in any case. */
    (void)!mlock(keys, sizeof *keys);
    keys->newest = NONE;
    keys->oldest = NONE;
    for (unsigned i = 0; i < BUCKET_COUNT; i++)
        keys->buckets[i] = NONE;
    for (unsigned i = 0; i < DATA_KEYS_MAX; i++)
        keys->places[i].chain = (uint16_t)(i + 1);
    *ret_keys = keys;
    return 0;
}

struct data_keys *data_keys_free(struct data_keys *keys)
{
    if (keys) {
        pthread_mutex_destroy(&keys->lock);
        wipe(keys, sizeof *keys);
        munlock(keys, sizeof *keys);
        free(keys);
    }
    return NULL;
}

/* Generations are random. */
static uint16_t *bucket_of(struct data_keys *keys, uint32_t slot, uint64_t generation)
{
    return &keys->buckets[(generation ^ slot) % BUCKET_COUNT];
}

static uint16_t *find_link(struct data_keys *keys, uint32_t slot, uint64_t generation)
{
    uint16_t *link = bucket_of(keys, slot, generation);
    while (*link != NONE) {
        struct place *place = &keys->places[*link];
        if (place->slot == slot && place->generation == generation)
            break;
        link = &place->chain;
    }
    return link;
}

static void unlink_age(struct data_keys *keys, const struct place *place)
{
    if (place->newer != NONE)
        keys->places[place->newer].older = place->older;
    else
        keys->newest = place->older;
    if (place->older != NONE)
        keys->places[place->older].newer = place->newer;
    else
        keys->oldest = place->newer;
}

static void link_newest(struct data_keys *keys, uint16_t index)
{
    struct place *place = &keys->places[index];
    place->newer = NONE;
    place->older = keys->newest;
    if (keys->newest != NONE)
        keys->places[keys->newest].newer = index;
    else
        keys->oldest = index;
    keys->newest = index;
}

/* `link` points at the place to leave. */
static void release(struct data_keys *keys, uint16_t *link)
{
    uint16_t index = *link;
    struct place *place = &keys->places[index];
    *link = place->chain;
    unlink_age(keys, place);
    data_key_wipe(&place->key);
    place->chain = keys->free;
    keys->free = index;
}

bool data_keys_find(struct data_keys *keys, uint32_t slot, uint64_t generation,
                    struct data_key *ret_key)
{
    pthread_mutex_lock(&keys->lock);
    uint16_t index = *find_link(keys, slot, generation);
    if (index != NONE) {
        *ret_key = keys->places[index].key;
        unlink_age(keys, &keys->places[index]);
        link_newest(keys, index);
    }
    pthread_mutex_unlock(&keys->lock);
    return index != NONE;
}

uint64_t data_keys_epoch(struct data_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    uint64_t epoch = keys->epoch;
    pthread_mutex_unlock(&keys->lock);
    return epoch;
}

void data_keys_add(struct data_keys *keys, uint64_t epoch, uint32_t slot, uint64_t generation,
                   const struct data_key *key)
{
    pthread_mutex_lock(&keys->lock);
    if (epoch == keys->epoch && !keys->keeps_none && *find_link(keys, slot, generation) == NONE) {
        if (keys->free == NONE) {
            const struct place *oldest = &keys->places[keys->oldest];
            release(keys, find_link(keys, oldest->slot, oldest->generation));
        }
        uint16_t index = keys->free;
        struct place *place = &keys->places[index];
        uint16_t *bucket = bucket_of(keys, slot, generation);
        keys->free = place->chain;
        place->key = *key;
        place->slot = slot;
        place->generation = generation;
        place->chain = *bucket;
        *bucket = index;
        link_newest(keys, index);
    }
    pthread_mutex_unlock(&keys->lock);
}

void data_keys_drop(struct data_keys *keys, uint32_t slot, uint64_t generation)
{
    pthread_mutex_lock(&keys->lock);
    keys->epoch++;
    uint16_t *link = find_link(keys, slot, generation);
    if (*link != NONE)
        release(keys, link);
    pthread_mutex_unlock(&keys->lock);
}

void data_keys_forget(struct data_keys *keys, bool keep)
{
    pthread_mutex_lock(&keys->lock);
    keys->epoch++;
    keys->keeps_none = !keep;
    while (keys->oldest != NONE) {
        const struct place *oldest = &keys->places[keys->oldest];
        release(keys, find_link(keys, oldest->slot, oldest->generation));
    }
    pthread_mutex_unlock(&keys->lock);
}
