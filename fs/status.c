/* See status.h. Both forms are made from one gathering of figures. */
#include "fs/status.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/key_watch.h"
#include "fs/replica.h"
#include "fs/scanner.h"
#include "fs/status_link.h"
#include "fs/processes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct figures {
    struct provide_statistics provide;
    struct cache_statistics store;
    bool has_replica;
    struct replica_status replica;
    struct audit_status audit;
    struct alerts_counts alerts;
    struct key_figures keys;
    uint64_t opens, denials, failures, seals;
    bool sealed;
    int64_t uptime_s;
    char policy_version[ACCESS_VERSION_SIZE];
    uint8_t policy_sha256[SHA256_SIZE];
    char relaxed[MOUNTFS_RELAXED_MAX];
};

static void gather(struct mountfs *fs, struct figures *figures)
{
    *figures = (struct figures){.uptime_s = clock_realtime_s() - fs->started_s};
    provide_statistics(fs->provide, &figures->provide);
    if (cache_statistics(fs->cache, &figures->store) < 0)
        figures->store = (struct cache_statistics){0};
    figures->has_replica = fs->replica != NULL;
    if (fs->replica)
        replica_status(fs->replica, &figures->replica);
    audit_status(fs->audit, &figures->audit);
    alerts_counts(fs->alerts, &figures->alerts);
    key_watch_look(fs->key_watch, &figures->keys);
    access_version(fs->access, figures->policy_version, figures->policy_sha256);
    figures->seals = seals_count(fs->seals);
    figures->sealed = seals_cover_all(fs->seals);
    figures->opens = atomic_load(&fs->opens);
    figures->denials = atomic_load(&fs->denials);
    figures->failures = atomic_load(&fs->failures);
    pthread_mutex_lock(&fs->relaxed_lock);
    memcpy(figures->relaxed, fs->relaxed, sizeof figures->relaxed);
    pthread_mutex_unlock(&fs->relaxed_lock);
}

/* "ok" unless something keeps certificates from being served, or somebody should look. */
static const char *overall(const struct figures *figures)
{
    if (figures->sealed)
        return "sealed";
    if (figures->audit.error)
        return "suspended";
    if (!figures->provide.link_up || !figures->provide.verify_up || figures->keys.token_away)
        return "degraded";
    if (figures->alerts.open[ALERT_CRITICAL] || figures->alerts.open[ALERT_WARNING])
        return "attention";
    return "ok";
}

