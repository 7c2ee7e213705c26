/*
 * The store thread: makes every write to the store, LMDB having one writer anyway. The lock is not
 * held while it works. In turn: what can be written together (provide_batch.c), one flight of
 * another kind, one task, one beginning of a body.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/memfd.h"
#include "fs/errno_table.h"
#include "fs/provide_batch.h"
#include "fs/provide_private.h"

#include <errno.h>
#include <string.h>

enum { UPKEEP_MS = 250 };

/* A body that was put together from two fetches is refused: before that is held against the
 * certificate, it is fetched once as a whole. An outcome of store_judged(). */
enum { STORE_FETCH_ANEW = 1 };

void step_queue_for_store(struct provide *provide, struct flight *flight, enum flight_stage stage)
{
    flight->stage = stage;
    if (flight->kind == FLIGHT_LOOKUP)
        TAILQ_INSERT_TAIL(&provide->entry_queue, flight, queued);
    else if (stage == FLIGHT_LOADING)
        TAILQ_INSERT_TAIL(&provide->load_queue, flight, queued);
    else
        TAILQ_INSERT_TAIL(&provide->store_queue, flight, queued);
    pthread_cond_signal(&provide->store_ready);
}

static int store_load(struct provide *provide, struct flight *flight)
{
    _cleanup_free_ uint8_t *content = malloc(flight->entry.size + 1);
    size_t size = 0;
    if (!content)
        return -ENOMEM;
    if ((flight->background || flight->compares) && !flight->scan &&
        provide->listener.sealed(provide->listener.context, &flight->name))
        return -EPERM;
    int result =
        cache_load(provide->cache, flight->entry.inode, content, flight->entry.size, &size);
    if (result != 0)
        return result == CACHE_MISS ? -ENOENT : result;
    result = memfd_of("certificate", content, size, &flight->memfd);
    wipe(content, flight->entry.size);
    return result;
}

/* What cannot be decided now stays as it was, to be looked at again when lists or trust change. */
int provide_revise(struct provide *provide, struct flight *flight)
{
    /* Withheld content would come back under the next trust. */
    if (verdict_says_malware(flight->verdict))
        return cache_reject(provide->cache, &flight->name, flight->verdict, clock_realtime_s());
    if (errno_of_verdict(flight->verdict) == ENOKEY)
        return 0;
    int result = cache_revise(provide->cache, &flight->name, flight->verdict);
    if (result == 0)
        result = cache_find(provide->cache, &flight->name, &flight->entry);
    return result > 0 ? -ENOENT : result;
}

/*
 * Writes what a verdict that does not accept demands; 0 or a negative errno of the store. -ESTALE:
 * a look-up meanwhile heard of a newer version, and no rejection of the older one may stand under
 * it.
 */
static int store_judged(struct provide *provide, struct flight *flight)
{
    const struct verdict *verdict = flight->verdict;
    struct cache_entry known;
    if (flight->anew)
        return flight->compares ? provide_compare(provide, flight)
                                : provide_revise(provide, flight);
    int result = cache_find(provide->cache, &flight->name, &known);
    if (result != 0)
        return result > 0 ? -ENOENT : result;
    if (!flight_entry_agrees(&known, &flight->entry))
        return -ESTALE;
    if (verdict->indication == VERDICT_TOTAL_FAILED && flight->continued)
        return STORE_FETCH_ANEW;
    /* What cannot be decided now is not remembered: the next attempt fetches again. */
    return errno_of_verdict(verdict) == ENOKEY
               ? 0
               : cache_reject(provide->cache, &flight->name, verdict, clock_realtime_s());
}

static void step_fetch_anew(struct provide *provide, struct flight *flight)
{
    int memfd = steal_fd(&flight->memfd);
    cleanup_close(&memfd);
    free(steal_ptr(&flight->verdict));
    flight->continued = false;
    step_drop_partial(provide, flight);
    step_queue_for_link(provide, flight);
    provide_wake(provide);
}

void step_land_judged(struct provide *provide, struct flight *flight, int result)
{
    const struct verdict *verdict = flight->verdict;
    /* Stored or refused as a whole: its beginning is of no more use. */
    if (flight->partial > 0 || flight->storing)
        step_drop_partial(provide, flight);
    int error = errno_of_verdict(verdict);
    if (result < 0 && verdict_says_malware(verdict)) {
        log_error("malware was found and the rejection could not be kept: %s; seal it",
                  strerror(-result));
        step_land(provide, flight, errno_of_store(result),
                  "malware, and the store took no rejection");
    } else if (result == -ESTALE) {
        step_land(provide, flight, ESTALE, "the link system has a newer version");
    } else if (error) {
        verdict_explain(verdict, flight->outcome.reason);
        step_land(provide, flight, error, flight->outcome.reason);
    } else if (result < 0) {
        step_land(provide, flight, errno_of_store(result), "the store could not take it");
        log_error("certificate verified but not stored: %s", strerror(-result));
    } else {
        step_land(provide, flight, 0, "");
    }
}

