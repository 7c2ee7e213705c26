/*
 * The transfers held: found by id, started in the order of arrival, HEAD apart from GET, and sent
 * off in the order they finished. Bounded; owns what it holds.
 */
#ifndef TRANSPORT_TRANSFER_TABLE_H
#define TRANSPORT_TRANSFER_TABLE_H

#include "transport/transfer.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TRANSFERS_MAX = 4096,
    TRANSFER_BUCKETS = 1024,
};

enum transfer_kind { TRANSFER_HEAD, TRANSFER_GET, TRANSFER_KINDS };

struct transfer_queue {
    struct transfer *first;
    struct transfer *last;
};

struct transfer_table {
    struct transfer *buckets[TRANSFER_BUCKETS];
    unsigned count;
    unsigned capacity;
    uint64_t arrivals;
    struct transfer_queue ready[TRANSFER_KINDS];
    unsigned active[TRANSFER_KINDS];
    struct transfer_queue finished;
};

/* `capacity` is at most TRANSFERS_MAX. */
void transfer_table_init(struct transfer_table *table, unsigned capacity);
bool transfer_table_full(const struct transfer_table *table);

/* -EBUSY: full; -EEXIST: its id is in use. It is READY after this. */
_must_use_ int transfer_table_add(struct transfer_table *table, struct transfer *transfer);
struct transfer *transfer_table_find(const struct transfer_table *table, uint64_t id);

/* Takes it out of the queue or count of its state; the caller gives it a new one. */
void transfer_table_leave(struct transfer_table *table, struct transfer *transfer);
/* Enters it where its state says: READY by arrival, FINISHED at the end. */
void transfer_table_enter(struct transfer_table *table, struct transfer *transfer);

/* The first one READY of its kind, or NULL. */
struct transfer *transfer_table_ready(const struct transfer_table *table, enum transfer_kind kind);
/* Frees the first one FINISHED. */
void transfer_table_pop_finished(struct transfer_table *table);

/* Walks all in no order; start with *bucket = 0 and NULL. The one given may change its state
 * before the next call, but not be freed. */
struct transfer *transfer_table_next(const struct transfer_table *table, unsigned *bucket,
                                     const struct transfer *previous);

#endif
