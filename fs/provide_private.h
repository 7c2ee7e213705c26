/*
 * What the files of provide share. A flight is handed from stage to stage by step_*() functions,
 * which run under provide.lock; a flight that lands and a waiter that leaves are gathered, and told
 * by provide_unlock(), after the lock is released.
 */
#ifndef FS_PROVIDE_PRIVATE_H
#define FS_PROVIDE_PRIVATE_H

#include "fs/flight.h"
#include "fs/recent.h"
#include "fs/link_meter.h"
#include "fs/provide.h"
#include "fs/list_fetch.h"
#include "fs/revalidation.h"
#include "fs/revocation.h"
#include "fs/shares.h"
#include "fs/signers.h"
#include "verify/verify_client.h"

#include <pthread.h>

/* What a worker is asked besides documents; one at a time in all workers together. */
enum errand_kind { ERRAND_NONE = 0, ERRAND_LIST, ERRAND_ASSESS, ERRAND_ANCHORS };

struct worker {
    int fd; /* -1: not there */
    struct flight *flight;
    int64_t deadline_ms; /* of flight or errand; without fd: for hearing how the process ended */
    uint64_t documents;  /* that this process was asked about */
    const char *blame;   /* why we had it ended; NULL: we had not */
    enum errand_kind errand;
    uint64_t lists_serial; /* of the revocation lists it was given */
};

/* provide_trust.c: revocation lists, signers, anchors. Guarded by provide.lock but for `signers`,
 * which has its own. */
struct provide_trust {
    struct signers *signers;
    struct revocation revocation;
    struct list_fetches fetches;
    _Atomic int64_t latest_s; /* the latest time that some list proves to have been */
    int64_t fetch_ms;         /* when the next one is to be sent, or given up */
    bool lists_brought;       /* the files of the configuration have been heard of */
    bool lists_changed;       /* the bundle is to be made anew */
    int lists_fd;             /* the bundle */
    uint64_t lists_serial;
    struct signers_generation generation;
    uint64_t errand_id;
    enum errand_kind errand; /* under way */
    uint8_t errand_signer[SHA256_SIZE];
    unsigned errand_tries;
    bool list_given_up; /* the first list offered ended workers; to be refused without the lock */
    struct verify_anchor *anchors;
    size_t anchor_count;
    uint8_t anchors_of[SHA256_SIZE]; /* the trust generation that has them */
    int64_t look_at_ms;              /* when the age of lists is looked at next */
    int64_t ends_at_ms;              /* and the end of anchors and signers */
    struct verify_answer *answer;    /* the loop thread's own */
};

/* provide_revalidate.c. Guarded by provide.lock. */
struct revalidation {
    struct revalidation_totals totals;
    uint32_t cursor; /* the last certificate that was begun with */
    bool seen_all;
    unsigned under_way;
    int64_t began_ms;
    uint64_t serial;               /* of the newest row */
    struct revalidation_row *rows; /* a ring; NULL before the first run */
};

struct provide {
    const struct config_mount *config;
    const struct config_crl *crl;
    struct keys_client *keys;
    struct provide_listener listener;
    struct cache *cache;
    int wake; /* eventfd: the loop thread shall look again */

    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t store_ready;
    pthread_t store_thread;
    bool store_started, ending;
    struct flights *flights;
    struct recent *unknown;   /* to the link system, it said lately */
    struct recent *described; /* by a HEAD that has just been answered */
    struct shares *shares;    /* flights that wait for the link */
    struct flight_queue verify_queue;
    struct flight_queue entry_queue, store_queue, load_queue; /* at the store: look-ups; verdicts;
                                                                 content to be loaded */
    struct store_task *tasks, **tasks_end;                    /* in order */
    int64_t upkeep_ms;                  /* when it is due; the store thread's own */
    struct flight_queue landed;         /* waiters to be told */
    struct waiter *expired, *killed;    /* waiters to be told */
    struct waiter *unprepared;          /* … whose certificate is still being prepared */
    struct piece *pieces, **pieces_end; /* beginnings of bodies, for the store thread; in order */
    int64_t expire_ms; /* when partial bodies are looked through; the store thread's own */
    int link_fd;
    uint64_t at_link, large_at_link; /* fetches under way */
    uint64_t lookups_at_link;
    struct link_meter meter;
    struct provide_link_test *link_test; /* under way */
    uint64_t link_tests;                 /* so far */
    int64_t link_test_until_ms;
    bool link_test_lost; /* the process that was to make it has gone */
    uint64_t body_bytes; /* in memory files, or soon */
    struct worker workers[VERIFY_WORKER_MAX];
    uint8_t trust[SHA256_SIZE];
    bool trust_known;
    struct provide_trust trusted;
    uint32_t reverify_cursor; /* next inode to look at; REVERIFY_DONE: all seen */
    bool rescan;              /* … and scan all again on the way */
    unsigned reverifying;     /* background flights under way */
    struct revalidation revalidation;
    uint64_t waiters;
    struct provide_statistics count;
};

/* provide.c: joins the stages. */
void provide_lock(struct provide *provide);
/* Releases the lock, then tells all waiters whose outcome was decided under it. */
void provide_unlock(struct provide *provide);
/* Lets the loop thread look again. Any thread. */
void provide_wake(struct provide *provide);
/* Takes memory for the body before it comes; false while too much is taken. step_land() and
 * step_release_body() give it back. */
