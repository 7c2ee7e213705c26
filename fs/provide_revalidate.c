/* See fs/revalidation.h. Its flights are those of stored content that is verified anew; `compares`
 * tells them apart. One whose outcome somebody else needs meanwhile stops being look_only. */
#include "base/clock.h"
#include "base/log.h"
#include "fs/errno_table.h"
#include "fs/provide_private.h"

#include <errno.h>
#include <string.h>

enum { AT_ONCE = 2 }; /* one is loaded while the other is verified */

const char *revalidation_change_text(enum revalidation_change change)
{
    static const char *const names[] = {"verdict", "remarks", "undecided", "unreadable", "sealed"};
    return names[change];
}

/* --- a run ------------------------------------------------------------------------------------ */

static int step_begin(struct provide *provide, bool apply, uint32_t after, uid_t asked_by)
{
    struct revalidation *run = &provide->revalidation;
    struct cache_statistics store;
    if (run->totals.running)
        return -EBUSY;
    int r = cache_statistics(provide->cache, &store);
    if (r < 0)
        return r;
    if (!run->rows)
        run->rows = calloc(REVALIDATION_ROWS_MAX, sizeof *run->rows);
    if (!run->rows)
        return -ENOMEM;
    run->serial = 0;
    run->cursor = after;
    run->seen_all = false;
    run->began_ms = clock_monotonic_ms();
    run->totals = (struct revalidation_totals){
        .number = run->totals.number + 1,
        .running = true,
        .apply = apply,
        .asked_by = asked_by,
        .total = store.stored,
        .rejected = store.rejected,
        .reached = after,
    };
    return 0;
}

int provide_revalidate(struct provide *provide, bool apply, uint32_t after, uid_t asked_by)
{
    provide_lock(provide);
    int r = step_begin(provide, apply, after, asked_by);
    provide_unlock(provide);
    provide_wake(provide);
    return r;
}

void provide_revalidate_stop(struct provide *provide)
{
    provide_lock(provide);
    provide->revalidation.totals.stopped |= provide->revalidation.totals.running;
    provide_unlock(provide);
    provide_wake(provide);
}

/* False: later, when what is under way with it has ended, or there is memory. */
static bool step_compare(struct provide *provide, const struct cache_entry *entry)
{
    if (flights_find(provide->flights, FLIGHT_CONTENT, &entry->name))
        return false;
    struct flight *flight = flights_add(provide->flights, FLIGHT_CONTENT, &entry->name);
    if (!flight)
        return false;
    flight->entry = *entry;
    flight->anew = flight->compares = true;
    flight->look_only = !provide->revalidation.totals.apply;
    flight->started_ms = clock_monotonic_ms();
    flight->deadline_ms = flight->started_ms + provide->config->open_timeout;
    provide->revalidation.under_way++;
    step_queue_for_store(provide, flight, FLIGHT_LOADING);
    return true;
}

static void step_go_on(struct provide *provide)
{
    struct revalidation *run = &provide->revalidation;
    struct cache_entry page[AT_ONCE];
    size_t filled = 0, room = AT_ONCE - run->under_way;
    uint32_t cursor = run->cursor;
    int r = cache_list_content(provide->cache, &cursor, page, room, &filled);
    if (r < 0)
        log_error("not all certificates can be verified again: %s", strerror(-r));
    run->totals.stopped |= r < 0;
    run->seen_all = filled == 0;
    for (size_t i = 0; i < filled && step_compare(provide, &page[i]); i++)
        run->cursor = page[i].inode;
}

bool step_revalidate(struct provide *provide)
{
    struct revalidation *run = &provide->revalidation;
    if (!run->totals.running)
        return false;
    if (!run->totals.stopped && !run->seen_all && run->under_way < AT_ONCE)
        step_go_on(provide);
    run->totals.milliseconds = clock_monotonic_ms() - run->began_ms;
    if (run->under_way > 0 || (!run->totals.stopped && !run->seen_all))
        return false;
    run->totals.running = false;
    run->totals.reached = run->cursor;
    return true;
}

bool step_may_compare(const struct provide *provide)
{
    unsigned up = 0, busy = 0;
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++) {
        const struct worker *worker = &provide->workers[i];
        up += worker->fd >= 0;
        busy += worker->flight && worker->flight->compares;
    }
    return busy == 0 || busy < up / 2;
}

/* --- what came of it -------------------------------------------------------------------------- */

static void step_row(struct provide *provide, struct revalidation_row *row)
{
    struct revalidation *run = &provide->revalidation;
    row->serial = ++run->serial;
    run->rows[(row->serial - 1) % REVALIDATION_ROWS_MAX] = *row;
    run->totals.changed[row->change]++;
    run->totals.applied += row->applied;
}

static const struct verdict_reason *find(const struct verdict *verdict,
                                         const struct verdict_reason *reason)
{
    for (unsigned i = 0; i < verdict->reason_count; i++) {
        const struct verdict_reason *other = &verdict->reasons[i];
        if (other->outcome == reason->outcome && strcmp(other->check, reason->check) == 0)
            return other;
    }
    return NULL;
}

/* The first remark of `verdict` that `other` has not; NULL: none. */
static const struct verdict_reason *remark_of_one(const struct verdict *verdict,
                                                  const struct verdict *other)
{
    for (unsigned i = 0; i < verdict->reason_count; i++) {
        if (verdict->reasons[i].outcome != CHECK_PASSED && !find(other, &verdict->reasons[i]))
            return &verdict->reasons[i];
    }
    return NULL;
}

