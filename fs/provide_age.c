/*
 * What time does to trust: lists, anchors and signers' certificates come to an end, and the clock
 * that says so may be wrong. Looked at once a minute by the loop thread.
 */
#include "base/clock.h"
#include "fs/provide_private.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/timex.h>

enum {
    LOOK_MS = 60 * 1000,
    FETCH_TICK_MS = 100, /* no link yet: looked for so often at most */
    ENDS_MS = 24 * 60 * 60 * 1000,
};

/* --- the clock -------------------------------------------------------------------------------- */

/* No list is issued, and none was received, after now. */
static void look_at_clock(struct provide *provide, int64_t now_s)
{
    struct provide_trust *trusted = &provide->trusted;
    int64_t latest_s = 0;
    for (size_t i = 0; i < trusted->revocation.count; i++) {
        const struct revocation_list *list = trusted->revocation.lists[i];
        latest_s = list->info.issued_s > latest_s ? list->info.issued_s : latest_s;
        latest_s = list->received_s > latest_s ? list->received_s : latest_s;
    }
    atomic_store(&trusted->latest_s, latest_s);
    const struct trust_age age = {
        .what = AGE_CLOCK, .subject = "clock", .ends_s = latest_s, .left_s = now_s - latest_s};
    if (now_s + SIGNER_SKEW_S < latest_s)
        provide->listener.ageing(provide->listener.context, &age);
}

bool provide_clock_refuses(struct provide *provide)
{
    struct timex state = {0};
    if (strcmp(provide->crl->clock, "refuse") != 0)
        return false;
    return adjtimex(&state) == TIME_ERROR || (state.status & STA_UNSYNC) ||
           clock_realtime_s() + SIGNER_SKEW_S < atomic_load(&provide->trusted.latest_s);
}

/* --- age -------------------------------------------------------------------------------------- */

static void look_at_signer(void *context, const struct signer_record *record)
{
    struct provide *provide = context;
    int64_t now_s = clock_realtime_s();
    const struct trust_age age = {
        .what = AGE_SIGNER,
        .subject = record->status.subject,
        .sha256 = record->status.sha256,
        .ends_s = record->status.path[0].not_after_s,
        .left_s = record->status.path[0].not_after_s - now_s,
    };
    provide->listener.ageing(provide->listener.context, &age);
}

/* The loop thread alone changes lists and anchors, so they stay while it tells of them. */
int64_t provide_trust_look(struct provide *provide)
{
    struct provide_trust *trusted = &provide->trusted;
    int64_t now_ms = clock_monotonic_ms(), now_s = clock_realtime_s();
    provide_list_given_up(provide);
    int64_t fetch_in_ms = trusted->fetch_ms - now_ms;
    if (fetch_in_ms < FETCH_TICK_MS)
        fetch_in_ms = FETCH_TICK_MS;
    if (now_ms < trusted->look_at_ms)
        return trusted->look_at_ms - now_ms < fetch_in_ms ? trusted->look_at_ms - now_ms
                                                          : fetch_in_ms;
    trusted->look_at_ms = now_ms + LOOK_MS;
    look_at_clock(provide, now_s);
    for (size_t i = 0; i < trusted->revocation.count; i++)
        list_fetches_plan(&trusted->fetches, trusted->revocation.lists[i]->source,
                          &trusted->revocation.lists[i]->info, now_s, now_ms);
    for (size_t i = 0; i < trusted->revocation.count; i++) {
        struct revocation_list *list = trusted->revocation.lists[i];
        enum revocation_state state = revocation_state(&list->info, now_s);
        bool told = state == list->told_state;
        list->told_state = (uint8_t)state;
        const struct trust_age age = {.what = AGE_LIST,
                                      .subject = list->info.issuer,
                                      .sha256 = list->info.scope,
                                      .ends_s = list->info.stale_at_s,
                                      .left_s = list->info.stale_at_s - now_s};
        if (!told && state != REVOCATION_FRESH)
            provide->listener.ageing(provide->listener.context, &age);
    }
    if (now_ms < trusted->ends_at_ms)
        return LOOK_MS;
    trusted->ends_at_ms = now_ms + ENDS_MS;
    for (size_t i = 0; i < trusted->anchor_count; i++) {
        const struct verify_anchor *anchor = &trusted->anchors[i];
        const struct trust_age age = {.what = AGE_ANCHOR,
                                      .subject = anchor->subject,
                                      .sha256 = anchor->sha256,
                                      .ends_s = anchor->not_after_s,
                                      .left_s = anchor->not_after_s - now_s};
        provide->listener.ageing(provide->listener.context, &age);
    }
    signers_walk(trusted->signers, look_at_signer, provide);
    return LOOK_MS;
}
