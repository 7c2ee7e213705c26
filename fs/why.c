/*
 * A ring of notes with buckets by name. Successes are recorded only over an earlier failure, so
 * the ring is not worn by ordinary traffic.
 */
#include "fs/why.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "fs/name_hash.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { WHY_BUCKETS = 4096, NOTE_NONE = -1 };

struct why_slot {
    struct why_note note; /* empty name: unused */
    int32_t next;
};

struct why {
    pthread_mutex_t lock; /* guards all below */
    uint64_t seed;
    int32_t oldest;
    int32_t buckets[WHY_BUCKETS];
    struct why_slot slots[WHY_MAX];
};

struct why *why_new(void)
{
    struct why *why = calloc(1, sizeof *why);
    if (!why)
        return NULL;
    if (random_bytes(&why->seed, sizeof why->seed) < 0) {
        free(why);
        return NULL;
    }
    pthread_mutex_init(&why->lock, NULL);
    for (size_t i = 0; i < WHY_BUCKETS; i++)
        why->buckets[i] = NOTE_NONE;
    return why;
}

struct why *why_free(struct why *why)
{
    if (why) {
        pthread_mutex_destroy(&why->lock);
        free(why);
    }
    return NULL;
}

static int32_t *why_bucket(struct why *why, const struct certname *name)
{
    return &why->buckets[name_hash(why->seed, name) % WHY_BUCKETS];
}

static struct why_slot *why_slot_of(struct why *why, uid_t uid, const struct certname *name)
{
    for (int32_t i = *why_bucket(why, name); i != NOTE_NONE; i = why->slots[i].next)
        if (why->slots[i].note.uid == uid && strcmp(why->slots[i].note.name.text, name->text) == 0)
            return &why->slots[i];
    return NULL;
}

/* Takes the oldest slot out of its chain and puts it into that of `name`. */
static struct why_slot *why_slot_take(struct why *why, const struct certname *name)
{
    int32_t index = why->oldest;
    struct why_slot *slot = &why->slots[index];
    why->oldest = (why->oldest + 1) % WHY_MAX;
    if (slot->note.name.text[0]) {
        int32_t *link = why_bucket(why, &slot->note.name);
        while (*link != index)
            link = &why->slots[*link].next;
        *link = slot->next;
    }
    int32_t *bucket = why_bucket(why, name);
    slot->next = *bucket;
    *bucket = index;
    return slot;
}

void why_record(struct why *why, uid_t uid, const struct certname *name, int error,
                const char *reason)
{
    pthread_mutex_lock(&why->lock);
    struct why_slot *slot = why_slot_of(why, uid, name);
    if (!slot && error)
        slot = why_slot_take(why, name);
    if (slot) {
        slot->note.name = *name;
        slot->note.uid = uid;
        slot->note.error = error;
        slot->note.at_s = clock_realtime_s();
        snprintf(slot->note.reason, sizeof slot->note.reason, "%s", reason);
    }
    pthread_mutex_unlock(&why->lock);
}

bool why_find(struct why *why, uid_t uid, const struct certname *name, struct why_note *ret_note)
{
    pthread_mutex_lock(&why->lock);
    const struct why_slot *slot = why_slot_of(why, uid, name);
    if (slot)
        *ret_note = slot->note;
    pthread_mutex_unlock(&why->lock);
    return slot != NULL;
}

bool why_find_any(struct why *why, const struct certname *name, struct why_note *ret_note)
{
    const struct why_note *newest = NULL;
    pthread_mutex_lock(&why->lock);
    for (int32_t i = *why_bucket(why, name); i != NOTE_NONE; i = why->slots[i].next) {
        const struct why_note *note = &why->slots[i].note;
        if (strcmp(note->name.text, name->text) == 0 && (!newest || note->at_s > newest->at_s))
            newest = note;
    }
    if (newest)
        *ret_note = *newest;
    pthread_mutex_unlock(&why->lock);
    return newest != NULL;
}
