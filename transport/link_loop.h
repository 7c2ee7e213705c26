/*
 * The one thread of kosekifs-link: descriptors of supervisor and kosekifs-mount, libcurl's, and
 * the times at which something is due, in one wait.
 */
#ifndef TRANSPORT_LINK_LOOP_H
#define TRANSPORT_LINK_LOOP_H

#include "base/cleanup.h"
#include "transport/endpoints.h"
#include "transport/link_setup.h"
#include "transport/sign_channel.h"
#include "transport/tls.h"

/* HEADs at one time, on connections of their own: a look-up never waits behind bodies. */
enum { LINK_HEADS_MAX = 16 };

struct link_loop;

/* Everything given must outlive the loop. NULL when libcurl or the limit on
 * descriptors gives nothing. */
struct link_loop *link_loop_new(const struct link_setup *setup, struct endpoints *endpoints,
                                struct tls *tls, struct sign_channel *channel);
struct link_loop *link_loop_free(struct link_loop *loop);

/* Runs until the supervisor closes ROOM_FD (0) or something fails that only a fresh process can
 * mend (negative errno). */
_must_use_ int link_loop_run(struct link_loop *loop);

static inline void cleanup_link_loop(struct link_loop **slot)
{
    link_loop_free(*slot);
}
#define _cleanup_link_loop_ _cleanup_(cleanup_link_loop)

#endif
