/*
 * Events into the newest file of the trail. Phases of a record: see audit.h.
 *
 * After a failure each further event tries again: what a short write left is cut off, a file whose
 * sync failed is left behind for a new one (the kernel forgets pages that it could not write, so a
 * second sync of the same file would report success that is none), and the first record that
 * succeeds is preceded by one that counts the events lost.
 */
#include "fs/audit.h"

#include "base/clock.h"
#include "fs/audit_checkpoint.h"
#include "fs/audit_private.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { SYNC_RETRY_MS = 5000 };

static bool sync_mode(const char *text, enum audit_sync *ret_mode)
{
    static const char *const modes[] = {
        [AUDIT_SYNC_WRITTEN] = "written", [AUDIT_SYNC_GROUP] = "group", [AUDIT_SYNC_EACH] = "each"};
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(text, modes[i]) == 0) {
            *ret_mode = (enum audit_sync)i;
            return true;
        }
    }
    return false;
}

int audit_config_check(const struct config_audit *config, const char *file, config_report *report,
                       void *context)
{
    enum audit_sync mode;
    int r = 0;
    if (!sync_mode(config->sync, &mode)) {
        report(context, file, 0, "[audit] sync is written, group or each");
        r = -EINVAL;
    }
    if ((config->syslog[0] && config->syslog[0] != '/') ||
        (config->journald[0] && config->journald[0] != '/')) {
        report(context, file, 0, "[audit] syslog and journald are absolute paths of sockets");
        r = -EINVAL;
    }
    return r;
}

/* Something waits for the background thread, from now on or already. */
static void call_for_sync(struct audit *audit, bool hurry)
{
    if (audit->unsynced && (!hurry || audit->hurry))
        return;
    if (!audit->unsynced)
        audit->unsynced_since_ms = clock_monotonic_ms();
    audit->unsynced = true;
    audit->hurry = hurry;
    pthread_cond_signal(&audit->wake);
}

/* Formats the releases that are not formatted yet. */
static int stage_releases(struct audit *audit)
{
    struct audit_batch *batch = &audit->batch;
    if (!audit->staged)
        audit_batch_begin(batch, &audit->stamp, audit->hash);
    audit->staged = true;
    batch->end.stamp.clock_synchronised = audit->stamp.clock_synchronised;
    int r = 0;
    while (r == 0 && batch->end.count < audit->release_count) {
        const struct audit_released *released = &audit->releases[batch->end.count];
        const struct audit_event event = {
            .kind = AUDIT_RELEASE,
            .name = released->name.text,
            .connection = released->connection,
            .unique = released->unique,
        };
        r = audit_batch_add(batch, &event, released->time_ns);
    }
    return r;
}

static int write_batch(struct audit *audit)
{
    const struct audit_batch *batch = &audit->batch;
    int r = audit_file_append(&audit->file, batch->text, batch->end.size);
    if (r < 0)
        return r;
    audit->stamp.sequence = batch->end.stamp.sequence; /* the clock may have changed since */
    audit->stamp.time_ns = batch->end.stamp.time_ns;
    memcpy(audit->hash, batch->end.hash, SHA256_SIZE);
    audit->written += batch->end.count;
    audit->staged = false;
    bool hurry = false;
    for (unsigned i = 0; i < batch->end.count; i++)
        hurry |= audit_sinks_push(audit->sinks, batch->records[i].kind, batch->records[i].result,
                                  batch->records[i].time_ns, batch->text + batch->records[i].begin,
                                  batch->records[i].size);
    call_for_sync(audit, hurry);
    return 0;
}

/* Formats and writes one record, before the releases that wait. */
static int append(struct audit *audit, const struct audit_event *event)
{
    audit->staged = false;
    audit_batch_begin(&audit->batch, &audit->stamp, audit->hash);
    int r = audit_batch_add(&audit->batch, event, clock_realtime_ns());
    return r < 0 ? r : write_batch(audit);
}

