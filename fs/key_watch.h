/*
 * What kosekifs-keys did with its keys, for the audit trail, the status and alerts: it is asked
 * each KEY_WATCH_MS and once more at the end. There is no record for each use but one for all uses
 * since the last record; who made them necessary is in the records of opens and fetches. Uses that
 * were not recorded when kosekifs-keys is killed are lost: those of the last KEY_WATCH_MS.
 *
 * Thread rule: a thread of its own asks, since the answer may take seconds; key_watch_look() from
 * any thread.
 */
#ifndef FS_KEY_WATCH_H
#define FS_KEY_WATCH_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum { KEY_WATCH_MS = 10000 };

struct json;
struct key_watch;
struct keys_client;
struct mountfs;

/* `certificate_within_ms`: an alert is raised when our TLS client certificate ends sooner. */
_must_use_ int key_watch_new(struct mountfs *fs, struct keys_client *keys,
                             int64_t certificate_within_ms, struct key_watch **ret_watch);
/* Starts the thread, which uses the trail and alerts of the mountfs. */
_must_use_ int key_watch_start(struct key_watch *watch);
/* Ends the thread after a last record. */
struct key_watch *key_watch_free(struct key_watch *watch);

struct key_figures {
    bool up; /* it answered when it was asked last */
    bool token_away;
    int64_t not_after_s; /* 0: never heard */
};
void key_watch_look(struct key_watch *watch, struct key_figures *ret_figures);
/* For status: kinds of sources, subject and end of our certificate, counts. NULL when memory is
 * short. */
struct json *key_watch_object(struct key_watch *watch);

#endif
