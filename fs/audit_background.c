/*
 * What the trail does beside its writers: sync within the time promised, feed the sinks, take
 * checkpoints, watch the clock. One thread; it holds the lock for moments only.
 */
#include "fs/audit_private.h"

#include "base/clock.h"
#include "fs/audit_checkpoint.h"

#include <string.h>
#include <sys/timex.h>
#include <time.h>

enum {
    TICK_MS = 1000, /* without work: clock, checkpoints by time */
    CLOCK_JUMP_MS = 1000,
    SINKS_MS = 60 * 1000,
};

bool audit_clock_synchronised(void)
{
    struct timex state = {.modes = 0};
    return adjtimex(&state) != -1 && !(state.status & STA_UNSYNC);
}

/* Wall clock against a clock that nobody sets and that goes on during suspend. */
static int64_t wall_offset_ms(void)
{
    struct timespec boot;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return clock_realtime_ns() / 1000000 - ((int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000);
}

static void tell_jump(struct audit *audit, int64_t jump_ms)
{
    char milliseconds[24];
    snprintf(milliseconds, sizeof milliseconds, "%lld", (long long)jump_ms);
    const struct audit_event event = {.kind = AUDIT_CLOCK,
                                      .result = AUDIT_FAILED,
                                      .reason = "jump",
                                      .detail = {{"milliseconds", milliseconds}}};
    (void)!audit_write(audit, &event); /* a failure shows in the status */
}

struct clock_watch {
    int64_t offset_ms;
    bool synchronised;
    int64_t looked_at_ms;
};

static void watch_clock(struct audit *audit, struct clock_watch *watch)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - watch->looked_at_ms < TICK_MS)
        return;
    watch->looked_at_ms = now_ms;

    int64_t offset_ms = wall_offset_ms();
    int64_t jump_ms = offset_ms - watch->offset_ms;
    watch->offset_ms = offset_ms; /* a clock that is slewed moves it a little all the time */
    if (jump_ms >= CLOCK_JUMP_MS || jump_ms <= -CLOCK_JUMP_MS)
        tell_jump(audit, jump_ms);

    bool synchronised = audit_clock_synchronised();
    if (synchronised == watch->synchronised)
        return;
    watch->synchronised = synchronised;
    pthread_mutex_lock(&audit->lock);
    audit->stamp.clock_synchronised = synchronised;
    pthread_mutex_unlock(&audit->lock);
    const struct audit_event event = {.kind = AUDIT_CLOCK,
                                      .reason = synchronised ? "synchronised" : "unsynchronised"};
    (void)!audit_write(audit, &event);
}

struct sink_watch {
    uint64_t told[AUDIT_SINK_COUNT]; /* losses that were recorded */
    int64_t looked_at_ms;
};

/* Losses of a sink, at most once a minute. The record of it may be lost as well: that one does not
 * count. */
static void watch_sinks(struct audit *audit, struct sink_watch *watch)
{
    static const char *const names[AUDIT_SINK_COUNT] = {"syslog", "journald"};
    int64_t now_ms = clock_monotonic_ms();
    if (watch->looked_at_ms && now_ms - watch->looked_at_ms < SINKS_MS)
        return;
    watch->looked_at_ms = now_ms;
    struct audit_status status;
    audit_sinks_counts(audit->sinks, &status);
    for (size_t i = 0; i < AUDIT_SINK_COUNT; i++) {
        uint64_t lost = status.sink_dropped[i] - watch->told[i];
        if (lost <= 1)
            continue;
        watch->told[i] = status.sink_dropped[i];
        char number[24];
        snprintf(number, sizeof number, "%llu", (unsigned long long)lost);
        const struct audit_event event = {.kind = AUDIT_TRAIL,
                                          .result = AUDIT_FAILED,
                                          .reason = "sink",
                                          .text =
                                              "Records were not taken and are in the file only.",
                                          .detail = {{"records", number}, {"sink", names[i]}}};
        (void)!audit_write(audit, &event);
    }
}

/* Only what is on the disk is signed: else a power cut would look like a cut trail. */
static int sign_newest(struct audit *audit, struct audit_checkpoint *checkpoint)
{
    pthread_mutex_lock(&audit->lock);
    checkpoint->sequence = audit->stamp.sequence;
    checkpoint->time_s = clock_realtime_s();
    memcpy(checkpoint->boot, audit->stamp.boot, AUDIT_BOOT_SIZE);
    memcpy(checkpoint->hash, audit->hash, SHA256_SIZE);
    int r = audit_sync_upto(audit, checkpoint->sequence);
    pthread_mutex_unlock(&audit->lock);
    _cleanup_free_ char *statement = NULL;
    if (r == 0)
        r = audit_checkpoint_statement(checkpoint, &statement);
    if (r == 0)
        r = audit->sign(audit->sign_context, statement, strlen(statement), checkpoint->signature,
                        checkpoint->public_key);
    return r < 0 ? r : audit_checkpoint_append(audit->checkpoint_fd, checkpoint);
}

