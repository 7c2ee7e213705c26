/*
 * How a certificate comes to be readable: the one place where transport, verify, keys and cache
 * meet. Programs' requests are parked as waiters on flights (fs/flight.h); messages of the other
 * processes and the store thread move the flights on.
 *
 * Threads: provide_lookup(), provide_content() and the questions come from the threads that answer
 * the kernel and from the control socket; one loop thread calls provide_pollfds() and
 * provide_dispatch(); one store thread, started here, makes every write to the store, LMDB having
 * one writer anyway.
 *
 * Locks, in order of acquisition; none is held across network, signature check, write to the store
 * or reply:
 *   1. provide.lock       flights, queues, recent names, peers, counters
 *   2. keys_client, cache (own locks inside)
 *   3. why, audit (own locks inside)
 */
#ifndef FS_PROVIDE_H
#define FS_PROVIDE_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/room.h"
#include "cache/cache.h"
#include "fs/link_meter.h"
#include "fs/revocation.h"
#include "fs/waiter.h"
#include "transport/link_client.h"
#include "base/crl.h"
#include "base/signer.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct provide;
struct keys_client;
struct revalidation_totals;

enum { PROVIDE_POLLFD_MAX = VERIFY_WORKER_MAX + 2 };

/* Something that trust rests on and that ends. */
struct trust_age {
    enum { AGE_LIST, AGE_SIGNER, AGE_ANCHOR, AGE_CLOCK } what;
    const char *subject;
    const uint8_t *sha256; /* tells it from others of its kind; NULL of AGE_CLOCK */
    int64_t ends_s;
    int64_t left_s; /* negative: it has ended; of AGE_CLOCK: so far the clock is behind */
};

/* What became of a revocation list that somebody brought. */
struct list_news {
    const char *source;
    const struct crl_info *info;
    enum revocation_decision decision;
    const char *text; /* why it is not taken; else empty */
    uint64_t asker;   /* of provide_import_lists(); 0 = nobody */
};

/* What others want to hear of; called without a lock held. */
struct provide_listener {
    void *context;
    /* A fetch ended: error 0 or a positive errno, with HTTP status and bytes. */
    void (*fetched)(void *context, const struct certname *name, int error, uint32_t status,
                    uint64_t size, const char *detail);
    /* A verdict was reached on a certificate. */
    void (*judged)(void *context, const struct certname *name, const struct verdict *verdict);
    /* What was the content of this inode is no longer to be served: drop what the kernel keeps. */
    void (*withdrawn)(void *context, uint32_t inode);
    /* Until when a certificate stored now may be kept; 0 = without end. NULL: all without end. */
    int64_t (*keep_until)(void *context, const struct certname *name, int64_t now_s);
    /* The store thread has nothing else to do, or did other things for a second. May be NULL. */
    void (*upkeep)(void *context, struct cache *cache);
    /* How the line fared in a window of time in which there were fetches. */
    void (*measured)(void *context, const struct link_reading *reading);
    /* A circuit to an address of the link system has opened or closed. */
    void (*endpoint)(void *context, const struct link_endpoint_state *state);
    /* Before what was accepted is stored. 0: nothing scans; 1: provide_scanned() follows for this
     * id; a negative errno: it cannot be asked. Under the lock, so it may only take the request;
     * memfd stays provide's. */
    int (*scan)(void *context, uint64_t id, const struct certname *name, int memfd);
    /* Nobody may read it now, so it is not decrypted just to be verified anew either. Any lock. */
    bool (*sealed)(void *context, const struct certname *name);
    /* A document twice cost a verifying process its life. */
    void (*undecidable)(void *context, const char *reason);
    /* A verifying process is to be replaced in order. */
    void (*retire)(void *context, uint32_t index);
    /* A revocation list was looked at. */
    void (*list_seen)(void *context, const struct list_news *news);
    /* A signer is new, or something about him changed. When it returns, no answer decided before is
     * on its way to the kernel any more. */
    void (*signer_seen)(void *context, const struct signer_status *status, bool changed);
    /* A stored certificate changed state with its signer, of whom signer_seen() told before: its
     * pages go if it is not served any more. */
    void (*restated)(void *context, const struct cache_entry *entry,
                     const struct signer_judgement *judgement);
    /* All certificates of a signer were looked at after a change, and told of by restated(). */
    void (*swept)(void *context, uint64_t withheld, uint64_t served, int64_t elapsed_ms);
    /* A revocation list, a certificate of a signer or an anchor gets old. */
    void (*ageing)(void *context, const struct trust_age *age);
    /* A run of fs/revalidation.h ended. */
    void (*revalidated)(void *context, const struct revalidation_totals *totals);
    /* A child process misbehaved; the supervisor shall replace it. */
    void (*misbehaved)(void *context, enum room_role role, uint32_t index, const char *reason);
};

