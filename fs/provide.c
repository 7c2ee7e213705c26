/* See provide.h: life, loop and ending; requests and stages are in the files next to this one. */
#include "base/clock.h"
#include "base/log.h"
#include "fs/errno_table.h"
#include "fs/provide_private.h"
#include "keys/keys_client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

enum {
    TICK_MS = 25,       /* how exactly deadlines and fatal signals are noticed */
    REVERIFY_PAGE = 32, /* entries looked at in one step of verifying the store anew */
    REVERIFY_AT_ONCE = 4,
    REVERIFY_DONE = INT32_MAX,
};

/* Bodies on their way from link to store: when verification is slower than the line, fetches wait.
 * One goes always, however large. */
static const uint64_t body_bytes_max = 512 * 1024 * 1024;

void provide_wake(struct provide *provide)
{
    uint64_t one = 1;
    if (write(provide->wake, &one, sizeof one) < 0)
        log_debug("eventfd full");
}

bool step_reserve_body(struct provide *provide, struct flight *flight)
{
    uint64_t size = flight->entry.size;
    if (provide->body_bytes > 0 &&
        (size > body_bytes_max || provide->body_bytes > body_bytes_max - size))
        return false;
    provide->body_bytes += size;
    flight->reserved = size;
    return true;
}

void step_release_body(struct provide *provide, struct flight *flight)
{
    provide->body_bytes -= flight->reserved;
    flight->reserved = 0;
    pthread_cond_signal(&provide->store_ready); /* something may be loaded now */
}

/* Waiters that leave, up to one that left before. */
static void count_out(struct provide *provide, const struct waiter *waiter,
                      const struct waiter *end)
{
    for (; waiter != end; waiter = waiter->next) {
        provide->waiters--;
        shares_remove_waiter(provide->shares, waiter->uid);
    }
}

void step_land(struct provide *provide, struct flight *flight, int error, const char *reason)
{
    if (flight->kind == FLIGHT_CONTENT && error)
        recent_remove(provide->described, &flight->name);
    else if (flight->kind == FLIGHT_LOOKUP && !error)
        recent_add(provide->described, &flight->name,
                   clock_monotonic_ms() + provide->config->entry_timeout);
    flight->outcome.error = error;
    if (reason != flight->outcome.reason)
        snprintf(flight->outcome.reason, sizeof flight->outcome.reason, "%s", reason);
    flight->outcome.entry = flight->entry;
    flight->stage = FLIGHT_LANDED;
    flights_remove(provide->flights, flight);
    step_release_body(provide, flight);
    if (flight->background && --provide->reverifying == 0)
        provide_wake(provide); /* for the next ones */
    if (flight->compares && !provide->ending)
        step_compared(provide, flight, flight->outcome.reason);
    step_leave_place(provide, flight);
    count_out(provide, flight->waiters, NULL);
    TAILQ_INSERT_TAIL(&provide->landed, flight, queued);
    if (flight->scan_after && !provide->ending)
        step_scan_landed(provide, flight);
}

static void tell(struct waiter *waiter, const struct outcome *outcome)
{
    while (waiter) {
        struct waiter *next = waiter->next; /* `complete` frees it */
        waiter->complete(waiter, outcome);
        waiter = next;
    }
}

void provide_lock(struct provide *provide)
{
    pthread_mutex_lock(&provide->lock);
}

