#include "transport/transfer_table.h"

#include <string.h>

static enum transfer_kind transfer_kind(const struct transfer *transfer)
{
    return transfer->request.head ? TRANSFER_HEAD : TRANSFER_GET;
}

/* Ids count up on the other side, so their low bits spread well. */
static unsigned bucket_of(uint64_t id)
{
    return (unsigned)(id % TRANSFER_BUCKETS);
}

static void queue_append(struct transfer_queue *queue, struct transfer *transfer)
{
    transfer->queue_next = NULL;
    if (queue->last)
        queue->last->queue_next = transfer;
    else
        queue->first = transfer;
    queue->last = transfer;
}

/* A resumed transfer is older than most that wait, so its place is near the front. */
static void queue_insert(struct transfer_queue *queue, struct transfer *transfer)
{
    if (!queue->last || queue->last->arrival < transfer->arrival) {
        queue_append(queue, transfer);
        return;
    }
    struct transfer **place = &queue->first;
    while ((*place)->arrival < transfer->arrival)
        place = &(*place)->queue_next;
    transfer->queue_next = *place;
    *place = transfer;
}

static void queue_remove(struct transfer_queue *queue, struct transfer *transfer)
{
    struct transfer *before = NULL;
    struct transfer **place = &queue->first;
    while (*place != transfer) {
        before = *place;
        place = &before->queue_next;
    }
    *place = transfer->queue_next;
    if (queue->last == transfer)
        queue->last = before;
    transfer->queue_next = NULL;
}

void transfer_table_init(struct transfer_table *table, unsigned capacity)
{
    memset(table, 0, sizeof *table);
    table->capacity = capacity;
}

bool transfer_table_full(const struct transfer_table *table)
{
    return table->count >= table->capacity;
}

int transfer_table_add(struct transfer_table *table, struct transfer *transfer)
{
    if (transfer_table_find(table, transfer->id))
        return -EEXIST;
    if (transfer_table_full(table))
        return -EBUSY;
    struct transfer **bucket = &table->buckets[bucket_of(transfer->id)];
    transfer->bucket_next = *bucket;
    *bucket = transfer;
    table->count++;
    transfer->arrival = table->arrivals++;
    transfer->state = TRANSFER_READY;
    transfer_table_enter(table, transfer);
    return 0;
}

struct transfer *transfer_table_find(const struct transfer_table *table, uint64_t id)
{
    struct transfer *transfer = table->buckets[bucket_of(id)];
    while (transfer && transfer->id != id)
        transfer = transfer->bucket_next;
    return transfer;
}

void transfer_table_leave(struct transfer_table *table, struct transfer *transfer)
{
    enum transfer_kind kind = transfer_kind(transfer);
    if (transfer->state == TRANSFER_READY)
        queue_remove(&table->ready[kind], transfer);
    else if (transfer->state == TRANSFER_ACTIVE)
        table->active[kind]--;
    else if (transfer->state == TRANSFER_FINISHED)
        queue_remove(&table->finished, transfer);
}

void transfer_table_enter(struct transfer_table *table, struct transfer *transfer)
{
    enum transfer_kind kind = transfer_kind(transfer);
    if (transfer->state == TRANSFER_READY)
        queue_insert(&table->ready[kind], transfer);
    else if (transfer->state == TRANSFER_ACTIVE)
        table->active[kind]++;
    else if (transfer->state == TRANSFER_FINISHED)
        queue_append(&table->finished, transfer);
}

struct transfer *transfer_table_ready(const struct transfer_table *table, enum transfer_kind kind)
{
    return table->ready[kind].first;
}

void transfer_table_pop_finished(struct transfer_table *table)
{
    struct transfer *transfer = table->finished.first;
    struct transfer **place = &table->buckets[bucket_of(transfer->id)];
    transfer_table_leave(table, transfer);
    while (*place != transfer)
        place = &(*place)->bucket_next;
    *place = transfer->bucket_next;
    table->count--;
    transfer_free(transfer);
}

struct transfer *transfer_table_next(const struct transfer_table *table, unsigned *bucket,
                                     const struct transfer *previous)
{
    if (previous) {
        if (previous->bucket_next)
            return previous->bucket_next;
        (*bucket)++;
    }
    for (; *bucket < TRANSFER_BUCKETS; (*bucket)++) {
        if (table->buckets[*bucket])
            return table->buckets[*bucket];
    }
    return NULL;
}