static void set_remark(struct verdict_at *at, const struct verdict_reason *remark)
{
    if (!remark)
        return;
    snprintf(at->check, sizeof at->check, "%s", remark->check);
    snprintf(at->text, sizeof at->text, "%s: %.*s", verdict_outcome_text(remark->outcome),
             VERDICT_TEXT_MAX - 16, remark->text);
}

static bool same_verdict(const struct verdict_at *a, const struct verdict_at *b)
{
    return a->indication == b->indication && a->sub == b->sub &&
           (a->indication == VERDICT_TOTAL_PASSED || strcmp(a->check, b->check) == 0);
}

/* For now, or because the verifying process ended or took too long: nothing follows from it for
 * what was accepted. */
static bool is_undecided(const struct verdict *verdict)
{
    int error = errno_of_verdict(verdict);
    return error == ENOKEY || error == EIO;
}

/* True if something would change; the row says what. */
static bool compare(struct provide *provide, const struct flight *flight,
                    const struct verdict *stored, struct revalidation_row *row)
{
    const struct verdict *verdict = flight->verdict;
    const struct verdict_reason *gone = remark_of_one(stored, verdict),
                                *added = remark_of_one(verdict, stored);
    struct verdict_at before[VERDICT_AT_COUNT], after[VERDICT_AT_COUNT];
    struct signer_status status;
    int64_t received_s = flight->entry.received_at_s, now_s = clock_realtime_s();
    /* What his revocation did to the stored verdict is in force without being written to each. */
    bool known = signers_status(provide->trusted.signers, stored->signer_sha256, &status);
    verdict_at_times(stored, known ? &status : NULL, received_s, now_s, before);
    verdict_at_times(verdict, NULL, received_s, now_s, after);
    row->name = flight->name;
    row->before = before[VERDICT_AT_RECEIPT];
    row->after = after[VERDICT_AT_RECEIPT];
    if (!same_verdict(&row->before, &row->after)) {
        row->change = is_undecided(verdict) ? REVALIDATION_UNDECIDED : REVALIDATION_VERDICT;
        return true;
    }
    /* Of what is not served only the verdict counts. */
    if (verdict->indication != VERDICT_TOTAL_PASSED ||
        (!gone && !added && strcmp(stored->schema, verdict->schema) == 0))
        return false;
    row->change = REVALIDATION_REMARKS;
    set_remark(&row->before, gone);
    set_remark(&row->after, added);
    return true;
}

int provide_compare(struct provide *provide, struct flight *flight)
{
    _cleanup_free_ struct verdict *stored = malloc(sizeof *stored);
    _cleanup_free_ struct revalidation_row *row = calloc(1, sizeof *row);
    if (!stored || !row)
        return -ENOMEM;
    int r = cache_verdict(provide->cache, &flight->name, stored);
    if (r != 0)
        return r > 0 ? -ENOENT : r;
    bool changed = compare(provide, flight, stored, row);
    bool outdated = changed || !memory_equal(stored->trust_generation,
                                             flight->verdict->trust_generation, SHA256_SIZE);
    if (!flight->look_only && outdated && !is_undecided(flight->verdict)) {
        r = provide_revise(provide, flight);
        row->applied = r == 0;
    }
    if (r < 0)
        return r;
    if (row->applied && changed)
        provide->listener.judged(provide->listener.context, &flight->name, flight->verdict);
    provide_lock(provide);
    flight->compared = true;
    if (changed)
        step_row(provide, row);
    else
        provide->revalidation.totals.unchanged++;
    provide_unlock(provide);
    return 0;
}

static bool has_content(struct provide *provide, const struct certname *name)
{
    struct cache_entry entry;
    int r = cache_find(provide->cache, name, &entry);
    return r < 0 || (r == 0 && (entry.state == CACHE_STORED || entry.state == CACHE_WITHHELD));
}

void step_compared(struct provide *provide, struct flight *flight, const char *reason)
{
    struct revalidation *run = &provide->revalidation;
    run->under_way--;
    run->totals.looked_at++;
    if (run->under_way == 0)
        run->totals.reached = run->cursor;
    else if (run->totals.reached < flight->entry.inode && flight->entry.inode < run->cursor)
        run->totals.reached = flight->entry.inode;
    if (!flight->compared && has_content(provide, &flight->name)) {
        bool sealed = provide->listener.sealed(provide->listener.context, &flight->name);
        struct revalidation_row row = {
            .name = flight->name,
            .change = sealed ? REVALIDATION_SEALED : REVALIDATION_UNREADABLE,
            .after.time_s = flight->entry.received_at_s,
        };
        snprintf(row.after.text, sizeof row.after.text, "%s",
                 sealed ? "nobody may read it now" : reason);
        step_row(provide, &row);
    }
    provide_wake(provide); /* for the next one */
}

size_t provide_revalidation(struct provide *provide, uint64_t after,
                            struct revalidation_totals *ret_totals,
                            struct revalidation_row *ret_rows, size_t most)
{
    size_t count = 0;
    provide_lock(provide);
    const struct revalidation *run = &provide->revalidation;
    uint64_t kept = run->serial < REVALIDATION_ROWS_MAX ? run->serial : REVALIDATION_ROWS_MAX;
    if (after < run->serial - kept)
        after = run->serial - kept;
    for (; count < most && after < run->serial; after++)
        ret_rows[count++] = run->rows[after % REVALIDATION_ROWS_MAX];
    *ret_totals = run->totals;
    provide_unlock(provide);
    return count;
}
