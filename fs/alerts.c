/*
 * The list of alerts, and telling them. The list is kept in a file of the state directory, written
 * when an alert is new or acknowledged; counts of repeated ones are written with the next of these.
 */
#include "fs/alerts.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "fs/alerts_private.h"
#include "fs/statefile.h"

#include <stdarg.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000, ALERTS_FILE_MAX = 2 * 1024 * 1024 };

static const char *const kind_names[] = {
#define KIND_NAME(name, text) [ALERT_##name] = text,
    ALERT_KINDS(KIND_NAME)
#undef KIND_NAME
};

static const char *const severity_names[ALERT_SEVERITY_COUNT] = {
    [ALERT_NOTICE] = "notice", [ALERT_WARNING] = "warning", [ALERT_CRITICAL] = "critical"};

const char *alert_kind_name(enum alert_kind kind)
{
    return kind_names[kind];
}

const char *alert_severity_name(enum alert_severity severity)
{
    return severity_names[severity];
}

/* Printable UTF-8 or not does not matter to an environment; control characters do. */
static bool text_ok(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);
    for (const char *c = text; end && c < end; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    }
    return end != NULL;
}

bool alert_message_valid(const struct alert_message *message)
{
    const struct alert *alert = &message->alert;
    return alert->severity < ALERT_SEVERITY_COUNT && alert->kind < ALERT_KIND_COUNT &&
           text_ok(alert->subject, sizeof alert->subject) &&
           text_ok(alert->text, sizeof alert->text) && text_ok(alert->action, sizeof alert->action);
}

static struct json *json_of_alert(const struct alert *alert)
{
    _cleanup_json_ struct json *json = json_object_new();
    if (!json || json_set_integer(json, "id", (int64_t)alert->id) < 0 ||
        json_set_integer(json, "severity", alert->severity) < 0 ||
        json_set_integer(json, "kind", alert->kind) < 0 ||
        json_set_bool(json, "acknowledged", alert->acknowledged) < 0 ||
        json_set_integer(json, "acknowledged_by", alert->acknowledged_by) < 0 ||
        json_set_integer(json, "count", alert->count) < 0 ||
        json_set_integer(json, "first", alert->first_s) < 0 ||
        json_set_integer(json, "last", alert->last_s) < 0 ||
        json_set_text(json, "subject", alert->subject) < 0 ||
        json_set_text(json, "text", alert->text) < 0 ||
        json_set_text(json, "action", alert->action) < 0)
        return NULL;
    return steal_ptr(&json);
}

