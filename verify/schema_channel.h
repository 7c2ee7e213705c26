/*
 * kosekifs-verify's end of the connection to its XSD 1.1 process, which the supervisor starts and
 * replaces. A question about one document has SCHEMA_CHANNEL_MS, less than kosekifs-mount gives a
 * verification by default: without an answer in time the verdict stays undecided.
 *
 * Thread rule: one thread.
 */
#ifndef VERIFY_SCHEMA_CHANNEL_H
#define VERIFY_SCHEMA_CHANNEL_H

#include "verify/schema_hook.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SCHEMA_CHANNEL_MS = 8500,
    SCHEMA_CHANNEL_WAIT_MS = 5000, /* of those: for a process in place of one that ended, with its
                                      worker after a rejection, or by itself */
};

struct schema_channel {
    int fd; /* -1 = not there */
    uint64_t next_id;
    int64_t deadline_ms; /* of the document that is looked at */
    bool lost;           /* it was needed and not there, or ended: another one may answer */
    bool stuck;          /* it did not answer in time: it is to be ended */
    struct schema_hook hook;
};

void schema_channel_init(struct schema_channel *channel);
void schema_channel_done(struct schema_channel *channel);
/* Takes the connected socket. */
void schema_channel_connect(struct schema_channel *channel, int fd);
/* A new document. */
void schema_channel_begin(struct schema_channel *channel);
/* The same document again, after lost. */
void schema_channel_again(struct schema_channel *channel);

#endif
