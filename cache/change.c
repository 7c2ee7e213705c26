/* See cache/change.h. */
#include "cache/change.h"

#include "cache/erasure.h"
#include "cache/periods.h"
#include "cache/space.h"

#include <assert.h>

static bool is_admission(const struct change *change)
{
    return change->asked->kind == CACHE_ADMISSION;
}

static int check_space(struct cache *cache, const struct change *changes, size_t count)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < count; i++)
        pages +=
            SPACE_SMALL_PAGES +
            (is_admission(&changes[i]) ? admission_pages(cache, &changes[i].asked->admission) : 0);
    return space_check(cache, pages);
}

/* Keys of periods first: making one may take a slot, and a slot that was taken is in no list until
 * its transaction, so that all are taken at once. */
static int prepare(struct cache *cache, struct change *changes, size_t count)
{
    struct pool_slot slots[CACHE_CHANGES_MAX];
    unsigned wanted = 0, taken = 0;
    int r = check_space(cache, changes, count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!is_admission(&changes[i]))
            continue;
        wanted++;
        changes[i].period = period_of(changes[i].asked->admission.keep_until_s);
        if (changes[i].period != 0)
            r = period_prepare(cache, changes[i].period, &changes[i].key);
    }
    if (r == 0 && wanted > 0)
        r = pool_take(cache, slots, wanted);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!is_admission(&changes[i]))
            continue;
        changes[i].slot = slots[taken++];
        r = admission_prepare(&changes[i]);
    }
    wipe(slots, sizeof slots);
    return r;
}

static int make_one(struct cache *cache, MDB_txn *transaction, struct change *change)
{
    int r = is_admission(change) ? admission_look(cache, transaction, change)
                                 : news_look(cache, transaction, change);
    if (r == CHANGE_NOTHING)
        change->asked->entry = change->row.entry;
    if (r != 0) {
        change->asked->result = r < 0 ? r : 0;
        return 0;
    }
    change->written = true;
    return is_admission(change) ? admission_write(cache, transaction, change)
                                : news_write(cache, transaction, change);
}

static int commit(struct cache *cache, struct change *changes, size_t count)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    bool written = false;
    int r = store_begin(cache, 0, &transaction);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = make_one(cache, transaction, &changes[i]);
        written |= changes[i].written;
    }
    return r == 0 && written ? store_commit(cache, &transaction) : r;
}

static void settle(struct cache *cache, const struct change *changes, size_t count)
{
    bool replaced = false;
    for (size_t i = 0; i < count; i++) {
        const struct change *change = &changes[i];
        if (!change->written)
            continue;
        change->asked->result = 0;
        change->asked->entry = change->row.entry;
        change->asked->first = is_admission(change) && change->row.place.version == 1;
        if (is_admission(change))
            admission_settle(cache, change);
        replaced |= change->replaces;
    }
    /* The new versions are in; the old ones stay pending if this fails. */
    if (replaced)
        (void)!erasure_finish(cache);
}

static int make(struct cache *cache, struct cache_change *const *asked, size_t count)
{
    struct change changes[CACHE_CHANGES_MAX];
    memset(changes, 0, count * sizeof *changes);
    for (size_t i = 0; i < count; i++)
        changes[i].asked = asked[i];
    int r = prepare(cache, changes, count);
    if (r == 0)
        r = commit(cache, changes, count);
    if (r == 0)
        settle(cache, changes, count);
    wipe(changes, count * sizeof *changes);
    return r;
}

void cache_apply(struct cache *cache, struct cache_change *changes, size_t count)
{
    struct cache_change *sound[CACHE_CHANGES_MAX];
    size_t sound_count = 0;
    assert(count <= CACHE_CHANGES_MAX);
    if (cache->erasures_pending)
        (void)!erasure_finish(cache);
    for (size_t i = 0; i < count; i++) {
        changes[i].result = changes[i].kind == CACHE_ADMISSION ? admission_check(&changes[i])
                                                               : news_check(&changes[i]);
        if (changes[i].result == 0)
            sound[sound_count++] = &changes[i];
    }
    if (sound_count == 0)
        return;
    int r = make(cache, sound, sound_count);
    /* Each admission would wait for kosekifs-keys once more, and the look-ups behind it, too. */
    bool keyless = r == -EHOSTDOWN || r == -ETIMEDOUT;
    for (size_t i = 0; r < 0 && i < sound_count; i++) {
        /* What is too much for all may be enough for some; each of them gets its own error. */
        bool again = sound_count > 1 && !(keyless && sound[i]->kind == CACHE_ADMISSION);
        int alone = again ? make(cache, &sound[i], 1) : r;
        if (alone < 0)
            sound[i]->result = alone;
    }
}
