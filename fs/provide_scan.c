/*
 * Flights that are scanned for malware between verdict and store. The scanner is the listener's;
 * what it found makes the verdict TOTAL-FAILED by a check of its own.
 */
#include "base/clock.h"
#include "base/log.h"
#include "fs/errno_table.h"
#include "fs/provide_private.h"

#include <errno.h>
#include <string.h>

static const char malware_check[] = "malware";

bool verdict_says_malware(const struct verdict *verdict)
{
    const struct verdict_reason *reason = verdict_decisive(verdict);
    return reason && reason->outcome == CHECK_FAILED && strcmp(reason->check, malware_check) == 0;
}

bool step_scan(struct provide *provide, struct flight *flight)
{
    if (flight->verdict->indication != VERDICT_TOTAL_PASSED || (flight->anew && !flight->scan) ||
        !provide->listener.scan)
        return false;
    int asked =
        provide->listener.scan(provide->listener.context, flight->id, &flight->name, flight->memfd);
    if (asked > 0)
        flight->stage = FLIGHT_SCANNING;
    else if (asked < 0)
        step_land(provide, flight, ENOMEM, "memory or descriptors are short");
    return asked != 0;
}

/* Under the lock. */
static void step_scanned(struct provide *provide, struct flight *flight, enum provide_scan result,
                         const char *text)
{
    struct verdict *verdict = flight->verdict;
    if (result == PROVIDE_MALWARE) {
        verdict->indication = VERDICT_TOTAL_FAILED;
        verdict->sub = VERDICT_FORMAT_FAILURE;
        verdict_add(verdict, CHECK_FAILED, malware_check, "技術的基準 第6-3(4)", "%s", text);
        provide->count.accepted--;
        provide->count.rejected++;
    } else if (result == PROVIDE_UNSCANNED) {
        char reason[VERDICT_TEXT_MAX];
        snprintf(reason, sizeof reason, "the malware scanner gives no answer: %s", text);
        step_land(provide, flight, ENOKEY, reason);
        return;
    }
    step_queue_for_store(provide, flight, FLIGHT_STORING);
}

void provide_scanned(struct provide *provide, uint64_t id, enum provide_scan result,
                     const char *text)
{
    _cleanup_free_ struct verdict *verdict = NULL;
    struct certname name = {0};
    provide_lock(provide);
    struct flight *flight = flights_find_id(provide->flights, id);
    if (flight && flight->stage == FLIGHT_SCANNING) {
        step_scanned(provide, flight, result, text);
        if (result == PROVIDE_MALWARE) {
            name = flight->name;
            verdict = malloc(sizeof *verdict);
            if (verdict)
                *verdict = *flight->verdict;
        }
    }
    provide_unlock(provide);
    if (verdict)
        provide->listener.judged(provide->listener.context, &name, verdict);
}

/* Under the lock. */
static int step_rescan(struct provide *provide, const struct certname *name, struct waiter *waiter)
{
    struct cache_entry entry;
    if (flights_find(provide->flights, FLIGHT_CONTENT, name))
        return EBUSY; /* also what is not stored yet */
    int found = cache_find(provide->cache, name, &entry);
    if (found < 0)
        return errno_of_store(found);
    if (found > 0 || (entry.state != CACHE_STORED && entry.state != CACHE_WITHHELD))
        return ENOENT;
    struct flight *flight = flights_add(provide->flights, FLIGHT_CONTENT, name);
    if (!flight)
        return ENOMEM;
    if (waiter && !shares_add_waiter(provide->shares, waiter->uid, UINT64_MAX)) {
        flights_remove(provide->flights, flight);
        flight_free(flight);
        return ENOMEM;
    }
    flight->entry = entry;
    flight->anew = flight->scan = true;
    flight->started_ms = clock_monotonic_ms();
    flight->deadline_ms = flight->started_ms + provide->config->open_timeout;
    if (waiter) {
        waiter->deadline_ms = flight->deadline_ms;
        flight_add_waiter(flight, waiter);
        provide->waiters++;
    } else {
        flight->background = true;
        provide->reverifying++;
    }
    step_queue_for_store(provide, flight, FLIGHT_LOADING);
    return 0;
}

void step_scan_landed(struct provide *provide, const struct flight *flight)
{
    int error = step_rescan(provide, &flight->name, NULL);
    if (error && error != ENOENT)
        log_error("a certificate that was under way could not be scanned again: %s",
                  errno_name(error));
}

int provide_rescan(struct provide *provide, const struct certname *name, struct waiter *waiter)
{
    provide_lock(provide);
    int error = step_rescan(provide, name, waiter);
    provide_unlock(provide);
    if (!error)
        provide_wake(provide);
    return error;
}

/* Its scan may have been before what the operator wants to be scanned for. */
static void mark_under_way(struct flight *flight, void *context)
{
    (void)context;
    flight->scan_after = flight->kind == FLIGHT_CONTENT;
}

void provide_rescan_all(struct provide *provide)
{
    provide_lock(provide);
    flights_walk(provide->flights, mark_under_way, NULL);
    provide->rescan = true;
    provide->reverify_cursor = 0;
    provide_unlock(provide);
    provide_wake(provide);
}