/* Where the store is: descriptors of directories, which stay the caller's; -1 = none. */
struct provide_places {
    int state_fd;
    int ledger_fd;
    int replica_fd;
    uint64_t headroom; /* bytes of the disk that admissions leave free */
    const struct config_crl *crl;
};

/* `config`, `keys` and `places` stay the caller's and outlive the object. ret_message (256 bytes)
 * explains a failure. */
_must_use_ int provide_new(const struct config_mount *config, struct keys_client *keys,
                           const struct provide_places *places,
                           const struct provide_listener *listener, char *ret_message,
                           struct provide **ret_provide);
/* Every waiter left is told EIO, with outcome.left. */
struct provide *provide_free(struct provide *provide);

struct cache *provide_cache(struct provide *provide);

/* A neighbour (re)appeared; takes fd. Loop thread. */
void provide_connect(struct provide *provide, enum room_role role, uint32_t index, int fd);
/* A verifying process ended with this status of waitpid(2). Loop thread. */
void provide_worker_ended(struct provide *provide, uint32_t index, int status);
/* The trust bundle is this now. Loop thread. */
void provide_set_trust(struct provide *provide, const uint8_t generation[SHA256_SIZE]);

/* The revocation lists that the configuration names, as a bundle of TRUST_CRL items. Loop thread.
 */
void provide_set_lists(struct provide *provide, struct bytes bundle);

/* Fetches all of them now. Any thread. */
void provide_refresh_lists(struct provide *provide);

/* A person brings a file of revocation lists. Returns how many are in it: so many list_seen() come
 * with `asker`, not 0. -ENOSPC: too many wait; -ENOMEM. Any thread. */
_must_use_ int provide_import_lists(struct provide *provide, uint64_t asker, const char *source,
                                    struct bytes content);

struct json;
/* For the operator; NULL when memory is short. */
struct json *provide_lists_json(struct provide *provide);
struct json *provide_anchors_json(struct provide *provide);
struct json *provide_signers_json(struct provide *provide);
/* A page of signers with the certificates of their paths, in hexadecimal; *ret_next is what to skip
 * for the next page, 0 = there is none. */
struct json *provide_paths_json(struct provide *provide, size_t skip, size_t *ret_next);

/* Loop thread: what to wait for, and for how long at most; then what came. */
unsigned provide_pollfds(struct provide *provide, struct pollfd fds[PROVIDE_POLLFD_MAX],
                         int *ret_timeout_ms);
void provide_dispatch(struct provide *provide, const struct pollfd *fds, unsigned count);

/* Whether the content of an entry can be served now. */
enum provide_state {
    PROVIDE_READY,      /* stored, verified under the present trust, revocation data fresh */
    PROVIDE_FETCHABLE,  /* to be fetched */
    PROVIDE_UNVERIFIED, /* stored, to be verified again under the present trust; no fetch */
    PROVIDE_STALE,      /* stored, but its revocation data is too old: ENOKEY */
    PROVIDE_REJECTED,   /* rejected, and neither validator nor trust changed since; or stored, and
                           its signer revoked or suspended */
};
enum provide_state provide_state_of(struct provide *provide, const struct cache_entry *entry);
/* Another number whenever that may say something else of an entry that did not change: by trust,
 * revocation lists, or time. */
uint64_t provide_standing(struct provide *provide);
/* Of a rejected entry: errno, and why into reason (VERDICT_TEXT_MAX bytes). */
int provide_rejection(struct provide *provide, const struct cache_entry *entry, char *reason);
/* Whether a file opened earlier may be read on: 0, or the errno that its signer's status demands.
 */
int provide_read_refused(struct provide *provide, const struct cache_entry *entry);

/* What is known of a signer's certificate now; false: nothing. */
_must_use_ bool provide_signer(struct provide *provide, const uint8_t sha256[SHA256_SIZE],
                               struct signer_status *ret_status);