/* The same behind them: one write(2) for all. */
static int append_behind(struct audit *audit, const struct audit_event *event)
{
    int r = stage_releases(audit);
    if (r < 0)
        return r;
    const struct audit_batch_end staged = audit->batch.end;
    r = audit_batch_add(&audit->batch, event, clock_realtime_ns());
    if (r == 0)
        r = write_batch(audit);
    if (r < 0) {
        audit->batch.end = staged;
        return r;
    }
    audit->release_count = 0;
    if (event->kind == AUDIT_OPEN)
        replay_add(audit->replay, event->connection,
                   audit_replay_key(event->unique, event->result));
    return 0;
}

/* The first record of a file: it repeats the hash before it, so that files can be told apart from
 * the trail's beginning and be verified one by one. */
static int append_begin(struct audit *audit)
{
    char number[24], previous[2 * SHA256_SIZE + 1];
    snprintf(number, sizeof number, "%llu", (unsigned long long)audit->file.number);
    hex_encode(audit->hash, SHA256_SIZE, previous);
    const struct audit_event event = {
        .kind = AUDIT_TRAIL,
        .reason = AUDIT_REASON_FILE,
        .detail = {{"file", number}, {AUDIT_DETAIL_PREVIOUS, previous}},
    };
    int r = append(audit, &event);
    if (r == 0)
        audit->begin_file = false;
    return r;
}

static int append_trouble(struct audit *audit, const char *reason, const char *key, uint64_t value,
                          const char *text)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)value);
    const struct audit_event event = {.kind = AUDIT_TRAIL,
                                      .result = AUDIT_FAILED,
                                      .reason = reason,
                                      .text = text,
                                      .detail = {{key, number}}};
    int r = append(audit, &event);
    if (r == 0 && audit->trouble_count < AUDIT_TROUBLES_MAX)
        audit->troubles[audit->trouble_count++] = (struct audit_trouble){reason, text};
    return r;
}

/* Tells the observer, without the lock, what the trail wrote about itself. */
static void observe_troubles(struct audit *audit)
{
    struct audit_trouble troubles[AUDIT_TROUBLES_MAX];
    pthread_mutex_lock(&audit->lock);
    unsigned count = audit->trouble_count;
    memcpy(troubles, audit->troubles, sizeof troubles);
    audit->trouble_count = 0;
    pthread_mutex_unlock(&audit->lock);
    for (unsigned i = 0; audit->observe && i < count; i++) {
        const struct audit_event event = {.kind = AUDIT_TRAIL,
                                          .result = AUDIT_FAILED,
                                          .reason = troubles[i].reason,
                                          .text = troubles[i].text};
        audit->observe(audit->observe_context, &event, 0);
    }
}

/* Not while somebody syncs the old file: its descriptor is closed here. */
static int next_file(struct audit *audit)
{
    _cleanup_close_ int old_fd = -1;
    int r = audit_file_next(audit->directory_fd, &audit->file, &old_fd);
    if (r < 0)
        return r;
    audit->begin_file = true;
    return 0;
}

static int leave_failed_file(struct audit *audit)
{
    while (audit->syncing)
        pthread_cond_wait(&audit->sync_done, &audit->lock);
    if (!audit->sync_lost)
        return 0;
    /* A disk that stays broken must not be given a new file with each event. */
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < audit->leave_after_ms)
        return -EIO;
    audit->leave_after_ms = now_ms + SYNC_RETRY_MS;
    int r = next_file(audit);
    if (r == 0)
        r = append_begin(audit);
    if (r == 0)
        r = append_trouble(audit, "sync", "unsynced_from", audit->synced + 1,
                           "The disk refused to keep records from this number on; they may be "
                           "missing after a power cut.");
    if (r == 0 && fdatasync(audit->file.fd) < 0)
        r = -errno;
    if (r < 0)
        return r;
    audit->sync_lost = false;
    audit->synced = audit->stamp.sequence;
    return 0;
}

