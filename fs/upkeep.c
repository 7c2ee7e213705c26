/* See fs/upkeep.h. */
#include "fs/upkeep.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/delivery.h"
#include "fs/mountfs.h"
#include "fs/uses.h"

#include <errno.h>
#include <string.h>

enum {
    USES_AT_ONCE = 256,
    LOOK_AT_ONCE = 200,    /* entries looked at in one turn */
    EVICT_AT_ONCE = 32,    /* certificates evicted in one turn */
    EVICT_LOOK_MAX = 2000, /* entries passed over in one turn */
    STORE_UPKEEP_MS = 5000,
    ALERT_CHECK_MS = 2000,
    USES_MS = 10000,
};

struct upkeep {
    struct mountfs *fs;
    int64_t clock_offset_s; /* wall clock minus monotonic clock, at the start */
    bool clock_told;
    int64_t uses_ms, store_ms, alerts_ms; /* when each was done last */
    int64_t look_ms;                      /* when the walk began */
    uint32_t cursor;                      /* of the walk; 0: it is over */
    bool walking;
    bool evicting; /* between high and low water */
    struct cache_entry page[LOOK_AT_ONCE];
};

struct upkeep *upkeep_new(struct mountfs *fs)
{
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    if (upkeep) {
        upkeep->fs = fs;
        upkeep->clock_offset_s = clock_realtime_s() - clock_monotonic_ms() / 1000;
        upkeep->look_ms = clock_monotonic_ms() - fs->retention->look; /* the first at once */
    }
    return upkeep;
}

struct upkeep *upkeep_free(struct upkeep *upkeep)
{
    free(upkeep);
    return NULL;
}

int64_t upkeep_keep_until(struct mountfs *fs, const struct certname *name, int64_t stored_at_s)
{
    int64_t keep_s = access_keep_s(fs->access, name);
    if (keep_s < 0)
        keep_s = (fs->retention->keep + 999) / 1000;
    return keep_s > 0 ? stored_at_s + keep_s : 0;
}

/* The content goes by itself; on record as any other purge is. */
static void let_go(struct upkeep *upkeep, struct cache *cache, const struct cache_entry *entry,
                   const char *why)
{
    struct mountfs *fs = upkeep->fs;
    char digest[2 * SHA256_SIZE + 1];
    hex_encode(entry->sha256, sizeof entry->sha256, digest);
    const struct audit_event event = {.kind = AUDIT_PURGE,
                                      .name = entry->name.text,
                                      .reason = why,
                                      .detail = {{"document_sha256", digest}}};
    if (audit_write(fs->audit, &event) < 0)
        return; /* again at the next walk */
    int error = cache_purge(cache, &entry->name);
    mountfs_withdraw(fs, entry->inode);
    if (error < 0 || error == CACHE_PENDING)
        alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_STORE, why,
                     "Look at the disk and at the log; it is tried again.",
                     "a certificate that should be erased is not: %s",
                     strerror(error < 0 ? -error : EIO));
}

/* --- retention -------------------------------------------------------------------------------- */

static bool clock_jumped(struct upkeep *upkeep)
{
    int64_t moved = clock_realtime_s() - clock_monotonic_ms() / 1000 - upkeep->clock_offset_s;
    bool jumped = moved > UPKEEP_CLOCK_SLACK_S || moved < -UPKEEP_CLOCK_SLACK_S;
    if (jumped && !upkeep->clock_told)
        alerts_raise(upkeep->fs->alerts, ALERT_WARNING, ALERT_CLOCK, "retention",
                     "Set the clock right and start kosekifs again.",
                     "the clock was changed: nothing expires until the next start");
    upkeep->clock_told = jumped;
    return jumped;
}

static void look_at_page(struct upkeep *upkeep, struct cache *cache)
{
    size_t filled = 0;
    int64_t now_s = clock_realtime_s();
    if (cache_list_content(cache, &upkeep->cursor, upkeep->page, LOOK_AT_ONCE, &filled) < 0 ||
        filled == 0) {
        upkeep->walking = false;
        return;
    }
    for (size_t i = 0; i < filled; i++) {
        const struct cache_entry *entry = &upkeep->page[i];
        int64_t until_s = upkeep_keep_until(upkeep->fs, &entry->name, entry->stored_at_s);
        if (until_s && until_s <= now_s && !entry->held)
            let_go(upkeep, cache, entry, "retention");
    }
}

static void expire(struct upkeep *upkeep, struct cache *cache, int64_t now_ms)
{
    if (clock_jumped(upkeep))
        return;
    if (!upkeep->walking && now_ms - upkeep->look_ms >= upkeep->fs->retention->look) {
        upkeep->look_ms = now_ms;
        upkeep->walking = true;
        upkeep->cursor = 0;
    }
    if (upkeep->walking)
        look_at_page(upkeep, cache);
}

/* --- making room ------------------------------------------------------------------------------ */

