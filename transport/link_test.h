/*
 * One address of the link system, tried step by step for an operator (`kosekictl link test`): a
 * look-up, a range and a bounded part of a body, each on a connection of its own. The limits on
 * requests and bytes hold; circuits have no say here and hear nothing of it, so that a test can
 * neither be kept from an address that is left alone nor take one away from readers. What comes is
 * counted and thrown away.
 *
 * Thread rule: the loop thread.
 */
#ifndef TRANSPORT_LINK_TEST_H
#define TRANSPORT_LINK_TEST_H

#include "base/ipc.h"
#include "transport/link_exchange.h"

enum {
    LINK_TEST_REST_MAX = 64 * 1024,       /* bytes asked for by range */
    LINK_TEST_BODY_MAX = 8 * 1024 * 1024, /* bytes of the body that are measured */
    LINK_TEST_BODY_MS = 10 * 1000,        /* for so long, or low_speed_time if that is shorter */
};

enum link_test_stage { LINK_TEST_LOOKUP, LINK_TEST_REST, LINK_TEST_BODY, LINK_TEST_OVER };

struct link_test {
    CURLM *multi;
    const struct attempt_setting *setting;
    struct pace *requests, *bytes; /* the loop's */

    bool taken; /* the rest belongs to the test `id` */
    uint64_t id;
    unsigned endpoint;
    bool named;
    struct certname name;
    int64_t deadline_ms;
    enum link_test_stage stage;     /* what is under way or comes next; OVER: to be told */
    struct link_exchange *exchange; /* under way */
    uint64_t size, offset;
    struct link_validator validator;
    enum link_result result;
    unsigned told;
    struct link_step steps[LINK_STEP_COUNT];
};

/* Everything given must outlive the test. */
void link_test_init(struct link_test *test, CURLM *multi, const struct attempt_setting *setting,
                    struct pace *requests, struct pace *bytes);
/* Gives up what is under way; nobody is told. */
void link_test_abandon(struct link_test *test);

/* A LINK_TEST; every one gets one LINK_DONE on `mount_fd`. */
void link_test_take(struct link_test *test, int mount_fd, const struct ipc_message *message);
/* Begins the next exchange when the limits allow it; returns when to be called again, INT64_MAX:
 * not before something ended. */
int64_t link_test_go_on(struct link_test *test, int64_t now_ms);
/* True if the handle is ours; it is over then. */
bool link_test_ended(struct link_test *test, CURL *easy, CURLcode code);
/* Sends what was found, as far as the socket takes it. */
void link_test_tell(struct link_test *test, int mount_fd);

#endif
