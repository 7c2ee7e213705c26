/* See fs/replica.h. */
#include "fs/replica.h"

#include "base/clock.h"
#include "base/log.h"
#include "cache/replica.h"

#include <pthread.h>
#include <string.h>

enum { IDLE_MS = 200, FILES_MS = 1000, RETRY_MS = 5000 };

struct clearing {
    struct store_task task;
    struct replica *replica;
    struct cache_outbox_done done;
};

struct replica {
    struct mountfs *fs;
    int directory_fd;
    pthread_t thread;
    struct cache_replica *cache; /* the thread's own, as the next */
    struct clearing clearing;
    int64_t files_ms;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t woken;
    bool ending, cleared;
    struct replica_status status;
};

static bool is_ending(struct replica *replica)
{
    pthread_mutex_lock(&replica->lock);
    bool ending = replica->ending;
    pthread_mutex_unlock(&replica->lock);
    return ending;
}

/* The store thread deletes what is done; it comes to that also when the daemon ends. */
static void clear_run(struct store_task *task, struct cache *cache)
{
    struct clearing *clearing = (struct clearing *)task;
    struct replica *replica = clearing->replica;
    if (cache_outbox_clear(cache, &clearing->done) < 0)
        log_debug("the outbox is not cleared; the same is copied once more");
    pthread_mutex_lock(&replica->lock);
    replica->cleared = true;
    pthread_cond_signal(&replica->woken);
    pthread_mutex_unlock(&replica->lock);
}

static void clear(struct replica *replica)
{
    replica->clearing.task.run = clear_run;
    replica->clearing.replica = replica;
    replica->cleared = false;
    provide_store_task(replica->fs->provide, &replica->clearing.task);
    pthread_mutex_lock(&replica->lock);
    while (!replica->cleared)
        pthread_cond_wait(&replica->woken, &replica->lock);
    pthread_mutex_unlock(&replica->lock);
}

static int open_replica(struct replica *replica)
{
    char message[256];
    int r = cache_replica_open(replica->fs->cache, replica->directory_fd, message, &replica->cache);
    if (r < 0)
        log_error("%s", message[0] ? message : "the replica cannot be opened");
    return r;
}

static int copy_files(struct replica *replica)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - replica->files_ms < FILES_MS)
        return 0;
    replica->files_ms = now_ms;
    return replica_copy_files(replica->fs->state_fd, replica->directory_fd);
}

static int step(struct replica *replica, bool *ret_more)
{
    *ret_more = false;
    int r = replica->cache ? 0 : open_replica(replica);
    if (r == 0)
        r = cache_replica_step(replica->cache, &replica->clearing.done, ret_more);
    if (r == 0 && replica->clearing.done.count > 0)
        clear(replica);
    return r == 0 ? copy_files(replica) : r;
}

static void note(struct replica *replica, int error, bool more)
{
    uint64_t behind = 0;
    int r = cache_outbox_count(replica->fs->cache, &behind);
    pthread_mutex_lock(&replica->lock);
    replica->status.error = error < 0 ? error : r;
    replica->status.behind = behind;
    replica->status.compared = replica->status.compared || (error == 0 && !more);
    pthread_mutex_unlock(&replica->lock);
    if (error < 0)
        alerts_raise(replica->fs->alerts, ALERT_CRITICAL, ALERT_STORE, "replica",
                     "Look at the disk of [replica] path.", "the replica cannot follow: %s",
                     strerror(-error));
}

static void pause_for(struct replica *replica, int64_t wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    const struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&replica->lock);
    if (!replica->ending)
        pthread_cond_timedwait(&replica->woken, &replica->lock, &until);
    pthread_mutex_unlock(&replica->lock);
}

static void *replica_run(void *argument)
{
    struct replica *replica = argument;
    while (!is_ending(replica)) {
        bool more;
        int error = step(replica, &more);
        note(replica, error, more);
        if (error < 0)
            pause_for(replica, RETRY_MS);
        else if (!more)
            pause_for(replica, IDLE_MS);
    }
    return NULL;
}

int replica_new(struct mountfs *fs, int directory_fd, struct replica **ret_replica)
{
    struct replica *replica = calloc(1, sizeof *replica);
    pthread_condattr_t monotonic;
    if (!replica)
        return -ENOMEM;
    replica->fs = fs;
    replica->directory_fd = directory_fd;
    pthread_mutex_init(&replica->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&replica->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int error = pthread_create(&replica->thread, NULL, replica_run, replica);
    if (error) {
        pthread_cond_destroy(&replica->woken);
        pthread_mutex_destroy(&replica->lock);
        free(replica);
        return -error;
    }
    *ret_replica = replica;
    return 0;
}

struct replica *replica_free(struct replica *replica)
{
    if (!replica)
        return NULL;
    pthread_mutex_lock(&replica->lock);
    replica->ending = true;
    pthread_cond_signal(&replica->woken);
    pthread_mutex_unlock(&replica->lock);
    pthread_join(replica->thread, NULL);
    cache_replica_close(replica->cache);
    pthread_cond_destroy(&replica->woken);
    pthread_mutex_destroy(&replica->lock);
    free(replica);
    return NULL;
}

void replica_status(struct replica *replica, struct replica_status *ret_status)
{
    pthread_mutex_lock(&replica->lock);
    *ret_status = replica->status;
    pthread_mutex_unlock(&replica->lock);
}
