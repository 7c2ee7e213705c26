/*
 * A flight: the one operation under way for a name, shared by all who wait for it. Life of a flight
 * that brings content:
 *   queued -> link (body into a memory file) -> verify queue -> verifying -> scanning -> storing ->
 *   landed
 * of one that verifies stored content anew, under changed trust:
 *   loading (decrypted into a memory file) -> verify queue -> verifying -> storing -> landed
 * and of a look-up: queued -> link (HEAD) -> storing (entry and inode number) -> landed.
 *
 * Thread rule: the caller holds the lock of provide.h.
 */
#ifndef FS_FLIGHT_H
#define FS_FLIGHT_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "base/verdict.h"
#include "cache/cache.h"
#include "fs/waiter.h"

#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

enum flight_kind { FLIGHT_LOOKUP, FLIGHT_CONTENT };

enum flight_stage {
    FLIGHT_QUEUED,
    FLIGHT_AT_LINK,
    FLIGHT_LOADING,
    FLIGHT_VERIFY_QUEUED,
    FLIGHT_VERIFYING,
    FLIGHT_SCANNING,
    FLIGHT_STORING,
    FLIGHT_LANDED,
};

struct flight {
    struct certname name;
    enum flight_kind kind;
    enum flight_stage stage;
    uint64_t id;
    uid_t uid;                  /* who began it */
    TAILQ_ENTRY(flight) queued; /* in the one queue its stage has */
    struct waiter *waiters;
    int64_t started_ms, deadline_ms;
    int64_t link_until_ms;    /* FLIGHT_AT_LINK: when the link was told to end it */
    struct cache_entry entry; /* LOOKUP: what HEAD said; CONTENT: as it was at the start */
    bool anew;                /* content is stored; only verified again */
    bool scan;                /* with anew: scanned for malware again as well */
    bool scan_after;          /* once it has landed: all was to be scanned meanwhile */
    bool background;          /* begun by step_reverify(), for nobody in particular */
    bool compares;            /* with anew: of a run of fs/revalidation.h */
    bool look_only; /* … and what comes of it is not kept; fixed from FLIGHT_STORING on */
    bool compared;  /* … and it was */
    int memfd;
    uint64_t reserved; /* of provide's body_bytes */
    int64_t received_at_s;
    uint64_t received;      /* bytes so far, for status */
    unsigned verify_tries;  /* that ended without a verdict, as far as the document may be why */
    unsigned verify_killed; /* … because somebody else ended the process */
    bool wants_fresh;       /* goes to a process that has seen no other document */
    /* At the link. */
    int64_t queued_ms, sent_ms;
    bool placed;    /* has one of the places there */
    bool preparing; /* the link system has it made, and is asked again at: */
    int64_t ask_again_ms;
    bool cancelled; /* the link was told so */
    /* The beginning of the body in the store (provide_partial.c). */
    bool keep;        /* there is a strong validator, and storing works */
    bool resuming;    /* FLIGHT_LOADING: what is stored goes into the memory file */
    bool storing;     /* a piece is on its way to the store */
    bool last_stored; /* … the last one: nobody waits any more */
    bool continued;   /* the link was given a beginning: of this fetch or an earlier one */
    uint64_t partial; /* bytes stored */
    struct verdict *verdict;
    struct outcome outcome;
};

TAILQ_HEAD(flight_queue, flight);

struct flights;

struct flights *flights_new(void);                     /* NULL when memory is short */
struct flights *flights_free(struct flights *flights); /* with all flights; no waiter may be left */

/* A new flight in stage FLIGHT_QUEUED, in no queue; NULL when memory is short. */
struct flight *flights_add(struct flights *flights, enum flight_kind kind,
                           const struct certname *name);
struct flight *flights_find(const struct flights *flights, enum flight_kind kind,
                            const struct certname *name);
struct flight *flights_find_id(const struct flights *flights, uint64_t id);
/* Takes it out of the tables; flight_free() follows when the waiters were told. */
void flights_remove(struct flights *flights, struct flight *flight);
struct flight *flight_free(struct flight *flight);

size_t flights_count(const struct flights *flights);
/* Calls `visit` for each flight; it may not add or remove any. */
void flights_walk(const struct flights *flights, void (*visit)(struct flight *, void *),
                  void *context);

/* Somebody needs what comes of a flight that was for looking only. False: too late. */
bool flight_keep(struct flight *flight);

void flight_add_waiter(struct flight *flight, struct waiter *waiter);
/*
 * Moves waiters out of a flight: those past their deadline to *expired, those whose program
 * received a fatal signal to *killed. Returns how many were moved.
 */
size_t flight_part_waiters(struct flight *flight, int64_t now_ms, struct waiter **expired,
                           struct waiter **killed);

#endif
