/*
 * The connection to kosekifs-mount: requests come in, events go out. Neither side can make this one
 * wait or grow: a full socket stops the reading of requests until the outcomes on hand are sent,
 * progress is dropped then, an outcome never.
 */
#ifndef TRANSPORT_MOUNT_CHANNEL_H
#define TRANSPORT_MOUNT_CHANNEL_H

#include "base/cleanup.h"
#include "transport/transfer_table.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    MOUNT_MESSAGES_MAX = 256, /* read in one go, so that the network gets its turn */
    MOUNT_PROGRESS_EVERY_MS = 100,
};

struct link_test;
struct list_gets;

struct mount_channel {
    struct list_gets *lists;   /* revocation lists that are asked for; not owned */
    struct link_test *test;    /* the one that operators have made; not owned */
    int fd;                    /* -1: kosekifs-mount is not there */
    bool refusing;             /* `refusal` waits to be sent */
    struct link_event refusal; /* outcome of a request that was never held */
};

void mount_channel_init(struct mount_channel *channel);
void mount_channel_done(struct mount_channel *channel);
/* Owns fd from here on. -EIO if it cannot be made non-blocking. */
_must_use_ int mount_channel_connect(struct mount_channel *channel, int fd);

/* What came in: transfers enter the table; `cancel` is called for those that are given up.
 * IPC_CLOSED: kosekifs-mount is gone. */
_must_use_ int mount_channel_read(struct mount_channel *channel, struct transfer_table *table,
                                  void (*cancel)(void *context, struct transfer *transfer),
                                  void *context);

/* Sends the outcomes of finished transfers, as many as the socket takes; frees them. */
void mount_channel_send_finished(struct mount_channel *channel, struct transfer_table *table);
/* Tells of progress now and then. */
void mount_channel_send_progress(struct mount_channel *channel, struct transfer *transfer,
                                 int64_t now_ms);

/* Tells that the link system is preparing it, and when it is asked again. */
void mount_channel_send_preparing(struct mount_channel *channel, const struct transfer *transfer);

/* What to wait for on the descriptor. */
bool mount_channel_wants_write(const struct mount_channel *channel,
                               const struct transfer_table *table);

#endif
