/*
 * The audit trail: one canonical JSON line an event, chained by SHA-256, written before the reader
 * gets his data. What cannot be recorded is not served. The form is specified in docs/audit.md.
 *
 * Life of a record: 1 formatted and chained under the lock; 2 written to the newest file of the
 * directory (audit_write() returns); 3 synced, at once or within sync_within; 4 copied to
 * the sinks; 5 covered by a signed checkpoint. A crash after 2 loses nothing, a power cut after 3.
 * Nobody waits for the record of a release, which gives nothing to anybody: it is written together
 * with the next record, at the latest within sync_within, and a crash before that loses it.
 *
 * The bytes that a program really reads are unknown here: the kernel answers read(2) from its page
 * cache. The trail says who opened what, and when the last of his descriptors was closed.
 *
 * Thread rule: any thread. The lock is innermost and held for formatting and one write(2) (in mode
 * `each` for the sync too). One background thread syncs, feeds the sinks and asks for checkpoints.
 */
#ifndef FS_AUDIT_H
#define FS_AUDIT_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/crypto.h"
#include "fs/caller.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, text in the record). docs/audit.md lists them in this order. */
#define AUDIT_KINDS(X)                                                                             \
    X(OPEN, "open")       /* granted or denied */                                                  \
    X(RELEASE, "release") /* the last descriptor of an open was closed */                          \
    X(LOOKUP, "lookup")   /* only denials */                                                       \
    X(LIST, "list")       /* a directory was opened */                                             \
    X(XATTR, "xattr")     /* only denials */                                                       \
    X(FETCH, "fetch")                                                                              \
    X(VERDICT, "verdict")                                                                          \
    X(SCAN, "scan") /* for malware */                                                              \
    X(PURGE, "purge")                                                                              \
    X(EXPORT, "export")                                                                            \
    X(GRANT, "grant")                                                                              \
    X(REVOKE, "revoke")                                                                            \
    X(SEAL, "seal")                                                                                \
    X(UNSEAL, "unseal")                                                                            \
    X(CONFIGURATION, "configuration") /* read or changed: version and digest */                    \
    X(TRUST, "trust")                                                                              \
    X(START, "start")                                                                              \
    X(STOP, "stop")                                                                                \
    X(KEY, "key")         /* a key was used, made or destroyed */                                  \
    X(COMMAND, "command") /* on the control socket */                                              \
    X(ALERT, "alert")                                                                              \
    X(CLOCK, "clock") /* a jump, or synchronised or not any more */                                \
    X(CHECKPOINT, "checkpoint")                                                                    \
    X(TRAIL, "trail") /* about the trail itself: file begun, torn line cut, … */

#define AUDIT_KIND_MEMBER(name, text) AUDIT_##name,
enum audit_kind { AUDIT_KINDS(AUDIT_KIND_MEMBER) AUDIT_KIND_COUNT };
#undef AUDIT_KIND_MEMBER

enum audit_result {
    AUDIT_OK = 0, /* done; of an open: granted */
    AUDIT_DENIED, /* no right */
    AUDIT_FAILED, /* for another reason: `error` says which */
    AUDIT_RESULT_COUNT,
};

enum audit_sync {
    AUDIT_SYNC_WRITTEN = 0, /* returns when written; synced within sync_within */
    AUDIT_SYNC_GROUP,       /* returns when synced; writers share a sync */
    AUDIT_SYNC_EACH,        /* a sync for each */
};

enum {
    AUDIT_TEXT_MAX = 512, /* of one text of an event; the rest is cut off, at a character */
    AUDIT_DETAIL_MAX = 8,
    AUDIT_DETAIL_KEY_MAX = 24,
    AUDIT_LINE_MAX = 8192, /* with line feed */
    AUDIT_ALREADY = 1,
    AUDIT_SIGNATURE_SIZE = 64, /* Ed25519 */
    AUDIT_PUBLIC_KEY_SIZE = 32,
    AUDIT_SIGNED_MAX = 512,
};

struct audit_detail {
    const char *key; /* [a-z][a-z0-9_]*, ascending within an event */
    const char *text;
};

/* Zeros and NULL stand for "does not apply" and are left out of the record. Never put content of
 * a certificate or a provision code into a text. */