void provide_unlock(struct provide *provide)
{
    static const struct outcome timed_out = {.error = ETIMEDOUT,
                                             .reason = "the deadline for this request has passed"};
    static const struct outcome unprepared = {
        .error = ETIMEDOUT,
        .reason = "the link system is still preparing the certificate and is asked again without "
                  "you; open it later"};
    static const struct outcome ended = {.error = EINTR, .reason = "fatal signal"};
    struct flight_queue landed = TAILQ_HEAD_INITIALIZER(landed);
    TAILQ_CONCAT(&landed, &provide->landed, queued);
    struct waiter *expired = steal_ptr(&provide->expired);
    struct waiter *killed = steal_ptr(&provide->killed);
    struct waiter *early = steal_ptr(&provide->unprepared);
    pthread_mutex_unlock(&provide->lock);

    tell(expired, &timed_out);
    tell(early, &unprepared);
    tell(killed, &ended);
    struct flight *flight;
    while ((flight = TAILQ_FIRST(&landed))) {
        TAILQ_REMOVE(&landed, flight, queued);
        tell(flight->waiters, &flight->outcome);
        flight_free(flight);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static int keyring_generate(void *context, const void *aad, size_t aad_size,
                            uint8_t ret_key[AEAD_KEY_SIZE], uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    return keys_client_generate(context, aad, aad_size, ret_key, ret_wrapped);
}

static int keyring_unwrap(void *context, const void *aad, size_t aad_size,
                          const uint8_t wrapped[CACHE_WRAPPED_SIZE], uint8_t ret_key[AEAD_KEY_SIZE])
{
    return keys_client_unwrap(context, aad, aad_size, wrapped, ret_key);
}

static int keyring_rewrap(void *context, const void *aad, size_t aad_size,
                          const uint8_t wrapped[CACHE_WRAPPED_SIZE],
                          uint8_t ret_wrapped[CACHE_WRAPPED_SIZE])
{
    int r = keys_client_rewrap(context, aad, aad_size, wrapped, ret_wrapped);
    return r == KEYS_CURRENT ? CACHE_MISS : r;
}
_Static_assert((int)KEYS_WRAPPED_SIZE == (int)CACHE_WRAPPED_SIZE, "one wrapped form");

static int provide_start(struct provide *provide, const struct provide_places *places,
                         char *ret_message)
{
    struct cache_settings settings = {
        .directory_fd = places->state_fd,
        .map_size = (uint64_t)provide->config->map_size,
        .quota = (uint64_t)provide->config->quota,
        .headroom = places->headroom,
        .partials_max = (uint64_t)provide->config->partials_max,
        .keyring = {provide->keys, keyring_generate, keyring_unwrap, keyring_rewrap},
        .outbox = places->replica_fd >= 0,
    };
    if (places->ledger_fd >= 0)
        settings.mirror_fds[settings.mirror_count++] = places->ledger_fd;
    if (places->replica_fd >= 0)
        settings.mirror_fds[settings.mirror_count++] = places->replica_fd;
    provide->flights = flights_new();
    provide->shares = shares_new();
    provide->meter.window_ms = provide->config->line_window;
    provide->meter.window_began_ms = clock_monotonic_ms();
    provide->unknown = recent_new();
    provide->described = recent_new();
    provide->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!provide->flights || !provide->shares || !provide->unknown || !provide->described ||
        provide->wake < 0) {
        snprintf(ret_message, 256, "memory or descriptors are short");
        return -ENOMEM;
    }
    int error = cache_open(&settings, ret_message, &provide->cache);
    if (error == 0)
        error = provide_trust_new(provide, ret_message);
    if (error < 0)
        return error;
    error = pthread_create(&provide->store_thread, NULL, provide_store_run, provide);
    if (error) {
        snprintf(ret_message, 256, "no thread for the store: %s", strerror(error));
        return -error;
    }
    provide->store_started = true;
    return 0;
}

int provide_new(const struct config_mount *config, struct keys_client *keys,
                const struct provide_places *places, const struct provide_listener *listener,
                char *ret_message, struct provide **ret_provide)
{
    struct provide *provide = calloc(1, sizeof *provide);
    if (!provide) {
        snprintf(ret_message, 256, "memory is short");
        return -ENOMEM;
    }
    *provide = (struct provide){.crl = places->crl,
                                .config = config,
                                .keys = keys,
                                .listener = *listener,
                                .wake = -1,
                                .link_fd = -1};
    pthread_mutex_init(&provide->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&provide->store_ready, &monotonic);
    pthread_condattr_destroy(&monotonic);
    provide->tasks_end = &provide->tasks;
    provide->pieces_end = &provide->pieces;
    TAILQ_INIT(&provide->verify_queue);
    TAILQ_INIT(&provide->entry_queue);
    TAILQ_INIT(&provide->store_queue);
    TAILQ_INIT(&provide->load_queue);
    TAILQ_INIT(&provide->landed);
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++)
        provide->workers[i].fd = -1;
    int error = provide_start(provide, places, ret_message);
    if (error < 0) {
        provide_free(provide);
        return error;
    }
    *ret_provide = provide;
    return 0;
}

