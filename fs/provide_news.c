/* See fs/provide_news.h. */
#include "fs/provide_news.h"

#include "base/ipc.h"
#include "base/log.h"
#include "base/room.h"
#include "fs/control_revalidate.h"
#include "fs/process_alerts.h"
#include "fs/scanning.h"
#include "fs/trust_tell.h"
#include "fs/upkeep.h"

#include <string.h>

static void on_fetched(void *context, const struct certname *name, int error, uint32_t status,
                       uint64_t size, const char *detail)
{
    struct mountfs *fs = context;
    char status_text[16], size_text[24];
    snprintf(status_text, sizeof status_text, "%u", status);
    snprintf(size_text, sizeof size_text, "%llu", (unsigned long long)size);
    const struct audit_event event = {
        .kind = AUDIT_FETCH,
        .result = error ? AUDIT_FAILED : AUDIT_OK,
        .error = error,
        .name = name->text,
        .text = error ? detail : NULL,
        .detail = {{"http_status", status_text}, {"size", size_text}},
    };
    if (audit_write(fs->audit, &event) < 0)
        log_warning("a fetch could not be recorded");
}

/* One of our reading of XML Signature and xmlsec1's is wrong: that is never routine. */
static void alert_second_opinion(struct mountfs *fs, const struct verdict *verdict)
{
    for (unsigned i = 0; i < verdict->reason_count; i++)
        if (verdict->reasons[i].outcome == CHECK_FAILED &&
            strcmp(verdict->reasons[i].check, "xml-second-opinion") == 0)
            alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_VERIFICATION, "second opinion",
                         "Keep the certificate for analysis; its record is in the audit trail.",
                         "xmlsec1 refuses a signature that kosekifs itself would accept");
}

static void on_judged(void *context, const struct certname *name, const struct verdict *verdict)
{
    struct mountfs *fs = context;
    char reason[VERDICT_TEXT_MAX], digest[2 * SHA256_SIZE + 1], trust[2 * SHA256_SIZE + 1];
    bool passed = verdict->indication == VERDICT_TOTAL_PASSED;
    verdict_explain(verdict, reason);
    hex_encode(verdict->document_sha256, SHA256_SIZE, digest);
    hex_encode(verdict->trust_generation, SHA256_SIZE, trust);
    const struct audit_event event = {
        .kind = AUDIT_VERDICT,
        .result = passed ? AUDIT_OK : AUDIT_FAILED,
        .name = name->text,
        .reason = verdict_indication_text(verdict->indication),
        .text = passed ? NULL : reason,
        .detail = {{"document_sha256", digest}, {"trust_generation", trust}},
    };
    if (audit_write(fs->audit, &event) < 0)
        log_warning("a verdict could not be recorded");
    alert_second_opinion(fs, verdict);
}

static void on_withdrawn(void *context, uint32_t inode)
{
    mountfs_withdraw(context, inode);
}

/* Five fetches, and a second in which the line was in use, say something. */
static void on_measured(void *context, const struct link_reading *reading)
{
    enum { FETCHES_MIN = 5, BUSY_MIN_MS = 1000 };
    struct mountfs *fs = context;
    uint64_t rate = link_reading_rate(reading);
    if (reading->fetches < FETCHES_MIN)
        return;
    if (reading->busy_ms >= BUSY_MIN_MS && rate < (uint64_t)fs->alerting->throughput)
        alerts_raise(fs->alerts, ALERT_WARNING, ALERT_LINK, "throughput",
                     "Look at the width of the line and at who else uses it.",
                     "%llu bytes/s came while it was in use, %lld are wanted",
                     (unsigned long long)rate, (long long)fs->alerting->throughput);
    int64_t queued_ms = reading->queued_ms / (int64_t)reading->fetches;
    if (fs->alerting->queueing > 0 && queued_ms > fs->alerting->queueing)
        alerts_raise(fs->alerts, ALERT_WARNING, ALERT_LINK, "queueing",
                     "Widen the line, or raise [mount] fetches_max and [link] connections_max.",
                     "fetches waited %lld ms for a place on average", (long long)queued_ms);
}

static void on_endpoint(void *context, const struct link_endpoint_state *state)
{
    struct mountfs *fs = context;
    if (state->open)
        alerts_raise(
            fs->alerts, ALERT_WARNING, ALERT_LINK, state->address,
            "Look at the line and at the link system; kosekictl status shows its addresses.",
            "it does not work and is left alone for now: %s", state->last_failure);
    else
        log_info("the link system answers again at %s", state->address);
}

static void tell_supervisor(enum room_message type, enum room_role role, uint32_t index)
{
    const struct room_peer peer = {.role = role, .index = index};
    if (ipc_send(ROOM_FD, type, 0, &peer, sizeof peer, NULL, 0) < 0)
        log_error("the supervisor cannot be told");
}

static void on_misbehaved(void *context, enum room_role role, uint32_t index, const char *reason)
{
    struct mountfs *fs = context;
    log_error("kosekifs-%s %u %s; it is replaced", room_role_name(role), index, reason);
    process_alerts_misbehaved(fs->alerts, role, reason);
    tell_supervisor(ROOM_KILL, role, index);
}

static void on_retire(void *context, uint32_t index)
{
    (void)context;
    tell_supervisor(ROOM_RETIRE, ROOM_VERIFY, index);
}

static void on_undecidable(void *context, const char *reason)
{
    struct mountfs *fs = context;
    process_alerts_undecidable(fs->alerts, reason);
}

static bool on_sealed(void *context, const struct certname *name)
{
    struct mountfs *fs = context;
    return seals_cover_everyone(fs->seals, name);
}

static int64_t on_keep_until(void *context, const struct certname *name, int64_t now_s)
{
    return upkeep_keep_until(context, name, now_s);
}

static void on_upkeep(void *context, struct cache *cache)
{
    struct mountfs *fs = context;
    upkeep_run(fs->upkeep, cache);
}

void provide_news_listener(struct mountfs *fs, struct provide_listener *ret_listener)
{
    *ret_listener = (struct provide_listener){
        .context = fs,
        .fetched = on_fetched,
        .judged = on_judged,
        .withdrawn = on_withdrawn,
        .list_seen = trust_tell_list,
        .signer_seen = trust_tell_signer,
        .restated = trust_tell_restated,
        .swept = trust_tell_swept,
        .ageing = trust_tell_ageing,
        .keep_until = on_keep_until,
        .upkeep = on_upkeep,
        .measured = on_measured,
        .endpoint = on_endpoint,
        .scan = scanning_scan,
        .sealed = on_sealed,
        .undecidable = on_undecidable,
        .retire = on_retire,
        .revalidated = control_revalidated,
        .misbehaved = on_misbehaved,
    };
}
