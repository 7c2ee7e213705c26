/* Flights at the link: sent as far as there is room, answered by events. See provide_private.h. */
#include "base/clock.h"
#include "base/memfd.h"
#include "fs/errno_table.h"
#include "fs/provide_private.h"
#include "transport/link_client.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LINK_EVENTS_AT_ONCE = 256, /* then others have their turn: the process may send without end */
    LINK_GRACE_MS = 5000,      /* it ends each request at its deadline by itself */
    LOOKUPS_MAX = 32,          /* given to the link at one time, so that users take turns */
    PREPARING_MAX = 1024,      /* certificates that are asked for again with nobody waiting */
};

/* The validator as the store keeps it: "<Last-Modified in seconds> <ETag>". */
static void validator_encode(const struct link_validator *validator, char out[CACHE_VALIDATOR_MAX])
{
    snprintf(out, CACHE_VALIDATOR_MAX, "%" PRId64 " %s", validator->last_modified_s,
             validator->etag);
}

static void validator_decode(const char *text, struct link_validator *ret_validator)
{
    char *rest;
    ret_validator->last_modified_s = strtoll(text, &rest, 10);
    snprintf(ret_validator->etag, sizeof ret_validator->etag, "%s", *rest == ' ' ? rest + 1 : "");
}

static int64_t latest_deadline_ms(const struct flight *flight)
{
    int64_t latest = 0;
    for (const struct waiter *waiter = flight->waiters; waiter; waiter = waiter->next)
        latest = waiter->deadline_ms > latest ? waiter->deadline_ms : latest;
    return latest;
}

/* A new memory file, or the one that an earlier try has filled in part. */
static int prepare_body(struct flight *flight, struct link_request *request)
{
    struct stat status;
    validator_decode(flight->entry.validator, &request->expected);
    bool strong = request->expected.etag[0] == '"';
    if (flight->memfd >= 0 && strong && fstat(flight->memfd, &status) == 0 && status.st_size > 0 &&
        (uint64_t)status.st_size < flight->entry.size) {
        request->held = (uint64_t)status.st_size;
        flight->continued = true;
        return 0;
    }
    int before = steal_fd(&flight->memfd);
    cleanup_close(&before);
    return memfd_new("certificate", &flight->memfd);
}

static int link_send(struct provide *provide, struct flight *flight)
{
    /* It may have waited for the link; those who came meanwhile have more time. */
    int64_t now_ms = clock_monotonic_ms(), latest_ms = latest_deadline_ms(flight);
    if (latest_ms > flight->deadline_ms)
        flight->deadline_ms = latest_ms;
    int64_t left_ms = flight->deadline_ms > now_ms ? flight->deadline_ms - now_ms : 1;
    flight->sent_ms = now_ms;
    flight->link_until_ms = now_ms + left_ms;
    struct link_request request = {
        .head = flight->kind == FLIGHT_LOOKUP,
        .name = flight->name,
        .timeout_ms = (uint32_t)left_ms,
        .ready_timeout_ms = (uint32_t)provide->config->ready_timeout,
        .size_max = (uint64_t)provide->config->body_max,
        .expected_size = flight->entry.size,
    };
    int error = request.head ? 0 : prepare_body(flight, &request);
    if (error < 0)
        return error;
    return link_client_request(provide->link_fd, flight->id, &request, flight->memfd);
}

static bool is_large(const struct flight *flight)
{
    return flight->entry.size > SHARE_LARGE_SIZE;
}

static void take_place(struct provide *provide, struct flight *flight)
{
    flight->stage = FLIGHT_AT_LINK;
    flight->placed = true;
    flight->preparing = flight->cancelled = flight->last_stored = false;
    if (flight->kind == FLIGHT_LOOKUP) {
        provide->lookups_at_link++;
        return;
    }
    provide->at_link++;
    provide->large_at_link += is_large(flight);
    link_meter_begin(&provide->meter, flight->sent_ms);
}