/* The beginning of a body was loaded; without it the fetch begins at the beginning. */
static void step_resume(struct provide *provide, struct flight *flight, int result)
{
    flight->resuming = false;
    if (result < 0)
        step_drop_partial(provide, flight);
    step_queue_for_link(provide, flight);
    provide_wake(provide);
}

/* The turn of a flight that is written alone: without the lock, then its next stage under it. */
static void store_serve(struct provide *provide, struct flight *flight)
{
    bool loading = flight->stage == FLIGHT_LOADING;
    int result = flight->resuming ? provide_load_partial(provide, flight)
                 : loading        ? store_load(provide, flight)
                                  : store_judged(provide, flight);
    bool withdrawn = !loading && flight->verdict->indication != VERDICT_TOTAL_PASSED &&
                     result != STORE_FETCH_ANEW && !flight->look_only;
    uint32_t inode = flight->entry.inode;

    provide_lock(provide);
    if (flight->resuming) {
        step_resume(provide, flight, result);
    } else if (loading && result == 0) {
        step_queue_for_verification(provide, flight);
        provide_wake(provide);
    } else if (loading) {
        step_land(provide, flight, errno_of_store(result),
                  "the store could not be read or written");
    } else if (result == STORE_FETCH_ANEW) {
        step_fetch_anew(provide, flight);
    } else {
        step_land_judged(provide, flight, result);
    }
    provide_unlock(provide);
    if (withdrawn)
        provide->listener.withdrawn(provide->listener.context, inode);
}

/* Under the lock: takes the next flight out of its queue that is written alone. What is verified
 * goes before what would need more memory. */
static struct flight *step_next_alone(struct provide *provide)
{
    struct flight *flight = TAILQ_FIRST(&provide->store_queue);
    if (flight && flight_is_admission(flight))
        return NULL; /* the next batch's */
    if (flight) {
        TAILQ_REMOVE(&provide->store_queue, flight, queued);
        return flight;
    }
    flight = TAILQ_FIRST(&provide->load_queue);
    if (!flight || !step_reserve_body(provide, flight))
        return NULL;
    TAILQ_REMOVE(&provide->load_queue, flight, queued);
    return flight;
}

/* Under the lock. */
static struct store_task *step_next_task(struct provide *provide)
{
    struct store_task *task = provide->tasks;
    if (task) {
        provide->tasks = task->next;
        if (!provide->tasks)
            provide->tasks_end = &provide->tasks;
    }
    return task;
}

/* Under the lock: sleeps until there is something to do, or upkeep is due. */
static void wait_for_work(struct provide *provide)
{
    struct timespec until = {.tv_sec = provide->upkeep_ms / 1000,
                             .tv_nsec = provide->upkeep_ms % 1000 * 1000000};
    pthread_cond_timedwait(&provide->store_ready, &provide->lock, &until);
}

/* Without the lock. */
static void keep_up(struct provide *provide)
{
    if (clock_monotonic_ms() < provide->upkeep_ms)
        return;
    if (provide->listener.upkeep)
        provide->listener.upkeep(provide->listener.context, provide->cache);
    provide_expire_partials(provide, clock_monotonic_ms());
    provide->upkeep_ms = clock_monotonic_ms() + UPKEEP_MS;
}

void *provide_store_run(void *argument)
{
    struct provide *provide = argument;
    struct batch batch = {0};
    provide->upkeep_ms = clock_monotonic_ms() + UPKEEP_MS;
    provide_lock(provide);
    for (;;) {
        struct store_task *task = step_next_task(provide);
        step_gather(provide, &batch);
        struct flight *flight = step_next_alone(provide);
        bool idle = !task && batch.count == 0 && !flight && !provide->pieces;
        if (idle && provide->ending)
            break;
        if (idle)
            wait_for_work(provide);
        bool ending = provide->ending;
        pthread_mutex_unlock(&provide->lock);
        if (task)
            task->run(task, provide->cache);
        if (batch.count > 0)
            provide_store_batch(provide, &batch);
        if (flight)
            store_serve(provide, flight);
        provide_store_piece(provide);
        if (!ending)
            keep_up(provide);
        provide_lock(provide);
    }
    pthread_mutex_unlock(&provide->lock);
    return NULL;
}