struct audit_event {
    enum audit_kind kind;
    enum audit_result result;
    int error;             /* positive errno that the program got */
    struct caller *caller; /* NULL: the daemon itself */
    const char *name;      /* certificate */
    const char *role;      /* access_role_name() */
    const char *affair;
    const char *purpose;
    const char *reason;          /* one word for programs: access_reason_name() and the like */
    const char *text;            /* for people */
    uint64_t connection, unique; /* of the request that the event answers */
    bool
        followed; /* one of many, which waits for no sync of its own: that of the last covers all */
    struct audit_detail detail[AUDIT_DETAIL_MAX]; /* up to the first with key NULL */
};

/* Told of every event after it was written (error 0) or could not be (negative errno), on the
 * writer's thread, without a lock. It may write events itself. */
typedef void audit_observe(void *context, const struct audit_event *event, int error);

/* Signs a statement of at most AUDIT_SIGNED_MAX bytes with Ed25519 (RFC 8032, not prehashed).
 * Called on the background thread; may take seconds. */
typedef int audit_sign(void *context, const void *statement, size_t size,
                       uint8_t ret_signature[AUDIT_SIGNATURE_SIZE],
                       uint8_t ret_public_key[AUDIT_PUBLIC_KEY_SIZE]);

struct audit;

/*
 * Opens the trail in directory `audit` of the state directory (made if it is not there; the
 * descriptor stays the caller's), cuts a torn last line and begins to write. Starts the background
 * thread. -EBUSY: another process writes it; -EINVAL: audit_config_check() would complain; others:
 * of the file system. A damaged tail is no error: a new file is begun, which says so.
 */
_must_use_ int audit_open(int state_fd, const struct config_audit *config, audit_observe *observe,
                          void *observe_context, struct audit **ret_audit);
/* Syncs, writes a last checkpoint if it can, and closes. */
struct audit *audit_close(struct audit *audit);

/* What the key table cannot express; for the supervisor, before it mounts. 0 or -EINVAL after a
 * report. */
_must_use_ int audit_config_check(const struct config_audit *config, const char *file,
                                  config_report *report, void *context);

/*
 * Writes one event. 0: written (and synced, as the mode says). AUDIT_ALREADY: this OPEN is on
 * record from before a crash, under the same connection and unique and with the same result; go on
 * as with 0. A negative errno: not on record; nothing may be served for it (EPERM). Each further
 * call tries again, so service resumes by itself; the number of events that were lost is then
 * recorded first.
 */
_must_use_ int audit_write(struct audit *audit, const struct audit_event *event);

/* The last descriptor of this open was closed. A negative errno: it will not be on record. */
_must_use_ int audit_release(struct audit *audit, const struct certname *name, uint64_t connection,
                             uint64_t unique);

/* From now on checkpoints are signed; NULL ends it. */
void audit_set_sign(struct audit *audit, audit_sign *sign, void *context);

enum audit_sink_kind { AUDIT_SINK_SYSLOG = 0, AUDIT_SINK_JOURNALD, AUDIT_SINK_COUNT };
/* Takes a connected datagram socket (or -1: none any more). A sink that does not take a record at
 * once loses it; losses are counted. */
void audit_set_sink(struct audit *audit, enum audit_sink_kind kind, int fd);

struct audit_status {
    int error;         /* 0, or why the last event could not be written (negative errno) */
    uint64_t written;  /* events since the start */
    uint64_t lost;     /* events that could not be written since the start */
    uint64_t sequence; /* of the newest record */
    uint64_t synced;   /* the newest record that is known to be on the disk */
    uint64_t file;     /* number of the file being written */
    uint64_t file_size;
    bool signing;         /* a key for checkpoints is there */
    int checkpoint_error; /* of the last try; 0 */
    uint64_t checkpoint;  /* sequence covered by the newest checkpoint of this run; 0 = none */
    bool clock_synchronised;
    bool sink_connected[AUDIT_SINK_COUNT];
    uint64_t sink_sent[AUDIT_SINK_COUNT];
    uint64_t sink_dropped[AUDIT_SINK_COUNT];
};
void audit_status(struct audit *audit, struct audit_status *ret_status);

const char *audit_kind_name(enum audit_kind kind);
const char *audit_result_name(enum audit_result result); /* "ok" "denied" "failed" */

static inline void cleanup_audit(struct audit **slot)
{
    audit_close(*slot);
}
#define _cleanup_audit_ _cleanup_(cleanup_audit)

#endif
