/*
 * Alerts: the one place where "somebody should look" is raised. An alert has a severity, a kind, a
 * subject and what to do. The same kind and subject within the quiet time only count up the alert
 * that is there; beyond a ceiling an hour, alerts are kept in the list but told to nobody.
 *
 * Told to: the audit trail (and so syslog and journald), the log, metrics through alerts_counts(),
 * and a hook program, which the supervisor runs: kosekifs-mount sends it a struct alert_message.
 *
 * Most alerts are found in the stream of audit events: the integrator makes alerts_observe() the
 * audit_observe of the trail.
 *
 * Thread rule: any thread; own lock, not held while the trail is written or the hook called.
 */
#ifndef FS_ALERTS_H
#define FS_ALERTS_H

#include "base/cleanup.h"
#include "base/config.h"
#include "fs/audit.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* X(name, text) */
#define ALERT_KINDS(X)                                                                             \
    X(DENIALS, "denials")         /* many refusals to one user */                                  \
    X(ENUMERATION, "enumeration") /* one user asks for many ids that he may not see or that are    \
                                     not there */                                                  \
    X(VOLUME, "volume")           /* one user opens unusually many */                              \
    X(OUT_OF_HOURS, "out_of_hours")                                                                \
    X(ROOT_ACCESS, "root_access")                                                                  \
    X(VERIFICATION, "verification") /* certificates fail verification repeatedly */                \
    X(CLOCK, "clock")                                                                              \
    X(AUDIT, "audit") /* trail not writable, damaged, sink losing, no checkpoint */                \
    X(DISK, "disk")                                                                                \
    X(STORE, "store")                                                                              \
    X(KEYS, "keys")                                                                                \
    X(LINK, "link")                                                                                \
    X(TRUST, "trust")                                                                              \
    X(MALWARE, "malware")     /* found, or nothing scans */                                        \
    X(INVENTORY, "inventory") /* what runs is not what was recorded */                             \
    X(SEAL, "seal")           /* something was sealed or unsealed */                               \
    X(PROCESS, "process")     /* one of our processes had to be replaced */

#define ALERT_KIND_MEMBER(name, text) ALERT_##name,
enum alert_kind { ALERT_KINDS(ALERT_KIND_MEMBER) ALERT_KIND_COUNT };
#undef ALERT_KIND_MEMBER

enum alert_severity { ALERT_NOTICE = 0, ALERT_WARNING, ALERT_CRITICAL, ALERT_SEVERITY_COUNT };

enum {
    ALERTS_MAX = 256, /* kept; acknowledged ones leave first, then the oldest */
    ALERT_SUBJECT_SIZE = 96,
    ALERT_TEXT_SIZE = 240,
};

struct alert {
    uint64_t id;
    uint8_t severity; /* enum alert_severity */
    uint8_t kind;     /* enum alert_kind */
    bool acknowledged;
    uint32_t count; /* how often it was raised */
    int64_t first_s, last_s;
    uid_t acknowledged_by;
    char subject[ALERT_SUBJECT_SIZE]; /* "uid 1001" */
    char text[ALERT_TEXT_SIZE];       /* what happened */
    char action[ALERT_TEXT_SIZE];     /* what to do */
};

/*
 * To the supervisor, over the room's socket: run the hook. Every field is checked there with
 * alert_message_valid(). The hook gets the fields in its environment (KOSEKIFS_ALERT_ID, _SEVERITY,
 * _KIND, _SUBJECT, _TEXT, _ACTION, _COUNT, _TIME), no argument, no standard input. No field
 * holds anything that a caller chose, nor the name of a certificate.
 */
enum { ROOM_ALERT = 0x200 };
struct alert_message {
    struct alert alert;
};
_must_use_ bool alert_message_valid(const struct alert_message *message);

/* Passes the message on; must not wait. Errors are logged, nothing more. */
typedef int alerts_hook(void *context, const struct alert_message *message);

struct alerts;

/* Reads the list that an earlier run kept in the state directory (a damaged one is put aside and
 * becomes an alert). `hook` may be NULL. */
_must_use_ int alerts_new(int state_fd, const struct config_alerts *config, alerts_hook *hook,
                          void *context, struct alerts **ret_alerts);
struct alerts *alerts_free(struct alerts *alerts);

/* Where alerts are recorded, once the trail is open; NULL before it is closed. */
void alerts_set_audit(struct alerts *alerts, struct audit *audit);

void alerts_raise(struct alerts *alerts, enum alert_severity severity, enum alert_kind kind,
                  const char *subject, const char *action, const char *text, ...) _printf_(6, 7);

/* Looks for what is unusual; `context` is the struct alerts. An audit_observe. */
void alerts_observe(void *context, const struct audit_event *event, int error);
/* A look-up by `uid` of a name that does not exist, which is not in the trail. */
void alerts_observe_missing(struct alerts *alerts, uid_t uid, const char *name);

/* What ends is told of ahead: a notice 90 days, a warning 30 days, critical 7 days before, and
 * after it. False earlier than that. */
bool alerts_ending(int64_t left_s, enum alert_severity *ret_severity);

/* In order of their id, with id > after; false at the end. */
bool alerts_next(struct alerts *alerts, uint64_t after, struct alert *ret_alert);
/* -ENOENT: no such alert; -EALREADY: acknowledged before. The caller audits the command. */
_must_use_ int alerts_acknowledge(struct alerts *alerts, uint64_t id, uid_t by);

struct alerts_counts {
    uint64_t raised[ALERT_KIND_COUNT];   /* since the start, counted-up ones too */
    uint64_t untold;                     /* beyond the ceiling an hour */
    uint32_t open[ALERT_SEVERITY_COUNT]; /* not acknowledged */
};
void alerts_counts(struct alerts *alerts, struct alerts_counts *ret_counts);

const char *alert_kind_name(enum alert_kind kind);
const char *alert_severity_name(enum alert_severity severity);

static inline void cleanup_alerts(struct alerts **slot)
{
    alerts_free(*slot);
}
#define _cleanup_alerts_ _cleanup_(cleanup_alerts)

#endif
