/* Two search trees of glibc over the same flights: by kind and name, and by id. */
#include "fs/flight.h"

#include <search.h>
#include <string.h>

enum {
    WAITER_LOOK_MIN_MS = 25,
    WAITER_LOOK_MAX_MS = 800,
    WAITER_UNSEEN_MS = 2000, /* how long a signal to a program that we cannot see is ignored */
};

struct flights {
    void *by_name;
    void *by_id;
    size_t count;
    uint64_t next_id;
};

static int compare_names(const void *a, const void *b)
{
    const struct flight *left = a, *right = b;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return strcmp(left->name.text, right->name.text);
}

static int compare_ids(const void *a, const void *b)
{
    const struct flight *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

struct flights *flights_new(void)
{
    struct flights *flights = calloc(1, sizeof *flights);
    if (flights)
        flights->next_id = 1;
    return flights;
}

struct flights *flights_free(struct flights *flights)
{
    if (!flights)
        return NULL;
    while (flights->by_id) {
        struct flight *flight = *(struct flight **)flights->by_id;
        flights_remove(flights, flight);
        flight_free(flight);
    }
    free(flights);
    return NULL;
}

struct flight *flights_add(struct flights *flights, enum flight_kind kind,
                           const struct certname *name)
{
    struct flight *flight = calloc(1, sizeof *flight);
    if (!flight)
        return NULL;
    flight->name = *name;
    flight->kind = kind;
    flight->memfd = -1;
    flight->id = flights->next_id++;
    if (!tsearch(flight, &flights->by_name, compare_names)) {
        free(flight);
        return NULL;
    }
    if (!tsearch(flight, &flights->by_id, compare_ids)) {
        tdelete(flight, &flights->by_name, compare_names);
        free(flight);
        return NULL;
    }
    flights->count++;
    return flight;
}

struct flight *flights_find(const struct flights *flights, enum flight_kind kind,
                            const struct certname *name)
{
    const struct flight key = {.kind = kind, .name = *name};
    struct flight *const *found = tfind(&key, &flights->by_name, compare_names);
    return found ? *found : NULL;
}

struct flight *flights_find_id(const struct flights *flights, uint64_t id)
{
    const struct flight key = {.id = id};
    struct flight *const *found = tfind(&key, &flights->by_id, compare_ids);
    return found ? *found : NULL;
}

void flights_remove(struct flights *flights, struct flight *flight)
{
    tdelete(flight, &flights->by_name, compare_names);
    tdelete(flight, &flights->by_id, compare_ids);
    flights->count--;
}

struct flight *flight_free(struct flight *flight)
{
    if (flight) {
        cleanup_close(&flight->memfd);
        free(flight->verdict);
        free(flight);
    }
    return NULL;
}

size_t flights_count(const struct flights *flights)
{
    return flights->count;
}

struct flights_visit {
    void (*visit)(struct flight *, void *);
    void *context;
};

static void visit_node(const void *node, VISIT which, void *closure)
{
    const struct flights_visit *visit = closure;
    if (which == postorder || which == leaf)
        visit->visit(*(struct flight *const *)node, visit->context);
}

void flights_walk(const struct flights *flights, void (*visit)(struct flight *, void *),
                  void *context)
{
    struct flights_visit closure = {visit, context};
    twalk_r(flights->by_id, visit_node, &closure);
}

bool flight_keep(struct flight *flight)
{
    if (flight->look_only && flight->stage >= FLIGHT_STORING)
        return false;
    flight->look_only = false;
    return true;
}

void flight_add_waiter(struct flight *flight, struct waiter *waiter)
{
    waiter->next = flight->waiters;
    flight->waiters = waiter;
}

/* Each look costs about 25 µs: ten thousand programs that a timer disturbs must not cost us all the
 * time there is. */
static bool waiter_ended(struct waiter *waiter, int64_t now_ms)
{
    if (!atomic_load(&waiter->interrupted) || waiter->look_ms > now_ms)
        return false;
    if (waiter->tid == 0) {
        /* In a pid namespace that is not ours: nothing tells a fatal signal from a harmless one. A
         * program that a timer disturbs has this long left, one that was killed lasts as long. */
        bool waited = waiter->look_ms != 0;
        waiter->look_ms = now_ms + WAITER_UNSEEN_MS;
        return waited;
    }
    if (waiter_fatal_signal(waiter->tid))
        return true;
    waiter->look_pause_ms = waiter->look_pause_ms ? 2 * waiter->look_pause_ms : WAITER_LOOK_MIN_MS;
    if (waiter->look_pause_ms > WAITER_LOOK_MAX_MS)
        waiter->look_pause_ms = WAITER_LOOK_MAX_MS;
    waiter->look_ms = now_ms + waiter->look_pause_ms;
    return false;
}

size_t flight_part_waiters(struct flight *flight, int64_t now_ms, struct waiter **expired,
                           struct waiter **killed)
{
    size_t parted = 0;
    struct waiter **link = &flight->waiters;
    while (*link) {
        struct waiter *waiter = *link;
        struct waiter **where = NULL;
        if (waiter->deadline_ms <= now_ms)
            where = expired;
        else if (waiter_ended(waiter, now_ms))
            where = killed;
        if (!where) {
            link = &waiter->next;
            continue;
        }
        *link = waiter->next;
        waiter->next = *where;
        *where = waiter;
        parted++;
    }
    return parted;
}
