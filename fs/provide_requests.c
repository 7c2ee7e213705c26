/*
 * What programs and operators ask of provide: whether a certificate can be served now, and to wait
 * until it can. Requests for one name share one flight.
 */
#include "base/clock.h"
#include "fs/errno_table.h"
#include "fs/provide_private.h"

#include <errno.h>
#include <string.h>

static bool trusted_now(struct provide *provide, const struct cache_entry *entry)
{
    provide_lock(provide);
    bool same =
        provide->trust_known && memory_equal(entry->trust_generation, provide->trust, SHA256_SIZE);
    pthread_mutex_unlock(&provide->lock);
    return same;
}

/* Of a stored certificate, by what is known of its signer now. */
static enum provide_state state_of_signer(struct provide *provide, const struct cache_entry *entry,
                                          struct signer_judgement *ret_judgement)
{
    if (!signers_judge(provide->trusted.signers, entry->signer_sha256, entry->received_at_s,
                       clock_realtime_s(), ret_judgement))
        return PROVIDE_UNVERIFIED;
    if (ret_judgement->outcome < SIGNER_HELD && provide_clock_refuses(provide)) {
        snprintf(ret_judgement->text, sizeof ret_judgement->text,
                 "the clock is not synchronised or is behind, and [crl] clock says refuse");
        return PROVIDE_STALE;
    }
    switch (ret_judgement->outcome) {
    case SIGNER_GOOD:
    case SIGNER_GOOD_EARLIER:
        return PROVIDE_READY;
    case SIGNER_UNKNOWN:
        return PROVIDE_STALE;
    case SIGNER_HELD:
    case SIGNER_REVOKED:
        break;
    }
    return PROVIDE_REJECTED;
}

enum provide_state provide_state_of(struct provide *provide, const struct cache_entry *entry)
{
    struct signer_judgement judgement;
    switch (entry->state) {
    case CACHE_STORED:
        return trusted_now(provide, entry) ? state_of_signer(provide, entry, &judgement)
                                           : PROVIDE_UNVERIFIED;
    case CACHE_WITHHELD:
        return trusted_now(provide, entry) ? PROVIDE_REJECTED : PROVIDE_UNVERIFIED;
    case CACHE_REJECTED:
        return trusted_now(provide, entry) ? PROVIDE_REJECTED : PROVIDE_FETCHABLE;
    case CACHE_KNOWN:
        break;
    }
    return PROVIDE_FETCHABLE;
}

uint64_t provide_standing(struct provide *provide)
{
    uint64_t trust = 0;
    provide_lock(provide);
    if (provide->trust_known)
        memcpy(&trust, provide->trust, sizeof trust); /* of a digest */
    pthread_mutex_unlock(&provide->lock);
    trust ^= signers_standing(provide->trusted.signers, clock_realtime_s());
    return 2 * trust + provide_clock_refuses(provide);
}

int provide_rejection(struct provide *provide, const struct cache_entry *entry, char *reason)
{
    struct signer_judgement judgement;
    if (entry->state == CACHE_STORED) {
        enum provide_state state = state_of_signer(provide, entry, &judgement);
        snprintf(reason, VERDICT_TEXT_MAX, "%s", judgement.text);
        return state == PROVIDE_REJECTED && judgement.outcome == SIGNER_REVOKED ? EKEYREVOKED
                                                                                : ENOKEY;
    }
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    if (!verdict)
        return ENOMEM;
    if (cache_verdict(provide->cache, &entry->name, verdict) != 0)
        return EIO;
    verdict_explain(verdict, reason);
    int error = errno_of_verdict(verdict);
    return error ? error : EIO;
}

int provide_read_refused(struct provide *provide, const struct cache_entry *entry)
{
    struct signer_judgement judgement;
    if (entry->state != CACHE_STORED)
        return 0; /* the store says so itself */
    switch (state_of_signer(provide, entry, &judgement)) {
    case PROVIDE_REJECTED:
        return judgement.outcome == SIGNER_REVOKED ? EKEYREVOKED : ENOKEY;
    case PROVIDE_STALE:
        return ENOKEY;
    default:
        return 0;
    }
}

bool provide_signer(struct provide *provide, const uint8_t sha256[SHA256_SIZE],
                    struct signer_status *ret_status)
{
    return signers_status(provide->trusted.signers, sha256, ret_status);
}

/* Under the lock: a positive errno if the waiter cannot be taken. */
static int admit_waiter(struct provide *provide, const struct waiter *waiter)
{
    uint64_t most = (uint64_t)provide->config->waiters_max;
    uint64_t share = most * (uint64_t)provide->config->waiters_share / 100;
    if (provide->waiters >= most ||
        !shares_add_waiter(provide->shares, waiter->uid, share > 0 ? share : 1))
        return EAGAIN;
    return 0;
}

