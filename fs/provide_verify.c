/*
 * Flights at the verifying processes: each has one document at a time. A worker that dies, hangs or
 * answers what it was not asked costs the document one of its few tries; after them it is EIO.
 */
#include "base/clock.h"
#include "fs/provide_private.h"
#include "verify/verify_client.h"

#include <errno.h>
#include <string.h>

enum { VERIFY_TRIES_MAX = 3 };

void step_verify(struct provide *provide)
{
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++) {
        struct worker *worker = &provide->workers[i];
        struct flight *flight = TAILQ_FIRST(&provide->verify_queue);
        if (!flight || !provide->trust_known)
            return;
        if (worker->fd < 0 || worker->flight)
            continue;
        const struct verify_request request = {
            .format = certname_format(&flight->name),
            .time_s = clock_realtime_s(),
            .received_s = flight->anew ? flight->entry.received_at_s : 0,
        };
        if (verify_client_submit(worker->fd, flight->id, &request, flight->memfd) < 0)
            continue;
        TAILQ_REMOVE(&provide->verify_queue, flight, queued);
        flight->stage = FLIGHT_VERIFYING;
        flight->verify_tries++;
        worker->flight = flight;
        worker->deadline_ms = clock_monotonic_ms() + provide->config->verify_timeout;
    }
}

void step_queue_for_verification(struct provide *provide, struct flight *flight)
{
    flight->stage = FLIGHT_VERIFY_QUEUED;
    TAILQ_INSERT_TAIL(&provide->verify_queue, flight, queued);
}

static void step_retry_verification(struct provide *provide, struct flight *flight,
                                    const char *reason)
{
    if (flight->verify_tries < VERIFY_TRIES_MAX) {
        flight->stage = FLIGHT_VERIFY_QUEUED;
        TAILQ_INSERT_HEAD(&provide->verify_queue, flight, queued);
    } else {
        step_land(provide, flight, EIO, reason);
    }
}

/* Trust is changing: this process or that worker has not heard of it yet, which is not the
 * document's fault and takes longer than a few quick tries. */
static void step_retry_under_new_trust(struct provide *provide, struct flight *flight)
{
    if (clock_monotonic_ms() < flight->deadline_ms)
        flight->verify_tries--;
    step_retry_verification(provide, flight, "trust changes faster than documents are read");
}

void step_worker_lost(struct provide *provide, struct worker *worker, const char *reason)
{
    cleanup_close(&worker->fd);
    worker->fd = -1;
    if (worker->flight)
        step_retry_verification(provide, steal_ptr(&worker->flight), reason);
}

static void step_judged(struct provide *provide, struct flight *flight,
                        const struct verdict *verdict)
{
    flight->verdict = malloc(sizeof *flight->verdict);
    if (!flight->verdict) {
        step_land(provide, flight, ENOMEM, "memory is short");
        return;
    }
    *flight->verdict = *verdict;
    if (verdict->indication == VERDICT_TOTAL_PASSED)
        provide->count.accepted++;
    else if (verdict->indication == VERDICT_TOTAL_FAILED)
        provide->count.rejected++;
    else
        provide->count.undecided++;
    if (!step_scan(provide, flight))
        step_queue_for_store(provide, flight, FLIGHT_STORING);
}

/* Under the lock: what to say of the worker if its answer is wrong, else NULL. */
static const char *step_answered(struct provide *provide, struct worker *worker, int result,
                                 uint64_t id, const struct verdict *verdict)
{
    struct flight *flight = worker->flight;
    if (result != 0) {
        step_worker_lost(provide, worker, "verification ended without a verdict, repeatedly");
        return result == -EBADMSG ? "sent a message that makes no sense" : NULL;
    }
    if (!flight || id != flight->id || verdict->document_size != flight->entry.size) {
        step_worker_lost(provide, worker, "verification answered what it was not asked");
        return "answered what it was not asked";
    }
    worker->flight = NULL;
    if (memory_equal(verdict->trust_generation, provide->trust, SHA256_SIZE))
        step_judged(provide, flight, verdict);
    else
        step_retry_under_new_trust(provide, flight);
    return NULL;
}

void provide_on_worker(struct provide *provide, unsigned index)
{
    struct worker *worker = &provide->workers[index];
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    uint64_t id = 0;
    if (!verdict)
        return; /* poll says so again */
    int result = verify_client_receive(worker->fd, &id, verdict);
    if (result == -EAGAIN)
        return;
    /* Only this thread gives a worker its flight or takes it away, so the name stays right. */
    if (result == 0 && worker->flight && worker->flight->id == id)
        provide->listener.judged(provide->listener.context, &worker->flight->name, verdict);
    provide_lock(provide);
    const char *misbehaviour = step_answered(provide, worker, result, id, verdict);
    provide_unlock(provide);
    if (misbehaviour)
        provide->listener.misbehaved(provide->listener.context, ROOM_VERIFY, index, misbehaviour);
}

unsigned step_worker_deadlines(struct provide *provide, int64_t now_ms)
{
    unsigned late = 0;
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++) {
        struct worker *worker = &provide->workers[i];
        if (!worker->flight || worker->deadline_ms > now_ms)
            continue;
        step_worker_lost(provide, worker, "verification did not end in time, repeatedly");
        late |= 1u << i;
    }
    return late;
}
