/* What is unusual in the stream of events. Alerts go to logs and mails: they name users, never
 * certificates, which the trail has. */
#include "fs/alerts.h"

#include "base/clock.h"
#include "fs/alerts_private.h"

#include <string.h>

/* What one event adds up to; decided under the lock, raised without it. */
struct finding {
    bool denials, names, opens, failures;
    uint32_t count;
};

static void subject_of(uid_t uid, char out[ALERT_SUBJECT_SIZE])
{
    snprintf(out, ALERT_SUBJECT_SIZE, "uid %u", (unsigned)uid);
}

static bool is_open_or_lookup(const struct audit_event *event)
{
    return event->kind == AUDIT_OPEN || event->kind == AUDIT_LOOKUP || event->kind == AUDIT_XATTR;
}

static void count_failure(struct alerts *alerts, int64_t now_ms, struct finding *finding)
{
    if (alerts->failures == 0 || now_ms - alerts->failures_began_ms >= alerts->config.window) {
        alerts->failures = 0;
        alerts->failures_began_ms = now_ms;
    }
    finding->failures = ++alerts->failures >= (uint64_t)alerts->config.verification;
    finding->count = alerts->failures;
}

static void count_in_vain(struct alerts *alerts, uid_t uid, const char *name, bool denied,
                          int64_t now_ms, struct finding *finding)
{
    struct watch_user *user = watch_find(&alerts->watch, uid, now_ms);
    user->denials += denied;
    if (denied && user->denials >= (uint64_t)alerts->config.denials) {
        finding->denials = true;
        finding->count = user->denials;
    }
    uint32_t names = name ? watch_add_name(user, name) : 0;
    if (names >= (uint64_t)alerts->config.enumeration) {
        finding->names = true;
        finding->count = names;
    }
}

static void count_event(struct alerts *alerts, const struct audit_event *event,
                        struct finding *finding)
{
    int64_t now_ms = clock_monotonic_ms();
    bool scanner = event->role && strcmp(event->role, "scanner") == 0;
    if (event->kind == AUDIT_VERDICT && event->result == AUDIT_FAILED) {
        count_failure(alerts, now_ms, finding);
    } else if (event->caller && !scanner && event->result == AUDIT_DENIED &&
               is_open_or_lookup(event)) {
        count_in_vain(alerts, event->caller->uid, event->name, true, now_ms, finding);
    } else if (event->caller && event->kind == AUDIT_OPEN && event->result == AUDIT_OK) {
        struct watch_user *user = watch_find(&alerts->watch, event->caller->uid, now_ms);
        finding->opens = ++user->opens >= (uint64_t)alerts->config.opens;
        finding->count = user->opens;
    }
}

static void raise_finding(struct alerts *alerts, const struct finding *finding, uid_t uid)
{
    char subject[ALERT_SUBJECT_SIZE];
    if (!finding->denials && !finding->names && !finding->opens && !finding->failures)
        return;
    subject_of(uid, subject);
    long long minutes = (long long)alerts->config.window / 60000;
    if (finding->denials && !finding->names)
        alerts_raise(alerts, ALERT_WARNING, ALERT_DENIALS, subject,
                     "Ask the user what he is looking for; see kosekictl audit show --who.",
                     "%u refusals within %lld minutes.", finding->count, minutes);
    if (finding->names)
        alerts_raise(alerts, ALERT_WARNING, ALERT_ENUMERATION, subject,
                     "Somebody may be trying out request ids: find out which program does, and "
                     "seal the user if in doubt.",
                     "About %u different ids that are not there or not for this user, within %lld "
                     "minutes.",
                     finding->count, minutes);
    if (finding->opens)
        alerts_raise(alerts, ALERT_NOTICE, ALERT_VOLUME, subject,
                     "Check that this many certificates are needed; opens_per_day in the access "
                     "policy limits them.",
                     "%u opens within %lld minutes.", finding->count, minutes);
    if (finding->failures)
        alerts_raise(alerts, ALERT_CRITICAL, ALERT_VERIFICATION, "all certificates",
                     "See kosekictl why NAME and the report; a wrong trust anchor, a stale CRL or "
                     "a tampered transfer shows here first.",
                     "%u verifications failed within %lld minutes.", finding->count, minutes);
}