static bool take_text(char *out, size_t size, const struct json *json, const char *key)
{
    const char *text = json_get_text(json, key);
    if (!text || strlen(text) >= size || !text_ok(text, strlen(text) + 1))
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static int alert_of_json(const struct json *json, struct alert *ret_alert)
{
    struct alert alert = {0};
    int64_t id, severity, kind, by, count;
    if (!json || !json_get_integer(json, "id", &id) ||
        !json_get_integer(json, "severity", &severity) || !json_get_integer(json, "kind", &kind) ||
        !json_get_bool(json, "acknowledged", &alert.acknowledged) ||
        !json_get_integer(json, "acknowledged_by", &by) ||
        !json_get_integer(json, "count", &count) ||
        !json_get_integer(json, "first", &alert.first_s) ||
        !json_get_integer(json, "last", &alert.last_s) ||
        !take_text(alert.subject, sizeof alert.subject, json, "subject") ||
        !take_text(alert.text, sizeof alert.text, json, "text") ||
        !take_text(alert.action, sizeof alert.action, json, "action"))
        return -EBADMSG;
    if (id <= 0 || severity < 0 || severity >= ALERT_SEVERITY_COUNT || kind < 0 ||
        kind >= ALERT_KIND_COUNT || count < 0 || count > UINT32_MAX || by < 0 || by > UINT32_MAX)
        return -EBADMSG;
    alert.id = (uint64_t)id;
    alert.severity = (uint8_t)severity;
    alert.kind = (uint8_t)kind;
    alert.count = (uint32_t)count;
    alert.acknowledged_by = (uid_t)by;
    *ret_alert = alert;
    return 0;
}

static int print_list(struct alerts *alerts, char **ret_text)
{
    _cleanup_json_ struct json *array = json_array_new();
    if (!array)
        return -ENOMEM;
    for (size_t i = 0; i < alerts->count; i++) {
        int r = json_append(array, json_of_alert(&alerts->list[i]));
        if (r < 0)
            return r;
    }
    char *text = json_print(array);
    if (!text)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

/* Without the lock, but never two at a time: an older list must not replace a newer one. */
static void store(struct alerts *alerts)
{
    pthread_mutex_lock(&alerts->storing);
    _cleanup_free_ char *text = NULL;
    pthread_mutex_lock(&alerts->lock);
    int r = print_list(alerts, &text);
    pthread_mutex_unlock(&alerts->lock);
    if (r == 0)
        r = statefile_write(alerts->state_fd, "alerts", bytes_of(text, strlen(text)));
    pthread_mutex_unlock(&alerts->storing);
    if (r < 0)
        log_warning("the list of alerts cannot be kept: %s", strerror(-r));
}

static int load(struct alerts *alerts)
{
    _cleanup_buffer_ struct buffer text;
    buffer_init(&text, ALERTS_FILE_MAX);
    int r = statefile_read(alerts->state_fd, "alerts", &text);
    if (r == -ENOENT)
        return 0;
    _cleanup_json_ struct json *array = NULL;
    if (r == 0)
        r = text.size ? json_parse((const char *)text.data, text.size, &array) : -EBADMSG;
    if (r < 0)
        return r == -EMSGSIZE ? -EBADMSG : r;
    size_t count = json_array_count(array);
    if (count > ALERTS_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++) {
        r = alert_of_json(json_array_at(array, i), &alerts->list[i]);
        if (r < 0 || alerts->list[i].id <= alerts->last_id)
            return -EBADMSG;
        alerts->last_id = alerts->list[i].id;
    }
    alerts->count = count;
    return 0;
}

static void put_damaged_aside(struct alerts *alerts)
{
    (void)!renameat(alerts->state_fd, "alerts", alerts->state_fd, "alerts.damaged");
    alerts->last_id = 0;
    alerts_raise(alerts, ALERT_WARNING, ALERT_DISK, "list of alerts",
                 "Look at alerts.damaged in the state directory; earlier alerts are in the audit "
                 "trail.",
                 "The list of alerts could not be read and was begun anew.");
}

int alerts_new(int state_fd, const struct config_alerts *config, alerts_hook *hook, void *context,
               struct alerts **ret_alerts)
{
    struct alerts *alerts = calloc(1, sizeof *alerts);
    if (!alerts)
        return -ENOMEM;
    pthread_mutex_init(&alerts->storing, NULL);
    pthread_mutex_init(&alerts->lock, NULL);
    alerts->state_fd = state_fd;
    alerts->config = *config;
    alerts->hook = hook;
    alerts->hook_context = context;
    alerts->watch.window_ms = config->window;
    int r = load(alerts);
    if (r == -EBADMSG) {
        put_damaged_aside(alerts);
        r = 0;
    }
    if (r < 0) {
        alerts_free(alerts);
        return r;
    }
    *ret_alerts = alerts;
    return 0;
}

struct alerts *alerts_free(struct alerts *alerts)
{
    if (!alerts)
        return NULL;
    pthread_mutex_destroy(&alerts->lock);
    pthread_mutex_destroy(&alerts->storing);
    free(alerts);
    return NULL;
}

void alerts_set_audit(struct alerts *alerts, struct audit *audit)
{
    pthread_mutex_lock(&alerts->lock);
    alerts->audit = audit;
    pthread_mutex_unlock(&alerts->lock);
}

/* The same alert within its quiet time, not acknowledged yet. */
static struct alert *find_same(struct alerts *alerts, enum alert_kind kind, const char *subject,
                               int64_t now_s)
{
    for (size_t i = alerts->count; i-- > 0;) {
        struct alert *alert = &alerts->list[i];
        if (!alert->acknowledged && alert->kind == kind && strcmp(alert->subject, subject) == 0 &&
            now_s - alert->first_s < alerts->config.quiet / 1000)
            return alert;
    }
    return NULL;
}

static void make_room(struct alerts *alerts)
{
    if (alerts->count < ALERTS_MAX)
        return;
    size_t leaves = 0;
    for (size_t i = 0; i < alerts->count; i++) {
        if (alerts->list[i].acknowledged) {
            leaves = i;
            break;
        }
    }
    alerts->count--;
    memmove(&alerts->list[leaves], &alerts->list[leaves + 1],
            (alerts->count - leaves) * sizeof alerts->list[0]);
}

static bool may_tell(struct alerts *alerts)
{
    int64_t now_ms = clock_monotonic_ms();
    if (alerts->told == 0 || now_ms - alerts->hour_began_ms >= HOUR_MS) {
        alerts->hour_began_ms = now_ms;
        alerts->told = 0;
    }
    if (alerts->told >= (uint64_t)alerts->config.told_max) {
        alerts->counts.untold++;
        return false;
    }
    alerts->told++;
    return true;
}

static void tell(struct alerts *alerts, struct audit *audit, const struct alert *alert)
{
    log_warning("alert %llu, %s, %s: %s: %s %s", (unsigned long long)alert->id,
                severity_names[alert->severity], kind_names[alert->kind], alert->subject,
                alert->text, alert->action);
    if (audit) {
        char id[24];
        snprintf(id, sizeof id, "%llu", (unsigned long long)alert->id);
        const struct audit_event event = {
            .kind = AUDIT_ALERT,
            .reason = kind_names[alert->kind],
            .text = alert->text,
            .detail = {{"action", alert->action},
                       {"id", id},
                       {"severity", severity_names[alert->severity]},
                       {"subject", alert->subject}},
        };
        (void)!audit_write(audit, &event); /* when the trail fails, that is an alert of its own */
    }
    struct alert_message message = {.alert = *alert};
    int r = alerts->hook ? alerts->hook(alerts->hook_context, &message) : 0;
    if (r < 0)
        log_warning("the alert hook cannot be asked for: %s", strerror(-r));
}

/* Control characters would break lines and environments: a certificate's name has none, a reason
 * given by an operator might. */
static void clean(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
    }
}

void alerts_raise(struct alerts *alerts, enum alert_severity severity, enum alert_kind kind,
                  const char *subject, const char *action, const char *text, ...)
{
    struct alert alert = {.severity = (uint8_t)severity,
                          .kind = (uint8_t)kind,
                          .count = 1,
                          .first_s = clock_realtime_s()};
    alert.last_s = alert.first_s;
    va_list arguments;
    va_start(arguments, text);
    vsnprintf(alert.text, sizeof alert.text, text, arguments);
    va_end(arguments);
    snprintf(alert.subject, sizeof alert.subject, "%s", subject);
    snprintf(alert.action, sizeof alert.action, "%s", action);
    clean(alert.text);
    clean(alert.subject);
    clean(alert.action);

    pthread_mutex_lock(&alerts->lock);
    alerts->counts.raised[kind]++;
    struct alert *same = find_same(alerts, kind, alert.subject, alert.first_s);
    bool told = false;
    struct audit *audit = alerts->audit;
    if (same) {
        same->count += same->count < UINT32_MAX;
        same->last_s = alert.first_s;
    } else {
        alert.id = ++alerts->last_id;
        make_room(alerts);
        alerts->list[alerts->count++] = alert;
        told = may_tell(alerts);
    }
    pthread_mutex_unlock(&alerts->lock);
    if (same)
        return;
    store(alerts);
    if (told)
        tell(alerts, audit, &alert);
}

bool alerts_ending(int64_t left_s, enum alert_severity *ret_severity)
{
    enum { DAY_S = 24 * 60 * 60 };
    *ret_severity = left_s <= 7 * DAY_S    ? ALERT_CRITICAL
                    : left_s <= 30 * DAY_S ? ALERT_WARNING
                                           : ALERT_NOTICE;
    return left_s <= 90 * DAY_S;
}

bool alerts_next(struct alerts *alerts, uint64_t after, struct alert *ret_alert)
{
    bool found = false;
    pthread_mutex_lock(&alerts->lock);
    for (size_t i = 0; !found && i < alerts->count; i++) {
        if (alerts->list[i].id > after) {
            *ret_alert = alerts->list[i];
            found = true;
        }
    }
    pthread_mutex_unlock(&alerts->lock);
    return found;
}

int alerts_acknowledge(struct alerts *alerts, uint64_t id, uid_t by)
{
    int r = -ENOENT;
    pthread_mutex_lock(&alerts->lock);
    for (size_t i = 0; i < alerts->count; i++) {
        struct alert *alert = &alerts->list[i];
        if (alert->id != id)
            continue;
        r = alert->acknowledged ? -EALREADY : 0;
        if (r == 0) {
            alert->acknowledged = true;
            alert->acknowledged_by = by;
        }
        break;
    }
    pthread_mutex_unlock(&alerts->lock);
    if (r == 0)
        store(alerts);
    return r;
}

void alerts_counts(struct alerts *alerts, struct alerts_counts *ret_counts)
{
    pthread_mutex_lock(&alerts->lock);
    struct alerts_counts counts = alerts->counts;
    for (size_t i = 0; i < alerts->count; i++)
        counts.open[alerts->list[i].severity] += !alerts->list[i].acknowledged;
    pthread_mutex_unlock(&alerts->lock);
    *ret_counts = counts;
}