static void first_flight(struct flight *flight, void *context)
{
    struct flight **first = context;
    if (!*first)
        *first = flight;
}

struct provide *provide_free(struct provide *provide)
{
    if (!provide)
        return NULL;
    if (provide->store_started) {
        provide_lock(provide);
        provide->ending = true;
        pthread_cond_signal(&provide->store_ready);
        pthread_mutex_unlock(&provide->lock);
        pthread_join(provide->store_thread, NULL);
    }
    provide_partials_free(provide);
    provide_link_test_free(provide);
    while (provide->flights && flights_count(provide->flights) > 0) {
        struct flight *flight = NULL;
        provide_lock(provide);
        flights_walk(provide->flights, first_flight, &flight);
        if (flight->stage == FLIGHT_QUEUED)
            shares_unqueue(provide->shares, flight);
        flight->outcome.left = true;
        step_land(provide, flight, EIO, "the daemon is ending");
        provide_unlock(provide);
    }
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++)
        cleanup_close(&provide->workers[i].fd);
    cleanup_close(&provide->link_fd);
    cleanup_close(&provide->wake);
    provide_trust_free(provide);
    cache_close(provide->cache);
    recent_free(provide->unknown);
    recent_free(provide->described);
    flights_free(provide->flights);
    shares_free(provide->shares);
    pthread_cond_destroy(&provide->store_ready);
    pthread_mutex_destroy(&provide->lock);
    free(provide->revalidation.rows);
    free(provide);
    return NULL;
}

struct cache *provide_cache(struct provide *provide)
{
    return provide->cache;
}

/* --- neighbours ------------------------------------------------------------------------------- */

void provide_connect(struct provide *provide, enum room_role role, uint32_t index, int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        log_warning("cannot make a descriptor non-blocking: %s", strerror(errno));
    provide_lock(provide);
    if (role == ROOM_LINK) {
        step_link_lost(provide);
        provide->link_fd = steal_fd(&fd);
    } else if (role == ROOM_VERIFY && index < VERIFY_WORKER_MAX) {
        provide_unlock(provide);
        provide_worker_connected(provide, index, steal_fd(&fd));
        provide_lock(provide);
    }
    provide_unlock(provide);
    cleanup_close(&fd);
}

void provide_set_trust(struct provide *provide, const uint8_t generation[SHA256_SIZE])
{
    provide_lock(provide);
    memcpy(provide->trust, generation, SHA256_SIZE);
    memcpy(provide->trusted.generation.trust, generation, SHA256_SIZE);
    provide->trust_known = true;
    provide_reverify(provide);
    provide_unlock(provide);
}

void provide_reverify(struct provide *provide)
{
    provide->reverify_cursor = 0;
}

void provide_unsealed(struct provide *provide)
{
    provide_lock(provide);
    provide_reverify(provide);
    provide_unlock(provide);
    provide_wake(provide);
}

/* --- loop ------------------------------------------------------------------------------------- */

static bool reverify_due(const struct provide *provide)
{
    return provide->trust_known && provide->reverify_cursor != REVERIFY_DONE &&
           provide->reverifying == 0;
}

unsigned provide_pollfds(struct provide *provide, struct pollfd fds[PROVIDE_POLLFD_MAX],
                         int *ret_timeout_ms)
{
    unsigned count = 0;
    provide_lock(provide);
    fds[count++] = (struct pollfd){.fd = provide->wake, .events = POLLIN};
    if (provide->link_fd >= 0)
        fds[count++] = (struct pollfd){.fd = provide->link_fd, .events = POLLIN};
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++)
        if (provide->workers[i].fd >= 0)
            fds[count++] = (struct pollfd){.fd = provide->workers[i].fd, .events = POLLIN};
    *ret_timeout_ms = reverify_due(provide) ? 0 : flights_count(provide->flights) ? TICK_MS : -1;
    provide_unlock(provide);
    int64_t look_ms = provide_trust_look(provide);
    int64_t test_ms = provide_link_test_look(provide, clock_monotonic_ms());
    look_ms = test_ms < look_ms ? test_ms : look_ms;
    if (*ret_timeout_ms < 0 || look_ms < *ret_timeout_ms)
        *ret_timeout_ms = (int)look_ms;
    return count;
}