bool step_reserve_body(struct provide *provide, struct flight *flight);
void step_release_body(struct provide *provide, struct flight *flight);
/* Ends a flight under the lock. */
void step_land(struct provide *provide, struct flight *flight, int error, const char *reason);

/* provide_link.c: transport. */
void step_queue_for_link(struct provide *provide, struct flight *flight);
/* Sends what waits, as far as there is room. */
void step_link(struct provide *provide);
/* Frees the flight's place at the link, if it has one. */
void step_leave_place(struct provide *provide, struct flight *flight);
/* Certificates that the link system prepares; beyond a ceiling those that nobody waits for are
 * given up. */
uint64_t step_count_preparing(struct provide *provide);
void step_link_crowd(struct provide *provide);
/* Why the process is to be replaced: it does not end its requests at their deadlines, or fills the
 * memory files it was given beyond their size. NULL: it is well. */
const char *step_link_blame(struct provide *provide, int64_t now_ms);
/* The process is gone: its flights wait for the next one, each until its waiters' deadlines. */
void step_link_lost(struct provide *provide);
void provide_on_link(struct provide *provide); /* without the lock */

/* provide_link_test.c; without the lock. An event of a test; milliseconds until it is given up
 * (INT64_MAX: there is none); the end. */
#define LINK_TEST_ID ((uint64_t)1 << 61) /* ids of certificates count from 1 */
void provide_link_tested(struct provide *provide, const struct link_event *event);
int64_t provide_link_test_look(struct provide *provide, int64_t now_ms);
void provide_link_test_free(struct provide *provide);

/* provide_partial.c: beginnings of bodies. */
/* Stores what has come of a body that is under way, or gives up its place. */
void step_partial(struct provide *provide, struct flight *flight, int64_t now_ms);
/* What the link process has written so far. */
uint64_t step_body_size(const struct flight *flight);
/* The fetch failed: keeps what came, or drops what is of no more use. */
void step_partial_ended(struct provide *provide, struct flight *flight, enum link_result result);
void step_drop_partial(struct provide *provide, struct flight *flight);
/* The store thread's, without the lock. */
void provide_store_piece(struct provide *provide);
void provide_expire_partials(struct provide *provide, int64_t now_ms);
/* What is stored, into flight->memfd. */
_must_use_ int provide_load_partial(struct provide *provide, struct flight *flight);
void provide_partials_free(struct provide *provide);

/* provide_verify.c: verify. */
void step_queue_for_verification(struct provide *provide, struct flight *flight);
void step_verify(struct provide *provide);
/* Drops the connection. Its flight stays with it until it is known how the process ended; `blame`
 * as above. */
void step_worker_lost(struct worker *worker, const char *blame);
/* A new process, without the lock; takes fd. */
void provide_worker_connected(struct provide *provide, uint32_t index, int fd);
void provide_on_worker(struct provide *provide, unsigned index); /* without the lock */
/* Without the lock: workers past their deadlines. */
void provide_worker_deadlines(struct provide *provide, int64_t now_ms);

/* provide_scan.c: malware. True if the flight waits for a scan now, or has landed. */
bool step_scan(struct provide *provide, struct flight *flight);
/* What has just landed is scanned, for everything was to be while it was under way. */
void step_scan_landed(struct provide *provide, const struct flight *flight);
/* True if the verdict is one that a scan made. */
bool verdict_says_malware(const struct verdict *verdict);
/* provide_store_task() under the lock. */
void step_store_task(struct provide *provide, struct store_task *task);

/* provide_trust.c. */
_must_use_ int provide_trust_new(struct provide *provide, char *ret_message);
void provide_trust_free(struct provide *provide);
/* Everything stored is looked at again whose verdict is of another trust. */
void provide_reverify(struct provide *provide);
/* Gives errands to idle workers, and them all the newest lists. */
void step_trust(struct provide *provide);
/* False while documents have to wait: lists are being looked at that they may need. */
bool step_trust_ready(const struct provide *provide);
/* An answer other than a verdict; without the lock. False: nobody asked for it. */
bool provide_trust_answered(struct provide *provide, struct worker *worker,
                            const struct verify_answer *answer);
/* provide_age.c. True while [crl] clock = refuse and the clock cannot be relied on. Any thread. */
bool provide_clock_refuses(struct provide *provide);
/* Refuses a list that was given up; without the lock. */
void provide_list_given_up(struct provide *provide);
/* What came of asking for a list; without the lock. */
void provide_list_fetched(struct provide *provide, const struct link_event *event);
/* Once in a while: alerts about age; milliseconds until the next time. */
int64_t provide_trust_look(struct provide *provide);

/* provide_revalidate.c. */
/* Begins with the next certificates; true when the run has just ended. */
bool step_revalidate(struct provide *provide);
/* Whether one more process may work for the run. */
bool step_may_compare(const struct provide *provide);
/* A flight of the run landed, verified or not. */
void step_compared(struct provide *provide, struct flight *flight, const char *reason);
/* In place of provide_revise(), in the store thread. */
_must_use_ int provide_compare(struct provide *provide, struct flight *flight);

/* provide_store.c: cache. */
/* Writes the verdict of stored content that was verified anew. 0, also of what cannot be decided
 * and stays as it was. */
_must_use_ int provide_revise(struct provide *provide, struct flight *flight);
void step_queue_for_store(struct provide *provide, struct flight *flight, enum flight_stage stage);
/* A flight with a verdict: what the store made of it. */
void step_land_judged(struct provide *provide, struct flight *flight, int result);
void *provide_store_run(void *provide); /* the store thread */

#endif
