/*
 * The trail's inside, shared by audit.c (events, files) and audit_background.c (sync, sinks,
 * checkpoints, clock).
 */
#ifndef FS_AUDIT_PRIVATE_H
#define FS_AUDIT_PRIVATE_H

#include "fs/audit.h"
#include "fs/audit_batch.h"
#include "fs/audit_file.h"
#include "fs/audit_sink.h"
#include "fs/replay.h"

#include <pthread.h>
#include <stdatomic.h>

/* What the trail wrote about itself and the observer has not heard yet; texts are constant. */
enum { AUDIT_TROUBLES_MAX = 4 };
struct audit_trouble {
    const char *reason, *text;
};

/* A release that is not written yet. */
struct audit_released {
    struct certname name;
    uint64_t connection, unique;
    int64_t time_ns;
};

struct audit {
    /* Constant after audit_open(). */
    int directory_fd;
    enum audit_sync mode;
    int64_t sync_within_ms;
    uint64_t file_size_max;
    uint64_t checkpoint_records;
    int64_t checkpoint_ms;
    audit_observe *observe;
    void *observe_context;
    struct audit_sinks *sinks;
    int checkpoint_fd;
    pthread_t thread;

    pthread_mutex_t lock;     /* all below */
    pthread_cond_t wake;      /* for the thread: something was written, or it shall end */
    pthread_cond_t sync_done; /* a sync has ended */
    struct audit_file file;
    struct audit_stamp stamp; /* of the newest record */
    uint8_t hash[SHA256_SIZE];
    struct audit_batch batch; /* what is being written */
    struct audit_released releases[AUDIT_RELEASES_MAX];
    unsigned release_count;
    bool staged; /* the batch holds the first of them, behind the newest record */
    struct replay *replay;
    bool begin_file; /* the file has no first record yet */
    bool syncing;    /* somebody syncs file.fd without the lock */
    bool sync_lost;  /* a sync failed: what it covered may not be on the disk */
    bool stopping;
    bool hurry;    /* sinks are filling up */
    bool unsynced; /* records wait for a sync */
    int64_t unsynced_since_ms;
    uint64_t synced;                   /* records up to this are on the disk, without those … */
    uint64_t failed_from, failed_upto; /* … whose sync failed */
    int64_t leave_after_ms;            /* when a new file may be tried after a failed sync */
    int error;                         /* of the newest event */
    uint64_t written, lost;
    uint64_t lost_told; /* of these, recorded in the trail */
    unsigned trouble_count;
    struct audit_trouble troubles[AUDIT_TROUBLES_MAX];

    pthread_mutex_t sign_lock; /* sign, sign_context; held while it signs */
    audit_sign *sign;
    void *sign_context;
    atomic_bool signing;
    atomic_int checkpoint_error;
    _Atomic uint64_t checkpoint;     /* sequence covered */
    _Atomic uint64_t checkpoint_own; /* up to here nothing calls for another */
    _Atomic int64_t checkpoint_at_ms;
};

/* With the lock held, which it gives up meanwhile: returns when all up to `sequence` is on the
 * disk, or the error of the sync that should have put it there. */
int audit_sync_upto(struct audit *audit, uint64_t sequence);

/* With the lock held: writes the releases that wait. */
int audit_write_releases(struct audit *audit);
/* Without the lock: the observer hears that releases could not be written. */
void audit_observe_releases(struct audit *audit, int error);

void *audit_background(void *audit);
/* A checkpoint of all that is written now, if there is a key and something new. */
void audit_take_checkpoint(struct audit *audit);
bool audit_clock_synchronised(void);

#endif