/*
 * Parks the waiter until a HEAD has told about the name. 0: parked, `complete` will be called. A
 * positive return is the outcome at once, the waiter not parked: ENOENT (remembered), EAGAIN (too
 * many wait), ENOMEM.
 */
_must_use_ int provide_lookup(struct provide *provide, const struct certname *name,
                              struct waiter *waiter);
/*
 * True if the link system has described the name within the last moment (entry_timeout): a program
 * that asks for the size, the attributes and then the content costs it one HEAD. A failed fetch
 * ends this, since the description may be what was wrong.
 */
bool provide_described(struct provide *provide, const struct certname *name);
/* Parks the waiter until the content of a name that has an entry is stored and verified. Returns as
 * provide_lookup(). */
_must_use_ int provide_content(struct provide *provide, const struct certname *name,
                               struct waiter *waiter);
/*
 * Stored content is verified and scanned once more, for a waiter or (NULL) for nobody in
 * particular. Returns as provide_lookup(); ENOENT: nothing is stored; EBUSY: something is under way
 * with this certificate.
 */
_must_use_ int provide_rescan(struct provide *provide, const struct certname *name,
                              struct waiter *waiter);
/* The same of everything, a few at a time; of what is under way when it has landed. */
void provide_rescan_all(struct provide *provide);

/* A seal was taken away: what was not verified anew because of it is looked at again. Any thread.
 */
void provide_unsealed(struct provide *provide);

enum provide_scan { PROVIDE_CLEAN, PROVIDE_MALWARE, PROVIDE_UNSCANNED };
/* What the scan of a flight found; text: the name of it, or why there was none. Any thread. */
void provide_scanned(struct provide *provide, uint64_t id, enum provide_scan result,
                     const char *text);

/* The kernel interrupted a waiting program: look whether a fatal signal is pending. Any thread,
 * takes no lock. */
void provide_interrupt(struct provide *provide, struct waiter *waiter);

/* Work for the store thread, between flights; in the end what is left is done before the store
 * closes. `run` owns the task. Any thread. */
struct store_task {
    struct store_task *next;
    void (*run)(struct store_task *task, struct cache *cache);
};
void provide_store_task(struct provide *provide, struct store_task *task);

/* One address of the link system tried step by step (transport/link_steps.h), one test at a time.
 * Nothing of it is stored, served or counted. */
enum { PROVIDE_LINK_TEST_MS = 2 * 60 * 1000 };
struct provide_link_test {
    /* From the loop thread, once; `failure` says why there are no steps, NULL: there are. */
    void (*complete)(struct provide_link_test *test, const char *failure);
    struct link_step steps[LINK_STEP_COUNT];
};
/* Without a name (NULL) nothing is asked for. -EBUSY: another one is under way; -ENOTCONN, -EAGAIN,
 * -EPIPE: kosekifs-link cannot be asked. Any thread. */
_must_use_ int provide_link_test(struct provide *provide, unsigned endpoint,
                                 const struct certname *name, struct provide_link_test *test);

/* Forgets what the link system said of the name lately. */
void provide_forget(struct provide *provide, const struct certname *name);

/* What is under way, in the order in which it began. */
enum provide_stage { PROVIDE_QUEUED, PROVIDE_FETCHING, PROVIDE_PREPARING, PROVIDE_VERIFYING };
struct provide_progress {
    struct certname name;
    enum provide_stage stage;
    uint64_t received, size;
    int64_t ask_again_ms; /* PROVIDE_PREPARING: from now */
};
/* Fills at most `most` rows and returns their number. */
size_t provide_progress(struct provide *provide, struct provide_progress *ret_rows, size_t most);

struct provide_statistics {
    uint64_t waiters, flights, at_link, verifying;
    uint64_t queued, queued_lookups; /* for the link */
    uint64_t preparing;              /* by the link system */
    uint64_t partial_bytes;          /* stored of bodies on their way */
    struct link_reading line, line_lately;
    uint64_t lookups, fetches, fetch_failures, bytes_fetched, resumed;
    uint64_t accepted, rejected, undecided;
    bool link_up;
    uint32_t verify_up;
    uint8_t trust_generation[SHA256_SIZE];
    unsigned endpoint_count;
    struct link_endpoint_state endpoints[CONFIG_LINK_URLS_MAX];
};
void provide_statistics(struct provide *provide, struct provide_statistics *ret_statistics);

#endif