static uint64_t share_of(int64_t quota, int64_t per_cent)
{
    return (uint64_t)quota / 100 * (uint64_t)per_cent;
}

static bool wants_room(struct upkeep *upkeep, const struct cache_statistics *store)
{
    const struct config_retention *retention = upkeep->fs->retention;
    int64_t quota = upkeep->fs->config->quota;
    uint64_t free_bytes = store->blocks_free * store->block_size;
    uint64_t headroom = (uint64_t)retention->headroom;
    int64_t low =
        retention->low_water < retention->high_water ? retention->low_water : retention->high_water;
    if (upkeep->evicting)
        upkeep->evicting =
            (quota > 0 && store->stored_bytes > share_of(quota, low)) || free_bytes < 2 * headroom;
    else
        upkeep->evicting =
            (quota > 0 && store->stored_bytes > share_of(quota, retention->high_water)) ||
            free_bytes < headroom + headroom / 2;
    return upkeep->evicting;
}

/* A few of the longest unused; what is open or held stays. */
static void evict(struct upkeep *upkeep, struct cache *cache)
{
    struct cache_statistics store;
    struct cache_entry entry;
    struct cache_age cursor = {0};
    int64_t unused_since_s =
        clock_realtime_s() - (upkeep->fs->retention->evict_unused + 999) / 1000;
    unsigned gone = 0;
    for (unsigned looked = 0; looked < EVICT_LOOK_MAX && gone < EVICT_AT_ONCE; looked++) {
        if (cache_statistics(cache, &store) < 0 || !wants_room(upkeep, &store) ||
            cache_oldest(cache, &cursor, &entry) != 0 || entry.used_at_s > unused_since_s)
            return;
        if (entry.held || delivery_is_open(upkeep->fs->delivery, entry.inode))
            continue;
        let_go(upkeep, cache, &entry, "evicted");
        gone++;
    }
}

/* --- telling ---------------------------------------------------------------------------------- */

static void tell(struct upkeep *upkeep, struct cache *cache)
{
    struct cache_statistics store;
    struct alerts *alerts = upkeep->fs->alerts;
    if (cache_statistics(cache, &store) < 0)
        return;
    if (store.blocks_free * store.block_size < 2 * (uint64_t)upkeep->fs->retention->headroom)
        alerts_raise(alerts, ALERT_WARNING, ALERT_DISK, "store",
                     "Make room on the disk, purge, or lower [mount] quota.",
                     "the disk of the store is nearly full; soon nothing new can be stored");
    if (store.map_used > store.map_size / 10 * 9)
        alerts_raise(alerts, ALERT_WARNING, ALERT_STORE, "map",
                     "Raise [mount] map_size and start kosekifs again.",
                     "the address space of the store is nearly used up");
    if (store.mirrors_behind)
        alerts_raise(alerts, ALERT_CRITICAL, ALERT_STORE, "copy of the keys",
                     "Look at the disks of [backup] ledger and [replica] path; when they are back, "
                     "start kosekifs again.",
                     "a copy of the keys cannot be written: erasures there are pending");
}

void upkeep_run(struct upkeep *upkeep, struct cache *cache)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - upkeep->uses_ms >= USES_MS) {
        struct cache_use uses[USES_AT_ONCE];
        size_t count = uses_take(upkeep->fs->uses, uses, USES_AT_ONCE);
        if (count > 0 && cache_note_uses(cache, uses, count) < 0)
            log_debug("uses not remembered");
        upkeep->uses_ms = count == USES_AT_ONCE ? 0 : now_ms;
    }
    if (now_ms - upkeep->store_ms >= STORE_UPKEEP_MS) {
        unsigned ended = 0;
        upkeep->store_ms = now_ms;
        int error = cache_upkeep(cache, clock_realtime_s(), &ended);
        if (error == -ENOTRECOVERABLE)
            alerts_raise(upkeep->fs->alerts, ALERT_CRITICAL, ALERT_STORE, "store",
                         "Look at the disk, then start kosekifs again: systemctl restart kosekifs.",
                         "the disk refused a commit of the store; nothing stored can be read until "
                         "kosekifs is started again, nothing is lost");
        else if (error < 0)
            log_warning("upkeep of the store failed; it is tried again");
        const struct audit_event event = {
            .kind = AUDIT_KEY, .reason = "destroyed", .text = "key of a retention period"};
        for (; ended > 0; ended--)
            if (audit_write(upkeep->fs->audit, &event) < 0)
                log_warning("the end of a retention period's key could not be recorded");
    }
    expire(upkeep, cache, now_ms);
    if (upkeep->fs->retention->evict_unused > 0)
        evict(upkeep, cache);
    if (now_ms - upkeep->alerts_ms >= ALERT_CHECK_MS) {
        upkeep->alerts_ms = now_ms;
        tell(upkeep, cache);
    }
}
