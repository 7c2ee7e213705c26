/*
 * Counting what users do within a window of time: refusals, opens, and how many different names
 * they asked for in vain. A fixed table in sets of a few places, chosen by uid; in a full set the
 * user who was quiet for longest leaves.
 *
 * Thread rule: the owner's lock.
 */
#ifndef FS_ALERTS_WATCH_H
#define FS_ALERTS_WATCH_H

#include "base/cleanup.h"

#include <stdint.h>
#include <sys/types.h>

enum {
    WATCH_SETS = 128,
    WATCH_WAYS = 8,
    WATCH_NAME_BITS = 4096, /* enough to tell 1,000 names with an error of a few per cent */
};

struct watch_user {
    uid_t uid;
    int64_t began_ms; /* the window; 0 = free place */
    int64_t seen_ms;
    uint32_t denials;
    uint32_t opens;
    uint64_t names[WATCH_NAME_BITS / 64]; /* a bit for each hash of a name asked for in vain */
};

struct watch {
    int64_t window_ms;
    struct watch_user users[WATCH_SETS][WATCH_WAYS];
};

/* The user's counts in the window that is running; a new window starts with zeros. */
struct watch_user *watch_find(struct watch *watch, uid_t uid, int64_t now_ms);

/* Adds a name and estimates how many different ones there were (linear counting: -m ln(free/m)). */
uint32_t watch_add_name(struct watch_user *user, const char *name);

#endif
