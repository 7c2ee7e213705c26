#include "fs/alerts_watch.h"

#include <math.h>
#include <string.h>

struct watch_user *watch_find(struct watch *watch, uid_t uid, int64_t now_ms)
{
    struct watch_user *set = watch->users[uid % WATCH_SETS];
    struct watch_user *quiet = set;
    for (size_t i = 0; i < WATCH_WAYS; i++) {
        struct watch_user *user = &set[i];
        if (user->began_ms && user->uid == uid) {
            quiet = user;
            break;
        }
        if (user->seen_ms < quiet->seen_ms)
            quiet = user;
    }
    if (!quiet->began_ms || quiet->uid != uid || now_ms - quiet->began_ms >= watch->window_ms) {
        memset(quiet, 0, sizeof *quiet);
        quiet->uid = uid;
        quiet->began_ms = now_ms;
    }
    quiet->seen_ms = now_ms;
    return quiet;
}

uint32_t watch_add_name(struct watch_user *user, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = name; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    hash ^= hash >> 32;
    size_t bit = hash % WATCH_NAME_BITS;
    user->names[bit / 64] |= 1ull << (bit % 64);

    unsigned used = 0;
    for (size_t i = 0; i < WATCH_NAME_BITS / 64; i++)
        used += (unsigned)__builtin_popcountll(user->names[i]);
    double free_share = (double)(WATCH_NAME_BITS - used) / WATCH_NAME_BITS;
    if (free_share <= 0)
        return UINT32_MAX;
    return (uint32_t)lround(-WATCH_NAME_BITS * log(free_share));
}