/* Brings the trail into a state in which an event can be appended. */
static int make_ready(struct audit *audit)
{
    int r = 0;
    if (audit->sync_lost)
        r = leave_failed_file(audit);
    if (r == 0 && audit->begin_file)
        r = append_begin(audit);
    if (r == 0 && audit->lost > audit->lost_told) {
        uint64_t lost = audit->lost;
        r = append_trouble(audit, "lost", "events", lost - audit->lost_told,
                           "Events could not be recorded; nothing was served for them.");
        if (r == 0)
            audit->lost_told = lost;
    }
    return r;
}

static void note_sync_failure(struct audit *audit, uint64_t upto, int error)
{
    audit->sync_lost = true;
    audit->unsynced = false; /* nothing to do about it before the next event */
    audit->failed_from = audit->synced + 1;
    audit->failed_upto = upto;
    audit->error = error;
}

/* The old file is synced first: a sync through the new descriptor would not reach it. */
static void rotate(struct audit *audit)
{
    if (audit->file.size < audit->file_size_max || audit->syncing)
        return;
    if (fdatasync(audit->file.fd) < 0) {
        note_sync_failure(audit, audit->stamp.sequence, -errno);
        return;
    }
    audit->synced = audit->stamp.sequence;
    if (next_file(audit) == 0)
        (void)!append_begin(audit); /* else before the next event */
}

int audit_sync_upto(struct audit *audit, uint64_t sequence)
{
    for (;;) {
        if (audit->failed_from <= sequence && sequence <= audit->failed_upto)
            return -EIO;
        if (sequence <= audit->synced) {
            if (audit->synced == audit->stamp.sequence && audit->release_count == 0)
                audit->unsynced = false; /* synced by another way than here */
            return 0;
        }
        if (audit->syncing) {
            pthread_cond_wait(&audit->sync_done, &audit->lock);
            continue;
        }
        uint64_t upto = audit->stamp.sequence;
        int fd = audit->file.fd;
        audit->syncing = true;
        audit->unsynced = audit->release_count > 0;
        pthread_mutex_unlock(&audit->lock);
        int r = fdatasync(fd) < 0 ? -errno : 0;
        pthread_mutex_lock(&audit->lock);
        audit->syncing = false;
        if (r == 0)
            audit->synced = upto;
        else
            note_sync_failure(audit, upto, r);
        pthread_cond_broadcast(&audit->sync_done);
    }
}

/* With the lock held all the time: the next record is written when this one is on the disk. */
static int sync_alone(struct audit *audit)
{
    while (audit->syncing)
        pthread_cond_wait(&audit->sync_done, &audit->lock);
    if (fdatasync(audit->file.fd) < 0) {
        note_sync_failure(audit, audit->stamp.sequence, -errno);
        return audit->error;
    }
    audit->synced = audit->stamp.sequence;
    return 0;
}

static int write_locked(struct audit *audit, const struct audit_event *event)
{
    if (event->kind == AUDIT_OPEN && replay_find(audit->replay, event->connection,
                                                 audit_replay_key(event->unique, event->result)))
        return AUDIT_ALREADY;
    int r = make_ready(audit);
    if (r == 0)
        r = append_behind(audit, event);
    enum audit_sync mode = event->followed ? AUDIT_SYNC_WRITTEN : audit->mode;
    if (r == 0 && mode == AUDIT_SYNC_GROUP)
        r = audit_sync_upto(audit, audit->stamp.sequence);
    else if (r == 0 && mode == AUDIT_SYNC_EACH)
        r = sync_alone(audit);
    if (r == 0)
        rotate(audit);
    return r;
}

int audit_write_releases(struct audit *audit)
{
    if (audit->release_count == 0)
        return 0;
    int r = make_ready(audit);
    if (r == 0)
        r = stage_releases(audit);
    if (r == 0)
        r = write_batch(audit);
    if (!audit->sync_lost)
        audit->error = r;
    if (r < 0)
        return r;
    audit->release_count = 0;
    rotate(audit);
    return 0;
}

