/* See fs/key_watch.h. */
#include "fs/key_watch.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "fs/mountfs.h"
#include "keys/keys_client.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

enum { CERTIFICATE_TOLD_MS = 24 * 60 * 60 * 1000 };

struct key_watch {
    struct mountfs *fs;
    struct keys_client *keys;
    int64_t certificate_within_ms;
    pthread_t thread;
    bool started;
    bool asked; /* thread: recorded is of this instance */
    uint64_t instance;
    struct keys_uses recorded; /* thread: what records in the trail say */
    int64_t told_ms;           /* thread: when it was told of the certificate's end; 0 = never */
    enum alert_severity told;  /* thread: and how */

    pthread_mutex_t lock; /* innermost */
    pthread_cond_t changed;
    bool ending; /* lock, as all below */
    bool up;
    struct keys_status status; /* of the last answer */
};

int key_watch_new(struct mountfs *fs, struct keys_client *keys, int64_t certificate_within_ms,
                  struct key_watch **ret_watch)
{
    struct key_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    watch->fs = fs;
    watch->keys = keys;
    watch->certificate_within_ms = certificate_within_ms;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&watch->lock, NULL);
    *ret_watch = watch;
    return 0;
}

/* Zeros if nothing was used since the last record. */
static struct keys_uses uses_since(const struct keys_uses *now, const struct keys_uses *before)
{
    struct keys_uses since;
#define USE_SINCE(name) since.name = now->name - before->name;
    KEYS_USES(USE_SINCE)
#undef USE_SINCE
    return since;
}

static bool record(struct key_watch *watch, const struct keys_uses *since)
{
    enum { USES = sizeof *since / sizeof(uint64_t) };
    static const struct keys_uses none;
    if (memcmp(since, &none, sizeof none) == 0)
        return true;
    char texts[USES][24];
    struct audit_event event = {.kind = AUDIT_KEY, .reason = "used"};
    _Static_assert((int)USES <= (int)AUDIT_DETAIL_MAX, "one detail each");
    unsigned count = 0;
#define USE_DETAIL(name)                                                                           \
    if (since->name > 0) {                                                                         \
        snprintf(texts[count], sizeof texts[count], "%" PRIu64, since->name);                      \
        event.detail[count] = (struct audit_detail){#name, texts[count]};                          \
        count++;                                                                                   \
    }
    KEYS_USES(USE_DETAIL)
#undef USE_DETAIL
    return audit_write(watch->fs->audit, &event) >= 0;
}

static void alert_certificate(struct key_watch *watch, int64_t not_after_s)
{
    char when[RFC3339_SIZE];
    enum alert_severity severity;
    int64_t left_s = not_after_s - clock_realtime_s(), now_ms = clock_monotonic_ms();
    if (not_after_s == 0 || left_s > watch->certificate_within_ms / 1000)
        return; /* 0: a waiver allows to have none */
    (void)alerts_ending(left_s, &severity);
    if (watch->told_ms && now_ms - watch->told_ms < CERTIFICATE_TOLD_MS && severity == watch->told)
        return;
    watch->told_ms = now_ms;
    watch->told = severity;
    rfc3339_format(not_after_s, when);
    alerts_raise(watch->fs->alerts, severity, ALERT_KEYS, "client certificate",
                 "Obtain a new certificate for [link] certificate_file.",
                 left_s > 0 ? "our TLS client certificate ends at %s"
                            : "our TLS client certificate ended at %s: nothing can be fetched",
                 when);
}

static void alert_token(struct key_watch *watch, uint32_t token)
{
    if (token == KEYS_TOKEN_AWAY)
        alerts_raise(watch->fs->alerts, ALERT_CRITICAL, ALERT_KEYS, "token",
                     "Look for the token; kosekifs goes on by itself when it is back.",
                     "the token with our keys is not there");
    else if (token == KEYS_TOKEN_NO_LOGIN)
        alerts_raise(watch->fs->alerts, ALERT_CRITICAL, ALERT_KEYS, "token",
                     "Read the log, check PIN and token by hand.",
                     "no login to the token with our keys");
}

static void alert_uses(struct key_watch *watch, const struct keys_uses *since)
{
    if (since->refused > 0)
        alerts_raise(watch->fs->alerts, ALERT_CRITICAL, ALERT_KEYS, "kosekifs-link",
                     "Seal, and look for an intrusion: only a changed kosekifs-link asks for that.",
                     "a signature was asked for that is no handshake of ours; it was not made");
    if (since->limited > 0)
        alerts_raise(watch->fs->alerts, ALERT_WARNING, ALERT_KEYS, "signatures",
                     "Look why so many connections to the link system are made.",
                     "more TLS signatures were asked for than the rate allows");
}

/* Counts of an earlier life that nobody recorded are gone; those of this one begin with what its
 * last asker said it had recorded. */
static void take_status(struct key_watch *watch, const struct keys_status *status)
{
    if (!watch->asked || watch->instance != status->instance)
        watch->recorded = status->recorded;
    watch->asked = true;
    watch->instance = status->instance;
    const struct keys_uses since = uses_since(&status->uses, &watch->recorded);
    if (record(watch, &since))
        watch->recorded = status->uses;
    alert_uses(watch, &since);
    alert_token(watch, status->token);
    alert_certificate(watch, status->not_after_s);
}

/* True if it answered. */
static bool ask(struct key_watch *watch, bool last)
{
    struct keys_status status;
    int r = keys_client_status(watch->keys, watch->asked ? watch->instance : 0, &watch->recorded,
                               &status);
    if (r == 0)
        take_status(watch, &status);
    else if (!last)
        alerts_raise(watch->fs->alerts, ALERT_CRITICAL, ALERT_KEYS, "kosekifs-keys",
                     "Read the log: stored certificates cannot be opened and none fetched.",
                     "kosekifs-keys does not answer: %s", strerror(-r));
    pthread_mutex_lock(&watch->lock);
    watch->up = r == 0;
    if (r == 0)
        watch->status = status;
    pthread_mutex_unlock(&watch->lock);
    return r == 0;
}

/* False when it is time to end. */
static bool pause_between(struct key_watch *watch)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += KEY_WATCH_MS / 1000;
    int r = 0;
    pthread_mutex_lock(&watch->lock);
    while (!watch->ending && r == 0)
        r = pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
    bool go_on = !watch->ending;
    pthread_mutex_unlock(&watch->lock);
    return go_on;
}

