/*
 * Flights at the verifying processes: each has one document at a time. A process that dies, hangs
 * or answers what it was not asked has perhaps been taken over by the document: the document goes
 * to one more, fresh process, and if that fares no better the verdict is ours, INDETERMINATE,
 * remembered like a rejection, so that opening it again costs no further process. Ended by somebody
 * else (SIGKILL, SIGTERM) does not count, within reason.
 *
 * A process whose document did not pass is replaced, and so is one after verify_documents of them:
 * what a document may have left in it reaches no other. Not after stored content that passes no
 * more under new trust: there may be a whole store of it, and it passed once.
 */
#include "base/clock.h"
#include "base/memfd.h"
#include "fs/provide_private.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum {
    VERIFY_TRIES_MAX = 2,
    VERIFY_KILLED_MAX = 8,
    ENDED_MS = 10000, /* from a lost connection to hearing how the process ended */
};

/* The next flight that this worker may have; those that only compare go last. */
static struct flight *next_flight(struct provide *provide, const struct worker *worker)
{
    struct flight *flight, *patient = NULL;
    TAILQ_FOREACH(flight, &provide->verify_queue, queued)
    {
        if (flight->wants_fresh && worker->documents > 0)
            continue;
        if (!flight->compares || flight->waiters)
            return flight;
        patient = patient ? patient : flight;
    }
    return patient && step_may_compare(provide) ? patient : NULL;
}

static void step_submit(struct provide *provide, struct worker *worker, struct flight *flight)
{
    const struct verify_request request = {
        .format = certname_format(&flight->name),
        .time_s = clock_realtime_s(),
        .received_s = flight->anew ? flight->entry.received_at_s : 0,
    };
    if (verify_client_submit(worker->fd, flight->id, &request, flight->memfd) < 0)
        return;
    TAILQ_REMOVE(&provide->verify_queue, flight, queued);
    flight->stage = FLIGHT_VERIFYING;
    worker->flight = flight;
    worker->documents++;
    worker->deadline_ms = clock_monotonic_ms() + provide->config->verify_timeout;
}

void step_verify(struct provide *provide)
{
    if (!step_trust_ready(provide))
        return;
    for (unsigned i = 0; i < VERIFY_WORKER_MAX && provide->trust_known; i++) {
        struct worker *worker = &provide->workers[i];
        bool idle = worker->fd >= 0 && !worker->flight && !worker->errand &&
                    worker->lists_serial == provide->trusted.lists_serial;
        struct flight *flight = idle ? next_flight(provide, worker) : NULL;
        if (flight)
            step_submit(provide, worker, flight);
    }
}

void step_queue_for_verification(struct provide *provide, struct flight *flight)
{
    flight->stage = FLIGHT_VERIFY_QUEUED;
    TAILQ_INSERT_TAIL(&provide->verify_queue, flight, queued);
}

static void step_again(struct provide *provide, struct flight *flight)
{
    flight->stage = FLIGHT_VERIFY_QUEUED;
    TAILQ_INSERT_HEAD(&provide->verify_queue, flight, queued);
}

/* --- processes that end ----------------------------------------------------------------------- */

void step_worker_lost(struct worker *worker, const char *blame)
{
    cleanup_close(&worker->fd);
    worker->fd = -1;
    worker->blame = blame;
    worker->deadline_ms = clock_monotonic_ms() + ENDED_MS;
}

