/* One place for an inode number, which come one after the other, so neighbours do not meet. */
#include "cache/warm_entries.h"

#include "base/crypto.h"

#include <pthread.h>

struct place {
    pthread_mutex_t lock; /* the rest */
    uint64_t transaction;
    struct cache_entry entry; /* inode 0: none */
};

struct warm_entries {
    struct place places[WARM_ENTRIES_MAX];
};

int warm_entries_new(struct warm_entries **ret_entries)
{
    struct warm_entries *entries = calloc(1, sizeof *entries);
    if (!entries)
        return -ENOMEM;
    for (size_t i = 0; i < WARM_ENTRIES_MAX; i++)
        pthread_mutex_init(&entries->places[i].lock, NULL);
    *ret_entries = entries;
    return 0;
}

struct warm_entries *warm_entries_free(struct warm_entries *entries)
{
    if (!entries)
        return NULL;
    warm_entries_forget_all(entries);
    for (size_t i = 0; i < WARM_ENTRIES_MAX; i++)
        pthread_mutex_destroy(&entries->places[i].lock);
    free(entries);
    return NULL;
}

static struct place *place_lock(struct warm_entries *entries, uint32_t inode)
{
    struct place *place = &entries->places[inode % WARM_ENTRIES_MAX];
    pthread_mutex_lock(&place->lock);
    return place;
}

bool warm_entries_find(struct warm_entries *entries, uint32_t inode, uint64_t newest,
                       struct cache_entry *ret_entry)
{
    struct place *place = place_lock(entries, inode);
    bool found = inode != 0 && place->entry.inode == inode && place->transaction == newest;
    if (found)
        *ret_entry = place->entry;
    pthread_mutex_unlock(&place->lock);
    return found;
}

void warm_entries_add(struct warm_entries *entries, const struct cache_entry *entry,
                      uint64_t transaction)
{
    struct place *place = place_lock(entries, entry->inode);
    place->entry = *entry;
    place->transaction = transaction;
    pthread_mutex_unlock(&place->lock);
}

void warm_entries_forget(struct warm_entries *entries, uint32_t inode)
{
    struct place *place = place_lock(entries, inode);
    if (place->entry.inode == inode)
        wipe(&place->entry, sizeof place->entry);
    pthread_mutex_unlock(&place->lock);
}

void warm_entries_forget_all(struct warm_entries *entries)
{
    for (uint32_t i = 0; i < WARM_ENTRIES_MAX; i++) {
        struct place *place = place_lock(entries, i);
        wipe(&place->entry, sizeof place->entry);
        pthread_mutex_unlock(&place->lock);
    }
}
