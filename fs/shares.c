/* A search tree of glibc by uid, and a ring of those users who have a flight queued. */
#include "fs/shares.h"

#include <errno.h>
#include <search.h>

struct share {
    uid_t uid;
    uint64_t waiters;
    uint64_t serving; /* places at the link system */
    uint64_t queued;
    struct flight_queue queues[SHARE_QUEUES];
    TAILQ_ENTRY(share) ring; /* while queued > 0; the one served longest ago comes first */
};

struct shares {
    void *by_uid;
    TAILQ_HEAD(, share) ring;
    uint64_t queued[SHARE_QUEUES];
};

static int compare_uids(const void *a, const void *b)
{
    const struct share *left = a, *right = b;
    return (left->uid > right->uid) - (left->uid < right->uid);
}

struct shares *shares_new(void)
{
    struct shares *shares = calloc(1, sizeof *shares);
    if (shares)
        TAILQ_INIT(&shares->ring);
    return shares;
}

struct shares *shares_free(struct shares *shares)
{
    if (shares)
        tdestroy(shares->by_uid, free);
    free(shares);
    return NULL;
}

static struct share *find(const struct shares *shares, uid_t uid)
{
    const struct share key = {.uid = uid};
    struct share *const *found = tfind(&key, &shares->by_uid, compare_uids);
    return found ? *found : NULL;
}

static struct share *find_or_add(struct shares *shares, uid_t uid)
{
    struct share *share = find(shares, uid);
    if (share)
        return share;
    share = calloc(1, sizeof *share);
    if (!share)
        return NULL;
    share->uid = uid;
    for (unsigned i = 0; i < SHARE_QUEUES; i++)
        TAILQ_INIT(&share->queues[i]);
    if (!tsearch(share, &shares->by_uid, compare_uids)) {
        free(share);
        return NULL;
    }
    return share;
}

/* Who has nothing any more is forgotten. */
static void release(struct shares *shares, struct share *share)
{
    if (share->waiters + share->serving + share->queued > 0)
        return;
    tdelete(share, &shares->by_uid, compare_uids);
    free(share);
}

bool shares_add_waiter(struct shares *shares, uid_t uid, uint64_t most)
{
    struct share *share = find_or_add(shares, uid);
    if (!share)
        return false;
    if (share->waiters >= most) {
        release(shares, share);
        return false;
    }
    share->waiters++;
    return true;
}

void shares_remove_waiter(struct shares *shares, uid_t uid)
{
    struct share *share = find(shares, uid);
    share->waiters--;
    release(shares, share);
}

static enum share_queue queue_of(const struct flight *flight)
{
    if (flight->kind == FLIGHT_LOOKUP)
        return SHARE_LOOKUP;
    return flight->entry.size > SHARE_LARGE_SIZE ? SHARE_LARGE : SHARE_SMALL;
}

int shares_queue(struct shares *shares, struct flight *flight)
{
    struct share *share = find_or_add(shares, flight->uid);
    if (!share)
        return -ENOMEM;
    enum share_queue queue = queue_of(flight);
    TAILQ_INSERT_TAIL(&share->queues[queue], flight, queued);
    shares->queued[queue]++;
    if (share->queued++ == 0)
        TAILQ_INSERT_TAIL(&shares->ring, share, ring);
    return 0;
}

static struct share *take_out(struct shares *shares, struct flight *flight)
{
    struct share *share = find(shares, flight->uid);
    enum share_queue queue = queue_of(flight);
    TAILQ_REMOVE(&share->queues[queue], flight, queued);
    shares->queued[queue]--;
    if (--share->queued == 0)
        TAILQ_REMOVE(&shares->ring, share, ring);
    return share;
}

void shares_unqueue(struct shares *shares, struct flight *flight)
{
    release(shares, take_out(shares, flight));
}

uint64_t shares_queued(const struct shares *shares, enum share_queue queue)
{
    return shares->queued[queue];
}

static struct flight *first_of(const struct share *share, enum share_queue queue, bool large_too)
{
    struct flight *flight = TAILQ_FIRST(&share->queues[queue]);
    struct flight *large =
        queue == SHARE_SMALL && large_too ? TAILQ_FIRST(&share->queues[SHARE_LARGE]) : NULL;
    if (!flight || (large && large->id < flight->id))
        return large;
    return flight;
}

struct flight *shares_next(struct shares *shares, enum share_queue queue, bool large_too)
{
    struct share *share;
    struct flight *next = NULL;
    uint64_t fewest = UINT64_MAX;
    TAILQ_FOREACH(share, &shares->ring, ring)
    {
        if (share->serving >= fewest)
            continue;
        struct flight *flight = first_of(share, queue, large_too);
        if (flight) {
            next = flight;
            fewest = share->serving;
        }
        if (fewest == 0)
            break;
    }
    return next;
}

void shares_begin(struct shares *shares, struct flight *flight)
{
    struct share *share = take_out(shares, flight);
    share->serving++;
    if (share->queued > 0) { /* others first, the next time */
        TAILQ_REMOVE(&shares->ring, share, ring);
        TAILQ_INSERT_TAIL(&shares->ring, share, ring);
    }
}

void shares_end(struct shares *shares, struct flight *flight)
{
    struct share *share = find(shares, flight->uid);
    share->serving--;
    release(shares, share);
}

void shares_walk(struct shares *shares, void (*visit)(struct flight *, void *), void *context)
{
    struct share *share, *next_share;
    for (share = TAILQ_FIRST(&shares->ring); share; share = next_share) {
        next_share = TAILQ_NEXT(share, ring);
        /* The share goes with its last flight: count before. */
        uint64_t left = share->queued;
        for (unsigned i = 0; i < SHARE_QUEUES && left > 0; i++) {
            struct flight *flight = TAILQ_FIRST(&share->queues[i]), *next;
            for (; flight; flight = next) {
                next = TAILQ_NEXT(flight, queued);
                bool last = --left == 0;
                visit(flight, context);
                if (last)
                    break;
            }
        }
    }
}