/* What happened to a process, in words. */
static void describe_end(const struct worker *worker, int status, char out[VERDICT_TEXT_MAX])
{
    if (worker->blame)
        snprintf(out, VERDICT_TEXT_MAX, "the verifying process %s", worker->blame);
    else if (WIFSIGNALED(status))
        snprintf(out, VERDICT_TEXT_MAX, "the verifying process was ended by signal %d (%s)",
                 WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
    else
        snprintf(out, VERDICT_TEXT_MAX, "the verifying process ended without an answer");
}

/* Nobody has judged the document, so its digest is taken here, for the record. */
static int undecidable_verdict(const struct provide *provide, const struct flight *flight,
                               const char *reason, struct verdict *ret_verdict)
{
    _cleanup_mapping_ struct mapping content = {0};
    verdict_init(ret_verdict);
    int r = mapping_open(flight->memfd, (size_t)provide->config->body_max, &content);
    if (r == 0)
        r = sha256(content.data, content.size, ret_verdict->document_sha256);
    if (r < 0)
        return r;
    ret_verdict->document_size = content.size;
    ret_verdict->verified_at_s = clock_realtime_s();
    memcpy(ret_verdict->trust_generation, provide->trust, SHA256_SIZE);
    verdict_add(ret_verdict, CHECK_UNDECIDED, VERDICT_PROCESS_CHECK, "", "%s", reason);
    return 0;
}

static void count_verdict(struct provide *provide, const struct verdict *verdict)
{
    if (verdict->indication == VERDICT_TOTAL_PASSED)
        provide->count.accepted++;
    else if (verdict->indication == VERDICT_TOTAL_FAILED)
        provide->count.rejected++;
    else
        provide->count.undecided++;
}

static void step_judged(struct provide *provide, struct flight *flight,
                        const struct verdict *verdict)
{
    struct signer_judgement judgement;
    /* Whoever signed what is served must be known: his status decides at each open. */
    if (verdict->indication == VERDICT_TOTAL_PASSED &&
        !signers_judge(provide->trusted.signers, verdict->signer_sha256, 0, 0, &judgement)) {
        step_land(provide, flight, ENOKEY,
                  "the signer cannot be kept: too many signers, or certificates too large");
        return;
    }
    flight->verdict = malloc(sizeof *flight->verdict);
    if (!flight->verdict) {
        step_land(provide, flight, ENOMEM, "memory is short");
        return;
    }
    *flight->verdict = *verdict;
    if (!flight->look_only)
        count_verdict(provide, verdict);
    if (!step_scan(provide, flight))
        step_queue_for_store(provide, flight, FLIGHT_STORING);
}

/* Without the lock; the flight is in no queue and with no worker. */
static void give_up(struct provide *provide, struct flight *flight, const char *reason)
{
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    int r = verdict ? undecidable_verdict(provide, flight, reason, verdict) : -ENOMEM;
    if (r == 0) {
        provide->listener.undecidable(provide->listener.context, reason);
        if (!flight->compares) /* told when it is kept */
            provide->listener.judged(provide->listener.context, &flight->name, verdict);
    }
    provide_lock(provide);
    if (r == 0)
        step_judged(provide, flight, verdict);
    else
        step_land(provide, flight, EIO, reason);
    provide_unlock(provide);
}

/* Without the lock. `killed`: by somebody else. */
static void resolve(struct provide *provide, struct worker *worker, bool killed, const char *reason)
{
    struct flight *flight = worker->flight; /* only this thread gives and takes it */
    if (!flight)
        return;
    provide_lock(provide);
    worker->flight = NULL;
    bool again = killed ? ++flight->verify_killed < VERIFY_KILLED_MAX
                        : ++flight->verify_tries < VERIFY_TRIES_MAX;
    flight->wants_fresh = true;
    if (again)
        step_again(provide, flight);
    provide_unlock(provide);
    if (!again)
        give_up(provide, flight, reason);
}

void provide_worker_ended(struct provide *provide, uint32_t index, int status)
{
    char reason[VERDICT_TEXT_MAX];
    if (index >= VERIFY_WORKER_MAX || provide->workers[index].documents == 0)
        return;
    struct worker *worker = &provide->workers[index];
    bool killed = !worker->blame && WIFSIGNALED(status) &&
                  (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
    provide_lock(provide);
    if (worker->fd >= 0) /* its end is heard before the end of its connection */
        step_worker_lost(worker, NULL);
    provide_unlock(provide);
    describe_end(worker, status, reason);
    resolve(provide, worker, killed, reason);
}

void provide_worker_connected(struct provide *provide, uint32_t index, int fd)
{
    struct worker *worker = &provide->workers[index];
    provide_lock(provide);
    step_worker_lost(worker, worker->blame);
    provide_unlock(provide);
    resolve(provide, worker, false, "the verifying process was restarted");
    provide_lock(provide);
    *worker = (struct worker){.fd = fd};
    provide_unlock(provide);
}

static void misbehaved(struct provide *provide, struct worker *worker, const char *blame)
{
    provide_lock(provide);
    step_worker_lost(worker, blame);
    provide_unlock(provide);
    provide->listener.misbehaved(provide->listener.context, ROOM_VERIFY,
                                 (uint32_t)(worker - provide->workers), blame);
}

void provide_worker_deadlines(struct provide *provide, int64_t now_ms)
{
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++) {
        struct worker *worker = &provide->workers[i];
        if ((!worker->flight && !worker->errand) || worker->deadline_ms > now_ms)
            continue;
        if (worker->fd >= 0)
            misbehaved(provide, worker, "did not answer in time");
        else
            resolve(provide, worker, false, "the verifying process is gone");
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

/* The verdict is about the bytes that were handed over, and about all of them. */
static bool is_about(const struct provide *provide, const struct flight *flight,
                     const struct verdict *verdict)
{
    uint8_t digest[SHA256_SIZE];
    _cleanup_mapping_ struct mapping content = {0};
    return verdict->document_size == flight->entry.size &&
           mapping_open(flight->memfd, (size_t)provide->config->body_max, &content) == 0 &&
           content.size == verdict->document_size &&
           sha256(content.data, content.size, digest) == 0 &&
           memory_equal(digest, verdict->document_sha256, SHA256_SIZE);
}

/* Trust is changing: this process or that worker has not heard of it yet, which is not the
 * document's fault and takes longer than a few quick tries. */
static void step_answered(struct provide *provide, struct flight *flight,
                          const struct verdict *verdict)
{
    if (memory_equal(verdict->trust_generation, provide->trust, SHA256_SIZE))
        step_judged(provide, flight, verdict);
    else if (clock_monotonic_ms() < flight->deadline_ms)
        step_again(provide, flight);
    else
        step_land(provide, flight, EIO, "trust changes faster than documents are read");
}

static void take_verdict(struct provide *provide, struct worker *worker,
                         const struct verdict *verdict)
{
    struct flight *flight = worker->flight;
    bool passed = verdict->indication == VERDICT_TOTAL_PASSED;
    bool retired = (!passed && !flight->anew) ||
                   worker->documents >= (uint64_t)provide->config->verify_documents;
    if (!flight->compares) /* told when it is kept */
        provide->listener.judged(provide->listener.context, &flight->name, verdict);
    provide_lock(provide);
    worker->flight = NULL;
    step_answered(provide, flight, verdict);
    if (retired)
        step_worker_lost(worker, NULL);
    provide_unlock(provide);
    if (retired)
        provide->listener.retire(provide->listener.context, (uint32_t)(worker - provide->workers));
}

void provide_on_worker(struct provide *provide, unsigned index)
{
    struct worker *worker = &provide->workers[index];
    static const char unasked[] = "answered what it was not asked";
    struct verify_answer *answer = provide->trusted.answer;
    int result = verify_client_receive(worker->fd, answer);
    if (result == -EAGAIN || result == -ENOMEM)
        return; /* poll says so again */
    if (result == -EBADMSG) {
        misbehaved(provide, worker, "sent a message that makes no sense");
    } else if (result != 0) {
        provide_lock(provide);
        step_worker_lost(worker, NULL);
        provide_unlock(provide);
    } else if (answer->kind != ANSWER_VERDICT) {
        if (!provide_trust_answered(provide, worker, answer))
            misbehaved(provide, worker, unasked);
    } else if (!worker->flight || answer->id != worker->flight->id ||
               !is_about(provide, worker->flight, &answer->verdict)) {
        misbehaved(provide, worker, unasked);
    } else {
        take_verdict(provide, worker, &answer->verdict);
    }
}