void step_leave_place(struct provide *provide, struct flight *flight)
{
    if (!flight->placed)
        return;
    flight->placed = false;
    shares_end(provide->shares, flight);
    if (flight->kind == FLIGHT_LOOKUP) {
        provide->lookups_at_link--;
        return;
    }
    provide->at_link--;
    provide->large_at_link -= is_large(flight);
    link_meter_end(&provide->meter, clock_monotonic_ms(), flight->received,
                   flight->sent_ms - flight->queued_ms);
}

/* False when the link takes no more. */
static bool step_send(struct provide *provide, struct flight *flight)
{
    if (flight->kind == FLIGHT_CONTENT && !step_reserve_body(provide, flight))
        return false;
    int error = link_send(provide, flight);
    if (error == -EAGAIN || error == -EPIPE) {
        step_release_body(provide, flight);
        return false;
    }
    if (error < 0) {
        shares_unqueue(provide->shares, flight);
        step_land(provide, flight, ENOMEM, strerror(-error));
        return true;
    }
    shares_begin(provide->shares, flight);
    take_place(provide, flight);
    return true;
}

/* Large bodies leave a quarter of the places, and at least one if there are two, to small ones. */
static uint64_t large_places(const struct provide *provide)
{
    uint64_t places = (uint64_t)provide->config->fetches_max;
    uint64_t kept = places >= 4 ? places / 4 : places / 2;
    return places - kept;
}

void step_link(struct provide *provide)
{
    struct flight *flight;
    if (provide->link_fd < 0)
        return;
    while (provide->lookups_at_link < LOOKUPS_MAX &&
           (flight = shares_next(provide->shares, SHARE_LOOKUP, false)))
        if (!step_send(provide, flight))
            return;
    while (provide->at_link < (uint64_t)provide->config->fetches_max &&
           (flight = shares_next(provide->shares, SHARE_SMALL,
                                 provide->large_at_link < large_places(provide))))
        if (!step_send(provide, flight))
            return;
}

void step_queue_for_link(struct provide *provide, struct flight *flight)
{
    struct link_validator validator;
    flight->stage = FLIGHT_QUEUED;
    flight->queued_ms = clock_monotonic_ms();
    flight->preparing = false;
    validator_decode(flight->entry.validator, &validator);
    flight->keep = flight->kind == FLIGHT_CONTENT && validator.etag[0] == '"';
    step_release_body(provide, flight);
    if (shares_queue(provide->shares, flight) < 0)
        step_land(provide, flight, ENOMEM, "memory is short");
}

static void step_looked_up(struct provide *provide, struct flight *flight,
                           const struct link_event *event)
{
    if (event->result == LINK_NOT_FOUND || event->result == LINK_GONE)
        recent_add(provide->unknown, &flight->name,
                   clock_monotonic_ms() + provide->config->negative_timeout);
    if (event->result != LINK_OK) {
        step_land(provide, flight, errno_of_link(event->result), event->detail);
    } else if (event->size > (uint64_t)provide->config->body_max) {
        step_land(provide, flight, EFBIG, "larger than body_max");
    } else {
        flight->entry.name = flight->name;
        flight->entry.size = event->size;
        flight->entry.modified_s = event->date_s;
        validator_encode(&event->validator, flight->entry.validator);
        step_queue_for_store(provide, flight, FLIGHT_STORING);
    }
}

/* The body is complete: from here on nobody can change it. */
static int seal_body(struct flight *flight, const struct link_event *event)
{
    struct stat status;
    int error = memfd_seal(flight->memfd);
    if (error < 0)
        return error;
    if (fstat(flight->memfd, &status) < 0)
        return -errno;
    if ((uint64_t)status.st_size != event->size || event->size != flight->entry.size)
        return -EPROTO;
    return 0;
}