static void look_at_caller(struct alerts *alerts, const struct audit_event *event)
{
    bool scanner = event->role && strcmp(event->role, "scanner") == 0;
    bool root =
        event->kind == AUDIT_OPEN && event->caller->uid == 0 && alerts->config.root && !scanner;
    bool out_of_hours = event->kind == AUDIT_OPEN && event->result == AUDIT_DENIED &&
                        event->reason && strcmp(event->reason, "out_of_hours") == 0;
    if (!root && !out_of_hours)
        return;
    char subject[ALERT_SUBJECT_SIZE];
    subject_of(event->caller->uid, subject);
    if (out_of_hours)
        alerts_raise(alerts, ALERT_WARNING, ALERT_OUT_OF_HOURS, subject,
                     "Ask the user; somebody else may be using the account.",
                     "Tried to open a certificate outside the hours of affair %s.",
                     event->affair ? event->affair : "?");
    if (root)
        alerts_raise(alerts, event->result == AUDIT_OK ? ALERT_WARNING : ALERT_NOTICE,
                     ALERT_ROOT_ACCESS, subject,
                     "Find out which program does this as root; name a scanner or backup in "
                     "[roles] of the access policy.",
                     "root %s a certificate.",
                     event->result == AUDIT_OK ? "opened" : "tried to open");
}

static void look_at_trail(struct alerts *alerts, const struct audit_event *event, int error)
{
    if (error < 0)
        alerts_raise(alerts, ALERT_CRITICAL, ALERT_AUDIT, "audit trail",
                     "Nothing is served until it can be written: free space in the state "
                     "directory, look at its disk.",
                     "The audit trail cannot be written: %s.", strerror(-error));
    if (event->kind == AUDIT_TRAIL && event->result == AUDIT_FAILED)
        alerts_raise(alerts, ALERT_WARNING, ALERT_AUDIT, event->reason ? event->reason : "trail",
                     "See kosekictl audit verify and audit show --kind trail, and the disk.", "%s",
                     event->text ? event->text : "The audit trail had trouble.");
    if (event->kind == AUDIT_CHECKPOINT && event->result == AUDIT_FAILED)
        alerts_raise(alerts, ALERT_WARNING, ALERT_AUDIT, "checkpoints",
                     "Look at kosekifs-keys; without checkpoints a trail that was cut off cannot "
                     "be told from a whole one.",
                     "No checkpoint can be signed: %s.", strerror(event->error));
    if (event->kind == AUDIT_CLOCK && event->result == AUDIT_FAILED)
        alerts_raise(alerts, ALERT_WARNING, ALERT_CLOCK, "clock",
                     "Look at the time service; hours, validity and revocation depend on it.",
                     "The clock was set by %s ms.",
                     event->detail[0].text ? event->detail[0].text : "?");
    else if (event->kind == AUDIT_CLOCK && event->reason &&
             strcmp(event->reason, "unsynchronised") == 0)
        alerts_raise(alerts, ALERT_WARNING, ALERT_CLOCK, "clock",
                     "Start the time service (chrony, systemd-timesyncd).",
                     "The clock is no longer synchronised.");
}

void alerts_observe(void *context, const struct audit_event *event, int error)
{
    struct alerts *alerts = context;
    if (event->kind == AUDIT_ALERT)
        return; /* else a trail that fails would alert about its own alerts */
    struct finding finding = {0};
    pthread_mutex_lock(&alerts->lock);
    count_event(alerts, event, &finding);
    pthread_mutex_unlock(&alerts->lock);

    raise_finding(alerts, &finding, event->caller ? event->caller->uid : 0);
    if (event->caller)
        look_at_caller(alerts, event);
    look_at_trail(alerts, event, error);
}

void alerts_observe_missing(struct alerts *alerts, uid_t uid, const char *name)
{
    struct finding finding = {0};
    pthread_mutex_lock(&alerts->lock);
    count_in_vain(alerts, uid, name, false, clock_monotonic_ms(), &finding);
    pthread_mutex_unlock(&alerts->lock);
    raise_finding(alerts, &finding, uid);
}
