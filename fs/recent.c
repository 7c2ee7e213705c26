/*
 * A ring of slots in order of arrival, found through buckets that chain slot numbers. The ring's
 * next slot is always the oldest, so making room costs nothing.
 */
#include "fs/recent.h"

#include "base/crypto.h"
#include "fs/name_hash.h"

#include <string.h>

enum { RECENT_BUCKETS = 16384, SLOT_NONE = -1 };

struct recent_slot {
    struct certname name; /* empty text: unused */
    int64_t until_ms;
    int32_t next; /* in the bucket's chain */
};

struct recent {
    uint64_t seed;
    int32_t oldest;
    int32_t buckets[RECENT_BUCKETS];
    struct recent_slot slots[RECENT_MAX];
};

struct recent *recent_new(void)
{
    struct recent *recent = calloc(1, sizeof *recent);
    if (!recent || random_bytes(&recent->seed, sizeof recent->seed) < 0)
        return recent_free(recent);
    for (size_t i = 0; i < RECENT_BUCKETS; i++)
        recent->buckets[i] = SLOT_NONE;
    return recent;
}

struct recent *recent_free(struct recent *recent)
{
    free(recent);
    return NULL;
}

/* The link that points at the name's slot, or the end of its chain. */
static int32_t *recent_link(struct recent *recent, const struct certname *name)
{
    int32_t *link = &recent->buckets[name_hash(recent->seed, name) % RECENT_BUCKETS];
    while (*link != SLOT_NONE && strcmp(recent->slots[*link].name.text, name->text) != 0)
        link = &recent->slots[*link].next;
    return link;
}

void recent_remove(struct recent *recent, const struct certname *name)
{
    int32_t *link = recent_link(recent, name);
    if (*link == SLOT_NONE)
        return;
    struct recent_slot *slot = &recent->slots[*link];
    *link = slot->next;
    memset(slot, 0, sizeof *slot);
}

void recent_add(struct recent *recent, const struct certname *name, int64_t until_ms)
{
    recent_remove(recent, name);
    struct recent_slot *slot = &recent->slots[recent->oldest];
    if (slot->name.text[0]) {
        struct certname leaving = slot->name;
        recent_remove(recent, &leaving);
    }
    int32_t *bucket = &recent->buckets[name_hash(recent->seed, name) % RECENT_BUCKETS];
    *slot = (struct recent_slot){.name = *name, .until_ms = until_ms, .next = *bucket};
    *bucket = recent->oldest;
    recent->oldest = (recent->oldest + 1) % RECENT_MAX;
}

int64_t recent_left_ms(struct recent *recent, const struct certname *name, int64_t now_ms)
{
    int32_t slot = *recent_link(recent, name);
    if (slot == SLOT_NONE || recent->slots[slot].until_ms <= now_ms)
        return 0;
    return recent->slots[slot].until_ms - now_ms;
}