/* False: the link process handed over what it must not. */
static bool step_fetched(struct provide *provide, struct flight *flight,
                         const struct link_event *event)
{
    provide->count.resumed += event->resumed;
    int error = errno_of_link(event->result);
    if (!error && seal_body(flight, event) < 0) {
        step_land(provide, flight, EIO, "the body can still change or has another size");
        return false;
    }
    if (!error) {
        flight->received = event->size;
        flight->received_at_s = clock_realtime_s();
        /* It gave up its memory while it was prepared. Now it is here, and others wait. */
        if (flight->reserved == 0) {
            flight->reserved = flight->entry.size;
            provide->body_bytes += flight->reserved;
        }
        provide->count.bytes_fetched += event->size;
        step_queue_for_verification(provide, flight);
        return true;
    }
    provide->count.fetch_failures++;
    step_partial_ended(provide, flight, event->result);
    /* Who came late shares the end of the flight, unless he has still half of his time. */
    int64_t now = clock_monotonic_ms();
    if (error == ETIMEDOUT &&
        latest_deadline_ms(flight) - now > provide->config->open_timeout / 2) {
        step_queue_for_link(provide, flight);
        return true;
    }
    if (event->result == LINK_NOT_FOUND || event->result == LINK_GONE)
        recent_add(provide->unknown, &flight->name, now + provide->config->negative_timeout);
    step_land(provide, flight, error, event->detail);
    return true;
}

/* We gave it up; somebody may have come since. */
static void step_cancelled(struct provide *provide, struct flight *flight)
{
    if (flight->waiters)
        step_queue_for_link(provide, flight);
    else
        step_land(provide, flight, EINTR, "nobody waits any more");
}

static void take_from_link(struct flight *flight, void *context)
{
    struct flight_queue *taken = context;
    if (flight->stage == FLIGHT_AT_LINK)
        TAILQ_INSERT_TAIL(taken, flight, queued);
}

struct crowd {
    struct provide *provide;
    uint64_t preparing;
};

static void note_preparing(struct flight *flight, void *context)
{
    struct crowd *crowd = context;
    if (flight->stage != FLIGHT_AT_LINK || !flight->preparing)
        return;
    crowd->preparing++;
    if (crowd->preparing > PREPARING_MAX && !flight->waiters && !flight->cancelled &&
        link_client_cancel(crowd->provide->link_fd, flight->id) == 0)
        flight->cancelled = true;
}

void step_link_crowd(struct provide *provide)
{
    struct crowd crowd = {.provide = provide};
    flights_walk(provide->flights, note_preparing, &crowd);
}

static void count_preparing(struct flight *flight, void *context)
{
    uint64_t *count = context;
    *count += flight->stage == FLIGHT_AT_LINK && flight->preparing;
}

uint64_t step_count_preparing(struct provide *provide)
{
    uint64_t count = 0;
    flights_walk(provide->flights, count_preparing, &count);
    return count;
}

struct watch {
    int64_t now_ms;
    const char *blame;
};

static void watch_flight(struct flight *flight, void *context)
{
    struct watch *watch = context;
    if (flight->stage != FLIGHT_AT_LINK)
        return;
    if (flight->link_until_ms + LINK_GRACE_MS < watch->now_ms)
        watch->blame = "did not answer in time";
    /* Memory files are nobody's memory when the machine runs short of it. */
    else if (flight->kind == FLIGHT_CONTENT && step_body_size(flight) > flight->entry.size)
        watch->blame = "wrote more than the certificate has";
}

const char *step_link_blame(struct provide *provide, int64_t now_ms)
{
    struct watch watch = {.now_ms = now_ms};
    flights_walk(provide->flights, watch_flight, &watch);
    return watch.blame;
}

void step_link_lost(struct provide *provide)
{
    cleanup_close(&provide->link_fd);
    provide->link_fd = -1;
    provide->link_test_lost = provide->link_test != NULL;
    /* Not while they are walked through: one for which there is no memory lands. */
    struct flight_queue taken = TAILQ_HEAD_INITIALIZER(taken);
    flights_walk(provide->flights, take_from_link, &taken);
    struct flight *flight;
    while ((flight = TAILQ_FIRST(&taken))) {
        TAILQ_REMOVE(&taken, flight, queued);
        step_leave_place(provide, flight);
        step_queue_for_link(provide, flight);
    }
}