struct tick {
    struct provide *provide;
    int64_t now_ms;
};

static void tick_flight(struct flight *flight, void *context)
{
    const struct tick *tick = context;
    struct provide *provide = tick->provide;
    struct waiter **expired = flight->preparing ? &provide->unprepared : &provide->expired;
    const struct waiter *last_expired = *expired, *last_killed = provide->killed;
    flight_part_waiters(flight, tick->now_ms, expired, &provide->killed);
    count_out(provide, *expired, last_expired);
    count_out(provide, provide->killed, last_killed);
    step_partial(provide, flight, tick->now_ms);
}

/* A flight that nobody waits for any more and that has not left yet stays at home. */
static void drop_abandoned(struct flight *flight, void *context)
{
    struct provide *provide = context;
    if (flight->waiters)
        return;
    shares_unqueue(provide->shares, flight);
    step_land(provide, flight, ETIMEDOUT, "nobody waits any more");
}

/* False: later, when there is room or memory. */
static bool reverify_entry(struct provide *provide, const struct cache_entry *entry)
{
    bool wanted =
        provide->rescan || (!memory_equal(entry->trust_generation, provide->trust, SHA256_SIZE) &&
                            !provide->listener.sealed(provide->listener.context, &entry->name));
    struct flight *under_way = flights_find(provide->flights, FLIGHT_CONTENT, &entry->name);
    if (under_way && provide->rescan)
        under_way->scan_after = true;
    if (!wanted || under_way)
        return !wanted || flight_keep(under_way);
    if (provide->reverifying == REVERIFY_AT_ONCE)
        return false;
    struct flight *flight = flights_add(provide->flights, FLIGHT_CONTENT, &entry->name);
    if (!flight)
        return false;
    flight->entry = *entry;
    flight->anew = flight->background = true;
    flight->scan = provide->rescan;
    flight->deadline_ms = clock_monotonic_ms() + provide->config->open_timeout;
    provide->reverifying++;
    step_queue_for_store(provide, flight, FLIGHT_LOADING);
    return true;
}

/*
 * Under changed trust everything that has content is verified again, withheld certificates too, so
 * that listings show what is valid, opens need not wait and what is revoked is withdrawn. A few at
 * a time, whatever else goes on: were it done in quiet moments only, a link system that does not
 * answer would leave the mount empty after the next revocation list.
 */
static void step_reverify(struct provide *provide)
{
    if (!reverify_due(provide))
        return;
    struct cache_entry page[REVERIFY_PAGE];
    size_t filled = 0;
    if (cache_list_content(provide->cache, &provide->reverify_cursor, page, REVERIFY_PAGE,
                           &filled) < 0 ||
        filled == 0) {
        provide->reverify_cursor = REVERIFY_DONE;
        provide->rescan = false;
        return;
    }
    for (size_t i = 0; i < filled; i++) {
        if (!reverify_entry(provide, &page[i])) {
            provide->reverify_cursor = page[i].inode - 1;
            return;
        }
    }
}

