/*
 * The neighbours of kosekifs-keys and what each may ask: kosekifs-mount generates, unwraps and
 * rewraps data keys, kosekifs-link has handshakes signed. Whoever asks for anything else is refused
 * and cut off.
 *
 * Thread rule: the process has one thread.
 */
#ifndef KEYS_SERVICE_H
#define KEYS_SERVICE_H

#include "base/cleanup.h"
#include "base/room.h"
#include "keys/key_set.h"
#include "keys/rate.h"

#include <poll.h>

enum { SERVICE_PEER_MAX = 16 };

struct service {
    const struct key_set *set; /* borrowed */
    struct rate signatures;
    uint64_t instance;
    struct keys_uses uses;
    struct keys_uses recorded; /* as kosekifs-mount says */
    unsigned peer_count;
    struct service_peer {
        struct room_peer who;
        int fd;
    } peers[SERVICE_PEER_MAX];
};

/* -EIO: no randomness. */
_must_use_ int service_init(struct service *service, const struct key_set *set, int64_t now_ms);
void service_done(struct service *service);

/* Takes `fd`. The same neighbour's former connection ends. -EPERM: not a neighbour that may ask
 * anything; -EMFILE: too many. */
_must_use_ int service_add(struct service *service, const struct room_peer *who, int fd);

/* Fills one entry a peer; returns their number. */
unsigned service_poll_set(const struct service *service, struct pollfd *ret_set);

/* Serves one message of each peer that is ready, as told by the set that service_poll_set() made.
 * No peer may be added between the two. */
void service_serve(struct service *service, const struct pollfd *set);

#endif
