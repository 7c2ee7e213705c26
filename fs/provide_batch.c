/*
 * What waits at the store and can be written together: look-ups, and certificates that were
 * accepted. They share one transaction, so one wait for the disk, however many programs wait;
 * nobody is answered before it is over. The one that comes while the disk is busy is in the next.
 *
 * A batch has room for both kinds, so that neither a flood of new names nor a queue of large
 * certificates keeps the other from its turn.
 */
#include "base/clock.h"
#include "base/memfd.h"
#include "fs/errno_table.h"
#include "fs/provide_batch.h"
#include "fs/provide_private.h"

#include <errno.h>
#include <string.h>

/* With the ceiling below a look-up waits some tens of milliseconds for what is before it. */
enum { LOOKUPS_MAX = CACHE_CHANGES_MAX / 2 };
static const uint64_t batch_bytes_max = 8 * 1024 * 1024; /* or one that is larger */

bool flight_entry_agrees(const struct cache_entry *known, const struct cache_entry *head)
{
    return known->size == head->size && strcmp(known->validator, head->validator) == 0;
}

bool flight_is_admission(const struct flight *flight)
{
    return flight->kind == FLIGHT_CONTENT && !flight->anew && flight->verdict &&
           flight->verdict->indication == VERDICT_TOTAL_PASSED;
}

static void take(struct batch *batch, struct flight_queue *queue, struct flight *flight)
{
    TAILQ_REMOVE(queue, flight, queued);
    batch->items[batch->count++] = (struct batch_item){.flight = flight};
}

void step_gather(struct provide *provide, struct batch *batch)
{
    struct flight *flight;
    uint64_t bytes = 0;
    batch->count = 0;
    while (batch->count < LOOKUPS_MAX && (flight = TAILQ_FIRST(&provide->entry_queue)))
        take(batch, &provide->entry_queue, flight);
    while (batch->count < CACHE_CHANGES_MAX && (flight = TAILQ_FIRST(&provide->store_queue)) &&
           flight_is_admission(flight) &&
           (bytes == 0 || flight->entry.size <= batch_bytes_max - bytes)) {
        bytes += flight->entry.size < batch_bytes_max ? flight->entry.size : batch_bytes_max;
        take(batch, &provide->store_queue, flight);
    }
}

/* True if there is something to write. */
static bool prepare_lookup(struct provide *provide, struct batch_item *item,
                           struct cache_change *change)
{
    struct flight *flight = item->flight;
    struct cache_entry known;
    item->result = cache_find(provide->cache, &flight->name, &known);
    if (item->result < 0)
        return false;
    if (item->result == 0 &&
        (known.state == CACHE_STORED || flight_entry_agrees(&known, &flight->entry))) {
        flight->entry = known;
        return false;
    }
    *change = (struct cache_change){.kind = CACHE_NEWS,
                                    .name = &flight->name,
                                    .news = {.size = flight->entry.size,
                                             .modified_s = flight->entry.modified_s,
                                             .validator = flight->entry.validator,
                                             .now_ns = clock_realtime_ns()}};
    return true;
}

/* A look-up may hear of a newer version meanwhile, and content of the older one must not stand
 * under it: hence the validator. */
static bool prepare_admission(struct provide *provide, struct batch_item *item,
                              struct cache_change *change)
{
    struct flight *flight = item->flight;
    const struct provide_listener *listener = &provide->listener;
    int64_t now_s = clock_realtime_s();
    item->result = mapping_open(flight->memfd, (size_t)provide->config->body_max, &item->content);
    if (item->result < 0)
        return false;
    *change = (struct cache_change){
        .kind = CACHE_ADMISSION,
        .name = &flight->name,
        .admission = {.content = bytes_of(item->content.data, item->content.size),
                      .verdict = flight->verdict,
                      .received_at_s = flight->received_at_s,
                      .now_s = now_s,
                      .keep_until_s =
                          listener->keep_until
                              ? listener->keep_until(listener->context, &flight->name, now_s)
                              : 0,
                      .validator = flight->entry.validator}};
    return true;
}

static void write_batch(struct provide *provide, struct batch *batch)
{
    struct batch_item *items[CACHE_CHANGES_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        struct batch_item *item = &batch->items[i];
        bool writes = item->flight->kind == FLIGHT_LOOKUP
                          ? prepare_lookup(provide, item, &batch->changes[count])
                          : prepare_admission(provide, item, &batch->changes[count]);
        if (writes)
            items[count++] = item;
    }
    if (count > 0)
        cache_apply(provide->cache, batch->changes, count);
    for (size_t i = 0; i < count; i++) {
        items[i]->result = batch->changes[i].result;
        if (items[i]->result < 0)
            continue;
        items[i]->flight->entry = batch->changes[i].entry;
        items[i]->replaces = items[i]->flight->kind == FLIGHT_CONTENT && !batch->changes[i].first;
    }
}

static void step_land_item(struct provide *provide, const struct batch_item *item)
{
    struct flight *flight = item->flight;
    if (flight->kind == FLIGHT_CONTENT)
        step_land_judged(provide, flight, item->result);
    else
        step_land(provide, flight, item->result < 0 ? errno_of_store(item->result) : 0,
                  item->result < 0 ? "the store could not be read or written" : "");
}

void provide_store_batch(struct provide *provide, struct batch *batch)
{
    write_batch(provide, batch);
    for (unsigned i = 0; i < batch->count; i++) {
        struct batch_item *item = &batch->items[i];
        mapping_close(&item->content);
        /* Pages of what was stored under this number before, if a crash kept them from being
         * dropped. */
        if (item->replaces)
            provide->listener.withdrawn(provide->listener.context, item->flight->entry.inode);
    }
    provide_lock(provide);
    for (unsigned i = 0; i < batch->count; i++)
        step_land_item(provide, &batch->items[i]);
    provide_unlock(provide);
}