static void loop_tick(struct provide *provide)
{
    struct tick tick = {provide, clock_monotonic_ms()};
    provide_lock(provide);
    flights_walk(provide->flights, tick_flight, &tick);
    const char *blame = step_link_blame(provide, tick.now_ms);
    if (blame)
        step_link_lost(provide);
    shares_walk(provide->shares, drop_abandoned, provide);
    step_link_crowd(provide);
    step_reverify(provide);
    /* What provide does by itself goes first. */
    bool revalidated = provide->reverify_cursor == REVERIFY_DONE && provide->reverifying == 0 &&
                       step_revalidate(provide);
    const struct revalidation_totals totals = provide->revalidation.totals;
    step_link(provide);
    step_trust(provide);
    step_verify(provide);
    bool measured = link_meter_turn(&provide->meter, tick.now_ms);
    struct link_reading reading = provide->meter.last;
    provide_unlock(provide);
    if (revalidated)
        provide->listener.revalidated(provide->listener.context, &totals);
    if (measured)
        provide->listener.measured(provide->listener.context, &reading);
    provide_worker_deadlines(provide, tick.now_ms);
    if (blame)
        provide->listener.misbehaved(provide->listener.context, ROOM_LINK, 0, blame);
}

void provide_dispatch(struct provide *provide, const struct pollfd *fds, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        if (!fds[n].revents)
            continue;
        uint64_t wakes;
        if (fds[n].fd == provide->wake && read(provide->wake, &wakes, sizeof wakes) < 0)
            log_debug("woken for nothing");
        if (fds[n].fd == provide->link_fd)
            provide_on_link(provide);
        for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++)
            if (fds[n].fd == provide->workers[i].fd)
                provide_on_worker(provide, i);
    }
    loop_tick(provide);
}

/* --- tasks, statistics ------------------------------------------------------------------------ */

void step_store_task(struct provide *provide, struct store_task *task)
{
    task->next = NULL;
    *provide->tasks_end = task;
    provide->tasks_end = &task->next;
    pthread_cond_signal(&provide->store_ready);
}

void provide_store_task(struct provide *provide, struct store_task *task)
{
    provide_lock(provide);
    step_store_task(provide, task);
    pthread_mutex_unlock(&provide->lock);
}

struct progress_walk {
    struct provide_progress *rows;
    size_t most, count;
};

static enum provide_stage stage_of(const struct flight *flight)
{
    if (flight->stage == FLIGHT_AT_LINK)
        return flight->preparing ? PROVIDE_PREPARING : PROVIDE_FETCHING;
    return flight->stage == FLIGHT_QUEUED ? PROVIDE_QUEUED : PROVIDE_VERIFYING;
}

static void note_progress(struct flight *flight, void *context)
{
    struct progress_walk *walk = context;
    if (walk->count == walk->most || flight->background || flight->compares)
        return;
    walk->rows[walk->count++] = (struct provide_progress){
        .name = flight->name,
        .stage = stage_of(flight),
        .received = flight->kind == FLIGHT_CONTENT ? flight->received : 0,
        .size = flight->kind == FLIGHT_CONTENT ? flight->entry.size : 0,
        .ask_again_ms = flight->preparing ? flight->ask_again_ms - clock_monotonic_ms() : 0,
    };
}

size_t provide_progress(struct provide *provide, struct provide_progress *ret_rows, size_t most)
{
    struct progress_walk walk = {.rows = ret_rows, .most = most};
    provide_lock(provide);
    flights_walk(provide->flights, note_progress, &walk);
    pthread_mutex_unlock(&provide->lock);
    return walk.count;
}

void provide_statistics(struct provide *provide, struct provide_statistics *ret_statistics)
{
    provide_lock(provide);
    *ret_statistics = provide->count;
    ret_statistics->waiters = provide->waiters;
    ret_statistics->flights = flights_count(provide->flights);
    ret_statistics->at_link = provide->at_link;
    ret_statistics->queued =
        shares_queued(provide->shares, SHARE_SMALL) + shares_queued(provide->shares, SHARE_LARGE);
    ret_statistics->queued_lookups = shares_queued(provide->shares, SHARE_LOOKUP);
    ret_statistics->preparing = step_count_preparing(provide);
    ret_statistics->line = provide->meter.all;
    ret_statistics->line_lately = provide->meter.last;
    ret_statistics->link_up = provide->link_fd >= 0;
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++) {
        ret_statistics->verify_up += provide->workers[i].fd >= 0;
        ret_statistics->verifying += provide->workers[i].flight != NULL;
    }
    memcpy(ret_statistics->trust_generation, provide->trust, SHA256_SIZE);
    pthread_mutex_unlock(&provide->lock);
}