void audit_observe_releases(struct audit *audit, int error)
{
    const struct audit_event event = {.kind = AUDIT_RELEASE};
    observe_troubles(audit);
    if (audit->observe && error < 0)
        audit->observe(audit->observe_context, &event, error);
}

int audit_release(struct audit *audit, const struct certname *name, uint64_t connection,
                  uint64_t unique)
{
    const struct audit_released released = {
        .name = *name,
        .connection = connection,
        .unique = unique,
        .time_ns = clock_realtime_ns(),
    };
    pthread_mutex_lock(&audit->lock);
    bool full = audit->release_count == AUDIT_RELEASES_MAX;
    int r = full ? audit_write_releases(audit) : 0;
    if (r == 0) {
        audit->releases[audit->release_count++] = released;
        (void)!stage_releases(audit); /* now, while nobody waits; else when they are written */
        call_for_sync(audit, false);
    } else {
        audit->lost++;
    }
    pthread_mutex_unlock(&audit->lock);
    if (full)
        audit_observe_releases(audit, r);
    return r;
}

int audit_write(struct audit *audit, const struct audit_event *event)
{
    if (event->caller)
        caller_unverified_comm(event->caller); /* not under the lock */
    pthread_mutex_lock(&audit->lock);
    int r = write_locked(audit, event);
    if (r < 0)
        audit->lost++;
    if (r != AUDIT_ALREADY && !audit->sync_lost)
        audit->error = r;
    bool troubles = audit->trouble_count > 0;
    pthread_mutex_unlock(&audit->lock);
    if (troubles)
        observe_troubles(audit);
    if (audit->observe && r != AUDIT_ALREADY)
        audit->observe(audit->observe_context, event, r);
    return r;
}

void audit_set_sign(struct audit *audit, audit_sign *sign, void *context)
{
    pthread_mutex_lock(&audit->sign_lock);
    audit->sign = sign;
    audit->sign_context = context;
    atomic_store(&audit->signing, sign != NULL);
    pthread_mutex_unlock(&audit->sign_lock);
}

void audit_set_sink(struct audit *audit, enum audit_sink_kind kind, int fd)
{
    audit_sinks_set(audit->sinks, kind, fd);
}

void audit_status(struct audit *audit, struct audit_status *ret_status)
{
    struct audit_status status = {0};
    audit_sinks_counts(audit->sinks, &status);
    pthread_mutex_lock(&audit->lock);
    status.error = audit->error;
    status.written = audit->written;
    status.lost = audit->lost;
    status.sequence = audit->stamp.sequence;
    status.synced = audit->synced;
    status.file = audit->file.number;
    status.file_size = audit->file.size;
    status.clock_synchronised = audit->stamp.clock_synchronised;
    pthread_mutex_unlock(&audit->lock);
    status.signing = atomic_load(&audit->signing);
    status.checkpoint_error = atomic_load(&audit->checkpoint_error);
    status.checkpoint = atomic_load(&audit->checkpoint);
    *ret_status = status;
}