static void tell_checkpoint(struct audit *audit, const struct audit_checkpoint *checkpoint)
{
    char key[2 * AUDIT_PUBLIC_KEY_SIZE + 1], signature[2 * AUDIT_SIGNATURE_SIZE + 1];
    hex_encode(checkpoint->public_key, AUDIT_PUBLIC_KEY_SIZE, key);
    hex_encode(checkpoint->signature, AUDIT_SIGNATURE_SIZE, signature);
    _cleanup_free_ char *statement = NULL;
    if (audit_checkpoint_statement(checkpoint, &statement) < 0)
        return;
    const struct audit_event event = {
        .kind = AUDIT_CHECKPOINT,
        .detail = {{"checkpoint", statement}, {"key", key}, {"signature", signature}},
    };
    (void)!audit_write(audit, &event);
}

void audit_take_checkpoint(struct audit *audit)
{
    pthread_mutex_lock(&audit->sign_lock);
    if (audit->sign) {
        struct audit_checkpoint checkpoint = {0};
        int r = sign_newest(audit, &checkpoint);
        int before = atomic_exchange(&audit->checkpoint_error, r);
        atomic_store(&audit->checkpoint_at_ms, clock_monotonic_ms());
        if (r == 0) {
            atomic_store(&audit->checkpoint, checkpoint.sequence);
            tell_checkpoint(audit, &checkpoint);
            /* Nothing but that event behind it: no reason for another. */
            pthread_mutex_lock(&audit->lock);
            bool idle = audit->stamp.sequence == checkpoint.sequence + 1;
            atomic_store(&audit->checkpoint_own, checkpoint.sequence + idle);
            pthread_mutex_unlock(&audit->lock);
        } else if (before == 0) { /* told once, until one succeeds */
            const struct audit_event event = {.kind = AUDIT_CHECKPOINT,
                                              .result = AUDIT_FAILED,
                                              .error = -r,
                                              .text = "No checkpoint could be signed or written."};
            (void)!audit_write(audit, &event);
        }
    }
    pthread_mutex_unlock(&audit->sign_lock);
}

static bool checkpoint_due(struct audit *audit, uint64_t sequence)
{
    if (!atomic_load(&audit->signing) || sequence <= atomic_load(&audit->checkpoint_own))
        return false;
    int64_t waited_ms = clock_monotonic_ms() - atomic_load(&audit->checkpoint_at_ms);
    if (waited_ms >= audit->checkpoint_ms)
        return true;
    /* Not more often than every tick: a signature that fails is not asked for again at once. */
    return waited_ms >= TICK_MS &&
           sequence - atomic_load(&audit->checkpoint) >= audit->checkpoint_records;
}

static void add_ms(struct timespec *time, int64_t ms)
{
    time->tv_sec += ms / 1000;
    time->tv_nsec += ms % 1000 * 1000000;
    if (time->tv_nsec >= 1000000000) {
        time->tv_nsec -= 1000000000;
        time->tv_sec++;
    }
}

/* Sleeps until records have waited half of the time allowed (the sync takes its share of the
 * rest), sinks hurry, a second has gone, or the end. With the lock held. */
static void wait_for_work(struct audit *audit)
{
    int64_t tick_ms = clock_monotonic_ms() + TICK_MS;
    while (!audit->stopping && !audit->hurry) {
        int64_t until_ms = tick_ms;
        if (audit->unsynced && audit->unsynced_since_ms + audit->sync_within_ms / 2 < until_ms)
            until_ms = audit->unsynced_since_ms + audit->sync_within_ms / 2;
        int64_t left_ms = until_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        add_ms(&until, left_ms);
        pthread_cond_timedwait(&audit->wake, &audit->lock, &until);
    }
}

void *audit_background(void *context)
{
    struct audit *audit = context;
    struct clock_watch watch = {.offset_ms = wall_offset_ms(),
                                .looked_at_ms = clock_monotonic_ms()};
    struct sink_watch sinks = {0};
    pthread_mutex_lock(&audit->lock);
    watch.synchronised = audit->stamp.clock_synchronised;
    atomic_store(&audit->checkpoint_at_ms, clock_monotonic_ms());
    for (bool stop = false; !stop;) {
        wait_for_work(audit);
        stop = audit->stopping;
        audit->hurry = false;
        int r = audit_write_releases(audit);
        if (r < 0)
            audit->unsynced = false; /* tried again with the next event or tick */
        if (!audit->sync_lost)
            (void)!audit_sync_upto(audit, audit->stamp.sequence); /* a failure is kept in error */
        uint64_t sequence = audit->stamp.sequence;
        pthread_mutex_unlock(&audit->lock);

        audit_observe_releases(audit, r);
        if (!stop)
            watch_clock(audit, &watch);
        if (checkpoint_due(audit, sequence) || (stop && sequence > audit->checkpoint_own))
            audit_take_checkpoint(audit);
        audit_sinks_drain(audit->sinks);
        if (!stop)
            watch_sinks(audit, &sinks);
        pthread_mutex_lock(&audit->lock);
    }
    if (!audit->sync_lost)
        (void)!audit_sync_upto(audit, audit->stamp.sequence);
    pthread_mutex_unlock(&audit->lock);
    return NULL;
}
