/* Opening and closing. LMDB is opened after the lock is held, so stale readers are really stale. */
#include "cache/store.h"

#include "cache/environment.h"
#include "cache/format.h"
#include "cache/rebuild.h"
#include "cache/recovery.h"

#include <fcntl.h>

static void cleanup_cache(struct cache **slot)
{
    cache_close(*slot);
}

static int new_cache(const struct cache_settings *settings, struct cache **ret_cache)
{
    _cleanup_(cleanup_cache) struct cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return -ENOMEM;
    cache->lock_fd = -1;
    cache->slots.fd = -1;
    cache->map_size = settings->map_size;
    cache->quota = settings->quota;
    cache->headroom = settings->headroom;
    cache->partials_max = settings->partials_max;
    cache->outbox = settings->outbox;
    cache->keyring = settings->keyring;
    cache->directory_fd = fcntl(settings->directory_fd, F_DUPFD_CLOEXEC, 0);
    if (cache->directory_fd < 0)
        return -errno;
    int r = data_keys_new(&cache->data_keys);
    if (r == 0)
        r = warm_entries_new(&cache->warm_entries);
    if (r == 0)
        r = marks_new(&cache->marks);
    if (r < 0)
        return r;
    *ret_cache = steal_ptr(&cache);
    return 0;
}

/* The slot file is made durable before the first commit names its store id. */
static int create(struct cache *cache, MDB_txn *transaction, char *ret_message)
{
    int r = format_create(cache, transaction, ret_message);
    if (r < 0)
        return r;
    r = slots_create(cache->directory_fd, cache->store_id);
    if (r == -EBADMSG)
        snprintf(ret_message, STORE_MESSAGE_MAX,
                 "store: there is a file of key slots, but data.mdb is empty");
    else if (r < 0)
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: file of key slots: %s", strerror(-r));
    return r;
}

static int open_or_create(struct cache *cache, char *ret_message)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    bool created;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = environment_open_tables(cache, transaction, ret_message, &created);
    if (r < 0)
        return r;
    bool upgraded = false;
    r = created ? create(cache, transaction, ret_message)
                : format_load(cache, transaction, ret_message);
    if (r == 0)
        r = format_upgrade(cache, transaction, &upgraded);
    if (r == 0 && upgraded)
        r = rebuild_ask(cache, transaction);
    if (r == CACHE_MISS) {
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: the format row is missing");
        r = -EBADMSG;
    }
    if (r < 0)
        return r;
    r = store_commit(cache, &transaction);
    if (r < 0)
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: %s", strerror(-r));
    return r;
}

static int open_slots(struct cache *cache, char *ret_message)
{
    int r = slots_open(cache->directory_fd, cache->store_id, &cache->slots);
    if (r < 0)
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: file of key slots: %s",
                 r == -EBADMSG           ? "missing, damaged or of another store"
                 : r == -EPROTONOSUPPORT ? "written by a newer kosekifs"
                                         : strerror(-r));
    return r;
}

/* A copy that cannot be written today does not stop the mount; one of another store is a mistake of
 * the operator. */
static int attach_mirrors(struct cache *cache, const struct cache_settings *settings,
                          char *ret_message)
{
    bool changed = false;
    struct slots *slots = &cache->slots;
    for (unsigned i = 0; i < settings->mirror_count; i++) {
        slots->mirrors[i] =
            (struct slots_mirror){.directory_fd = settings->mirror_fds[i], .fd = -1};
        slots->mirror_count = i + 1;
        if (slots_mirror_attach(slots, i, &changed) == -EBADMSG) {
            snprintf(ret_message, STORE_MESSAGE_MAX,
                     "store: the ledger or the replica has the keys of another store");
            return -EBADMSG;
        }
    }
    if (!changed)
        return 0;
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = rebuild_ask(cache, transaction);
    if (r == 0)
        r = store_commit(cache, &transaction);
    if (r < 0)
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: %s", strerror(-r));
    return r;
}

int cache_open(const struct cache_settings *settings, char *ret_message, struct cache **ret_cache)
{
    _cleanup_(cleanup_cache) struct cache *cache = NULL;
    ret_message[0] = '\0';
    int r = environment_check_directory(settings->directory_fd, ret_message);
    if (r < 0)
        return r;
    r = new_cache(settings, &cache);
    if (r < 0) {
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: %s", strerror(-r));
        return r;
    }
    r = environment_lock(cache->directory_fd, ret_message, &cache->lock_fd);
    if (r == 0)
        r = environment_open(cache, ret_message);
    if (r == 0)
        r = open_or_create(cache, ret_message);
    if (r == 0)
        r = open_slots(cache, ret_message);
    if (r == 0)
        r = attach_mirrors(cache, settings, ret_message);
    if (r == 0)
        r = recovery_run(cache, ret_message);
    if (r < 0)
        return r;
    *ret_cache = steal_ptr(&cache);
    return 0;
}

void cache_keep_keys(struct cache *cache, bool keep)
{
    data_keys_forget(cache->data_keys, keep);
    warm_entries_forget_all(cache->warm_entries);
}

struct cache *cache_close(struct cache *cache)
{
    if (!cache)
        return NULL;
    if (cache->environment)
        mdb_env_close(cache->environment);
    slots_close(&cache->slots);
    data_keys_free(cache->data_keys);
    warm_entries_free(cache->warm_entries);
    marks_free(cache->marks);
    pool_wipe(&cache->pool);
    data_key_wipe(&cache->store_key);
    cleanup_close(&cache->lock_fd);
    cleanup_close(&cache->directory_fd);
    free(cache);
    return NULL;
}