static int open_directory(int state_fd, int *ret_fd)
{
    if (mkdirat(state_fd, "audit", 0750) == 0) {
        if (fsync(state_fd) < 0)
            return -errno;
    } else if (errno != EEXIST) {
        return -errno;
    }
    _cleanup_close_ int fd =
        openat(state_fd, "audit", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int read_boot_id(char out[AUDIT_BOOT_SIZE])
{
    _cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, out, AUDIT_BOOT_SIZE - 1);
    if (got != AUDIT_BOOT_SIZE - 1)
        return got < 0 ? -errno : -EIO;
    out[AUDIT_BOOT_SIZE - 1] = '\0';
    return 0;
}

/* Says in the trail what was found at its end. */
static int tell_tail(struct audit *audit, const struct audit_tail *tail)
{
    int r = 0;
    if (tail->is_damaged)
        r = next_file(audit);
    if (r == 0 && audit->begin_file)
        r = append_begin(audit);
    if (r == 0 && tail->is_damaged)
        r = append_trouble(audit, "damaged", "offset", tail->damaged,
                           "The last line of the file before this one is not what was written; "
                           "look at it with kosekictl audit verify.");
    if (r == 0 && tail->cut > 0)
        r = append_trouble(audit, "torn", "bytes", tail->cut,
                           "The last line was torn and has been cut off; nothing was served for "
                           "it.");
    return r;
}

static int open_trail(struct audit *audit, int state_fd)
{
    int r = open_directory(state_fd, &audit->directory_fd);
    if (r == 0)
        r = read_boot_id(audit->stamp.boot);
    if (r == 0)
        r = audit_checkpoint_open(audit->directory_fd, &audit->checkpoint_fd);
    struct audit_tail tail;
    if (r == 0)
        r = audit_file_open(audit->directory_fd, audit->replay, &audit->file, &tail);
    if (r < 0)
        return r;
    audit->stamp.sequence = tail.sequence;
    audit->stamp.clock_synchronised = audit_clock_synchronised();
    memcpy(audit->hash, tail.hash, SHA256_SIZE);
    audit->begin_file = tail.empty;
    return tell_tail(audit, &tail);
}

/* Four readers on two CPUs meet here: to spin for the length of a write(2) is cheaper than to sleep
 * (14,000 futex calls for 75,000 opens, 2,000 with it). */
static void init_lock(struct audit *audit)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&audit->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static int init_conditions(struct audit *audit)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error)
        return -error;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    error = pthread_cond_init(&audit->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return -error;
}

static struct audit *audit_free(struct audit *audit)
{
    cleanup_close(&audit->file.fd);
    cleanup_close(&audit->checkpoint_fd);
    cleanup_close(&audit->directory_fd);
    replay_free(audit->replay);
    audit_sinks_free(audit->sinks);
    pthread_cond_destroy(&audit->wake);
    pthread_cond_destroy(&audit->sync_done);
    pthread_mutex_destroy(&audit->lock);
    pthread_mutex_destroy(&audit->sign_lock);
    free(audit);
    return NULL;
}

/* Signals are for the threads that wait for them. */
static int start_thread(struct audit *audit)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(&audit->thread, NULL, audit_background, audit);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int audit_open(int state_fd, const struct config_audit *config, audit_observe *observe,
               void *observe_context, struct audit **ret_audit)
{
    struct audit *audit = calloc(1, sizeof *audit);
    if (!audit)
        return -ENOMEM;
    audit->file.fd = audit->checkpoint_fd = audit->directory_fd = -1;
    init_lock(audit);
    pthread_mutex_init(&audit->sign_lock, NULL);
    pthread_cond_init(&audit->sync_done, NULL);
    audit->observe = observe;
    audit->observe_context = observe_context;
    audit->sync_within_ms = config->sync_within;
    audit->file_size_max = (uint64_t)config->file_size;
    audit->checkpoint_records = (uint64_t)config->checkpoint_records;
    audit->checkpoint_ms = config->checkpoint_time;
    audit->replay = replay_new();
    audit->sinks = audit_sinks_new();

    int r = init_conditions(audit);
    if (r == 0 && (!audit->replay || !audit->sinks))
        r = -ENOMEM;
    if (r == 0 && !sync_mode(config->sync, &audit->mode))
        r = -EINVAL;
    if (r == 0)
        r = open_trail(audit, state_fd);
    if (r == 0)
        r = start_thread(audit);
    if (r < 0) {
        audit_free(audit);
        return r;
    }
    observe_troubles(audit);
    *ret_audit = audit;
    return 0;
}

struct audit *audit_close(struct audit *audit)
{
    if (!audit)
        return NULL;
    pthread_mutex_lock(&audit->lock);
    audit->stopping = true;
    pthread_cond_signal(&audit->wake);
    pthread_mutex_unlock(&audit->lock);
    pthread_join(audit->thread, NULL);
    return audit_free(audit);
}
