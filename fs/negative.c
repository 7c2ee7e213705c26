/*
 * A ring of slots in order of arrival, found through buckets that chain slot numbers. The ring's
 * next slot is always the oldest, so making room costs nothing.
 */
#include "fs/negative.h"

#include "base/crypto.h"
#include "fs/name_hash.h"

#include <string.h>

enum { NEGATIVE_BUCKETS = 16384, SLOT_NONE = -1 };

struct negative_slot {
    struct certname name; /* empty text: unused */
    int64_t until_ms;
    int32_t next; /* in the bucket's chain */
};

struct negative {
    uint64_t seed;
    int32_t oldest;
    int32_t buckets[NEGATIVE_BUCKETS];
    struct negative_slot slots[NEGATIVE_MAX];
};

struct negative *negative_new(void)
{
    struct negative *negative = calloc(1, sizeof *negative);
    if (!negative || random_bytes(&negative->seed, sizeof negative->seed) < 0)
        return negative_free(negative);
    for (size_t i = 0; i < NEGATIVE_BUCKETS; i++)
        negative->buckets[i] = SLOT_NONE;
    return negative;
}

struct negative *negative_free(struct negative *negative)
{
    free(negative);
    return NULL;
}

/* The link that points at the name's slot, or the end of its chain. */
static int32_t *negative_link(struct negative *negative, const struct certname *name)
{
    int32_t *link = &negative->buckets[name_hash(negative->seed, name) % NEGATIVE_BUCKETS];
    while (*link != SLOT_NONE && strcmp(negative->slots[*link].name.text, name->text) != 0)
        link = &negative->slots[*link].next;
    return link;
}

void negative_remove(struct negative *negative, const struct certname *name)
{
    int32_t *link = negative_link(negative, name);
    if (*link == SLOT_NONE)
        return;
    struct negative_slot *slot = &negative->slots[*link];
    *link = slot->next;
    memset(slot, 0, sizeof *slot);
}

void negative_add(struct negative *negative, const struct certname *name, int64_t until_ms)
{
    negative_remove(negative, name);
    struct negative_slot *slot = &negative->slots[negative->oldest];
    if (slot->name.text[0]) {
        struct certname leaving = slot->name;
        negative_remove(negative, &leaving);
    }
    int32_t *bucket = &negative->buckets[name_hash(negative->seed, name) % NEGATIVE_BUCKETS];
    *slot = (struct negative_slot){.name = *name, .until_ms = until_ms, .next = *bucket};
    *bucket = negative->oldest;
    negative->oldest = (negative->oldest + 1) % NEGATIVE_MAX;
}

int64_t negative_left_ms(struct negative *negative, const struct certname *name, int64_t now_ms)
{
    int32_t slot = *negative_link(negative, name);
    if (slot == SLOT_NONE || negative->slots[slot].until_ms <= now_ms)
        return 0;
    return negative->slots[slot].until_ms - now_ms;
}