static int set_number(struct json *object, const char *key, uint64_t value)
{
    return json_set_integer(object, key, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static struct json *requests_object(const struct figures *figures)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || set_number(object, "opens", figures->opens) < 0 ||
        set_number(object, "denials", figures->denials) < 0 ||
        set_number(object, "failures", figures->failures) < 0 ||
        set_number(object, "waiting", figures->provide.waiters) < 0 ||
        set_number(object, "seals", figures->seals) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *verify_object(const struct figures *figures)
{
    const struct provide_statistics *provide = &figures->provide;
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || set_number(object, "workers", provide->verify_up) < 0 ||
        set_number(object, "accepted", provide->accepted) < 0 ||
        set_number(object, "rejected", provide->rejected) < 0 ||
        set_number(object, "undecided", provide->undecided) < 0 ||
        json_set_hex(object, "trust_generation", provide->trust_generation, SHA256_SIZE) < 0 ||
        json_set_text(object, "relaxed_checks", figures->relaxed) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *store_object(const struct figures *figures)
{
    const struct cache_statistics *store = &figures->store;
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || set_number(object, "certificates", store->stored) < 0 ||
        set_number(object, "bytes", store->stored_bytes) < 0 ||
        set_number(object, "rejected", store->rejected) < 0 ||
        set_number(object, "disk_bytes_free", store->blocks_free * store->block_size) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *replica_object(const struct figures *figures)
{
    const struct replica_status *replica = &figures->replica;
    const char *state = !figures->has_replica ? "none"
                        : replica->error      ? strerror(-replica->error)
                        : !replica->compared  ? "being compared"
                        : replica->behind     ? "behind"
                                              : "ok";
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "state", state) < 0 ||
        set_number(object, "behind", replica->behind) < 0 ||
        set_number(object, "key_copies_behind", figures->store.mirrors_behind) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *audit_object(const struct figures *figures)
{
    const struct audit_status *audit = &figures->audit;
    _cleanup_json_ struct json *object = json_object_new();
    if (!object ||
        json_set_text(object, "state", audit->error ? strerror(-audit->error) : "ok") < 0 ||
        set_number(object, "sequence", audit->sequence) < 0 ||
        set_number(object, "synced", audit->synced) < 0 ||
        set_number(object, "lost", audit->lost) < 0 ||
        json_set_bool(object, "checkpoints_signed", audit->signing) < 0 ||
        set_number(object, "checkpoint", audit->checkpoint) < 0 ||
        json_set_bool(object, "clock_synchronised", audit->clock_synchronised) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *alerts_object(const struct figures *figures)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object)
        return NULL;
    for (unsigned i = 0; i < ALERT_SEVERITY_COUNT; i++)
        if (set_number(object, alert_severity_name(i), figures->alerts.open[i]) < 0)
            return NULL;
    return steal_ptr(&object);
}

static struct json *scan_object(struct mountfs *fs)
{
    struct scanner_statistics scan = {0};
    _cleanup_json_ struct json *object = json_object_new();
    if (fs->scanner)
        scanner_statistics(fs->scanner, &scan);
    if (!object || json_set_bool(object, "configured", fs->scanner != NULL) < 0 ||
        json_set_bool(object, "up", scan.up) < 0 ||
        set_number(object, "scanned", scan.scanned) < 0 ||
        set_number(object, "found", scan.found) < 0 ||
        set_number(object, "failed", scan.failed) < 0 ||
        set_number(object, "not_yet_scanned", scan.unscanned) < 0)
        return NULL;
    return steal_ptr(&object);
}

struct json *status_object(struct mountfs *fs)
{
    _cleanup_free_ struct figures *figures = malloc(sizeof *figures);
    _cleanup_json_ struct json *object = json_object_new();
    if (!figures || !object)
        return NULL;
    gather(fs, figures);
    if (json_set_text(object, "state", overall(figures)) < 0 ||
        json_set_text(object, "version", KOSEKIFS_VERSION) < 0 ||
        set_number(object, "uptime_seconds", (uint64_t)figures->uptime_s) < 0 ||
        json_set_text(object, "access_policy_version", figures->policy_version) < 0 ||
        json_set_hex(object, "access_policy_sha256", figures->policy_sha256, SHA256_SIZE) < 0 ||
        json_set(object, "requests", requests_object(figures)) < 0 ||
        json_set(object, "link", status_link_object(&figures->provide)) < 0 ||
        json_set(object, "waivers", status_waivers(fs->waivers)) < 0 ||
        json_set(object, "keys", key_watch_object(fs->key_watch)) < 0 ||
        json_set(object, "verify", verify_object(figures)) < 0 ||
        json_set(object, "store", store_object(figures)) < 0 ||
        json_set(object, "replica", replica_object(figures)) < 0 ||
        json_set(object, "audit", audit_object(figures)) < 0 ||
        json_set(object, "scan", scan_object(fs)) < 0 ||
        json_set(object, "alerts", alerts_object(figures)) < 0 ||
        json_set_text(object, "sandbox", processes_level(fs->processes)) < 0 ||
        json_set(object, "processes", processes_object(fs->processes)) < 0)
        return NULL;
    return steal_ptr(&object);
}

struct metric {
    const char *name, *type, *help;
    uint64_t value;
};

char *status_metrics(struct mountfs *fs)
{
    _cleanup_free_ struct figures *figures = malloc(sizeof *figures);
    char *text = NULL;
    size_t size = 0;
    if (!figures)
        return NULL;
    gather(fs, figures);
    const struct metric metrics[] = {
        {"opens_total", "counter", "Opens granted.", figures->opens},
        {"denials_total", "counter", "Requests without a right.", figures->denials},
        {"failures_total", "counter", "Requests that ended with an error.", figures->failures},
        {"waiting", "gauge", "Requests that wait.", figures->provide.waiters},
        {"seals", "gauge", "Emergency seals in force.", figures->seals},
        {"link_up", "gauge", "1 if the link process runs.", figures->provide.link_up},
        {"keys_up", "gauge", "1 if the keys process answers.", figures->keys.up},
        {"client_certificate_not_after_seconds", "gauge", "End of our TLS client certificate.",
         (uint64_t)figures->keys.not_after_s},
        {"lookups_total", "counter", "HEAD requests.", figures->provide.lookups},
        {"fetches_total", "counter", "GET requests.", figures->provide.fetches},
        {"fetch_failures_total", "counter", "Fetches that failed.",
         figures->provide.fetch_failures},
        {"fetched_bytes_total", "counter", "Bytes of bodies.", figures->provide.bytes_fetched},
        {"resumed_total", "counter", "Transfers continued.", figures->provide.resumed},
        {"verify_workers", "gauge", "Verifying processes.", figures->provide.verify_up},
        {"accepted_total", "counter", "Verdicts TOTAL-PASSED.", figures->provide.accepted},
        {"rejected_total", "counter", "Verdicts TOTAL-FAILED.", figures->provide.rejected},
        {"undecided_total", "counter", "Verdicts INDETERMINATE.", figures->provide.undecided},
        {"stored", "gauge", "Certificates stored.", figures->store.stored},
        {"stored_bytes", "gauge", "Bytes of certificates stored.", figures->store.stored_bytes},
        {"audit_ok", "gauge", "1 if the audit trail can be written.", !figures->audit.error},
        {"audit_records_total", "counter", "Audit records.", figures->audit.written},
        {"audit_lost_total", "counter", "Events not recorded.", figures->audit.lost},
        {"alerts_critical", "gauge", "Critical alerts not acknowledged.",
         figures->alerts.open[ALERT_CRITICAL]},
        {"alerts_warning", "gauge", "Warnings not acknowledged.",
         figures->alerts.open[ALERT_WARNING]},
    };
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        fprintf(out, "# HELP kosekifs_%s %s\n# TYPE kosekifs_%s %s\nkosekifs_%s %" PRIu64 "\n",
                metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type, metrics[i].name,
                metrics[i].value);
    status_link_metrics(&figures->provide, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