/* While the link system prepares it, a certificate needs no place. */
static void step_progress(struct provide *provide, struct flight *flight,
                          const struct link_event *event)
{
    flight->received = event->size;
    flight->preparing = event->status != 0;
    if (!flight->preparing)
        return;
    flight->ask_again_ms = clock_monotonic_ms() + (int64_t)event->retry_after_s * 1000;
    if (flight->link_until_ms < flight->sent_ms + provide->config->ready_timeout)
        flight->link_until_ms = flight->sent_ms + provide->config->ready_timeout;
    /* Nor memory: large ones that are prepared for hours would keep all others from being fetched.
     */
    step_release_body(provide, flight);
    step_leave_place(provide, flight);
}

/* Under the lock: what to say of the process if its event is wrong, else NULL. */
static const char *step_event(struct provide *provide, const struct link_event *event)
{
    struct flight *flight = flights_find_id(provide->flights, event->id);
    if (!flight || flight->stage != FLIGHT_AT_LINK)
        return NULL; /* a late answer */
    if (event->kind == LINK_PROGRESS) {
        step_progress(provide, flight, event);
        return NULL;
    }
    flight->received = event->size;
    step_leave_place(provide, flight);
    if (event->result == LINK_CANCELLED)
        step_cancelled(provide, flight);
    else if (flight->kind == FLIGHT_LOOKUP)
        step_looked_up(provide, flight, event);
    else if (!step_fetched(provide, flight, event))
        return "handed over a body that can still change or has another size";
    return NULL;
}

/* Keeps the state of an address; true if its circuit has opened or closed. */
static bool step_endpoint(struct provide *provide, const struct link_event *event)
{
    struct link_endpoint_state *state = &provide->count.endpoints[event->id];
    bool turned = state->open != event->endpoint.open;
    *state = event->endpoint;
    if (event->id >= provide->count.endpoint_count)
        provide->count.endpoint_count = (unsigned)event->id + 1;
    return turned;
}

/* Tells the listener of a fetch that ended, before its waiters hear of it. */
static void report_fetch(struct provide *provide, const struct link_event *event)
{
    struct certname name = {0};
    provide_lock(provide);
    const struct flight *flight = flights_find_id(provide->flights, event->id);
    if (flight && flight->stage == FLIGHT_AT_LINK && flight->kind == FLIGHT_CONTENT)
        name = flight->name;
    provide_unlock(provide);
    if (name.text[0])
        provide->listener.fetched(provide->listener.context, &name, errno_of_link(event->result),
                                  event->status, event->size, event->detail);
}

void provide_on_link(struct provide *provide)
{
    struct link_event event;
    int result;
    for (unsigned n = 0; n < LINK_EVENTS_AT_ONCE; n++) {
        result = link_client_receive(provide->link_fd, &event);
        if (result == -EAGAIN)
            return;
        if (result == 0 && event.kind == LINK_DONE && event.id >= LIST_FETCH_ID) {
            provide_list_fetched(provide, &event);
            continue;
        }
        if (result == 0 && (event.kind == LINK_STEP || event.id >= LINK_TEST_ID)) {
            provide_link_tested(provide, &event);
            continue;
        }
        if (result == 0 && event.kind == LINK_DONE)
            report_fetch(provide, &event);
        const char *misbehaviour = NULL;
        bool turned = false;
        provide_lock(provide);
        if (result == 0 && event.kind == LINK_ENDPOINT)
            turned = step_endpoint(provide, &event);
        else if (result == 0)
            misbehaviour = step_event(provide, &event);
        else if (result == -EBADMSG)
            misbehaviour = "sent a message that makes no sense";
        if (result != 0 || misbehaviour)
            step_link_lost(provide);
        provide_unlock(provide);
        if (turned)
            provide->listener.endpoint(provide->listener.context, &event.endpoint);
        if (misbehaviour)
            provide->listener.misbehaved(provide->listener.context, ROOM_LINK, 0, misbehaviour);
        if (result != 0 || misbehaviour)
            return;
    }
}