static void start_flight(struct provide *provide, struct flight *flight, int64_t timeout_ms)
{
    flight->started_ms = clock_monotonic_ms();
    flight->deadline_ms = flight->started_ms + timeout_ms;
    if (flight->kind == FLIGHT_LOOKUP)
        provide->count.lookups++;
    else if (!flight->anew)
        provide->count.fetches++;
    if (flight->anew || flight->resuming)
        step_queue_for_store(provide, flight, FLIGHT_LOADING);
    else
        step_queue_for_link(provide, flight);
}

/* Whether the beginning of just this body is stored. */
static void look_for_partial(struct provide *provide, struct flight *flight)
{
    struct cache_partial partial;
    if (flight->kind != FLIGHT_CONTENT || flight->anew ||
        cache_partial_find(provide->cache, &flight->name, &partial) != 0 ||
        partial.size != flight->entry.size || partial.held >= partial.size ||
        strcmp(partial.validator, flight->entry.validator) != 0)
        return;
    flight->resuming = true;
    flight->partial = partial.held;
}

/*
 * Under the lock; a positive errno if there is none. The entry is looked up here, since the one
 * that the caller saw may have been stored meanwhile by a flight that has just landed: fetching it
 * again would replace content that programs have open.
 */
static int begin_flight(struct provide *provide, enum flight_kind kind, const struct certname *name,
                        uid_t uid, int64_t timeout_ms, struct flight **ret_flight)
{
    struct cache_entry entry = {0};
    if (kind == FLIGHT_CONTENT) {
        int found = cache_find(provide->cache, name, &entry);
        if (found != 0)
            return found < 0 ? errno_of_store(found) : ESTALE;
    }
    struct flight *flight = flights_add(provide->flights, kind, name);
    if (!flight)
        return ENOMEM;
    flight->entry = entry;
    flight->uid = uid;
    flight->anew = entry.state == CACHE_STORED || entry.state == CACHE_WITHHELD;
    look_for_partial(provide, flight);
    start_flight(provide, flight, timeout_ms);
    *ret_flight = flight;
    return 0;
}

static int join_flight(struct provide *provide, enum flight_kind kind, const struct certname *name,
                       struct waiter *waiter)
{
    int64_t timeout_ms = waiter->patience_ms     ? waiter->patience_ms
                         : kind == FLIGHT_LOOKUP ? provide->config->lookup_timeout
                                                 : provide->config->open_timeout;
    waiter->deadline_ms = clock_monotonic_ms() + timeout_ms;
    provide_lock(provide);
    int error = admit_waiter(provide, waiter);
    bool admitted = error == 0;
    struct flight *flight = error ? NULL : flights_find(provide->flights, kind, name);
    if (!error && !flight) {
        error = begin_flight(provide, kind, name, waiter->uid, timeout_ms, &flight);
    }
    if (error && admitted)
        shares_remove_waiter(provide->shares, waiter->uid);
    if (!error) {
        (void)flight_keep(flight);
        flight_add_waiter(flight, waiter);
        provide->waiters++;
        step_link(provide);
    }
    provide_unlock(provide);
    if (!error)
        provide_wake(provide);
    return error;
}

int provide_lookup(struct provide *provide, const struct certname *name, struct waiter *waiter)
{
    provide_lock(provide);
    bool unknown = recent_left_ms(provide->unknown, name, clock_monotonic_ms()) > 0;
    pthread_mutex_unlock(&provide->lock);
    return unknown ? ENOENT : join_flight(provide, FLIGHT_LOOKUP, name, waiter);
}

bool provide_described(struct provide *provide, const struct certname *name)
{
    provide_lock(provide);
    bool described = recent_left_ms(provide->described, name, clock_monotonic_ms()) > 0;
    pthread_mutex_unlock(&provide->lock);
    return described;
}

int provide_content(struct provide *provide, const struct certname *name, struct waiter *waiter)
{
    return join_flight(provide, FLIGHT_CONTENT, name, waiter);
}

void provide_interrupt(struct provide *provide, struct waiter *waiter)
{
    atomic_store(&waiter->interrupted, true);
    provide_wake(provide);
}

void provide_forget(struct provide *provide, const struct certname *name)
{
    provide_lock(provide);
    recent_remove(provide->unknown, name);
    recent_remove(provide->described, name);
    pthread_mutex_unlock(&provide->lock);
}