static void *run(void *argument)
{
    struct key_watch *watch = argument;
    bool up;
    do
        up = ask(watch, false);
    while (pause_between(watch));
    /* The second tells that the last uses are on record. Of one that did not answer nothing can be
     * had, and whoever ends us does not wait long. */
    if (up && ask(watch, true))
        (void)ask(watch, true);
    return NULL;
}

int key_watch_start(struct key_watch *watch)
{
    int r = pthread_create(&watch->thread, NULL, run, watch);
    watch->started = r == 0;
    return -r;
}

struct key_watch *key_watch_free(struct key_watch *watch)
{
    if (!watch)
        return NULL;
    pthread_mutex_lock(&watch->lock);
    watch->ending = true;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    if (watch->started)
        pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
    return NULL;
}

static struct keys_status copy_status(struct key_watch *watch, bool *ret_up)
{
    pthread_mutex_lock(&watch->lock);
    struct keys_status status = watch->status;
    *ret_up = watch->up;
    pthread_mutex_unlock(&watch->lock);
    return status;
}

void key_watch_look(struct key_watch *watch, struct key_figures *ret_figures)
{
    bool up;
    const struct keys_status status = copy_status(watch, &up);
    *ret_figures = (struct key_figures){
        .up = up,
        .token_away = status.token == KEYS_TOKEN_AWAY || status.token == KEYS_TOKEN_NO_LOGIN,
        .not_after_s = status.not_after_s,
    };
}

static int set_uses(struct json *object, const struct keys_uses *uses)
{
    int r = 0;
#define USE_SET(name)                                                                              \
    if (r == 0)                                                                                    \
        r = json_set_integer(object, #name, (int64_t)(uses->name & INT64_MAX));
    KEYS_USES(USE_SET)
#undef USE_SET
    return r;
}

struct json *key_watch_object(struct key_watch *watch)
{
    static const char *const sources[KEYS_SOURCE_END] = {"none", "file", "credential", "token"};
    static const char *const tokens[KEYS_TOKEN_END] = {"unused", "there", "away", "no login"};
    bool up;
    char not_after[RFC3339_SIZE] = "";
    const struct keys_status status = copy_status(watch, &up);
    _cleanup_json_ struct json *object = json_object_new();
    if (status.not_after_s != 0)
        rfc3339_format(status.not_after_s, not_after);
    if (!object || json_set_bool(object, "up", up) < 0 ||
        json_set_text(object, "master_key", sources[status.master_source]) < 0 ||
        json_set_integer(object, "master_key_generations", status.generation_count) < 0 ||
        json_set_text(object, "tls_key", sources[status.tls_source]) < 0 ||
        json_set_text(object, "token", tokens[status.token]) < 0 ||
        json_set_text(object, "certificate_subject", status.subject) < 0 ||
        json_set_text(object, "certificate_not_after", not_after) < 0 ||
        set_uses(object, &status.uses) < 0)
        return NULL;
    return steal_ptr(&object);
}
