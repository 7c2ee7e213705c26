/*
 * How requests, cancellations and events travel between kosekifs-mount and kosekifs-link. Both
 * sides take the other for hostile: what is read here satisfies every bound below and in
 * link_client.h, or is -EBADMSG.
 */
#ifndef TRANSPORT_LINK_MESSAGE_H
#define TRANSPORT_LINK_MESSAGE_H

#include "base/cleanup.h"
#include "base/ipc.h"
#include "transport/link_client.h"

#include <stdint.h>

enum link_message {
    LINK_REQUEST = 0x200, /* to link; for GET with the memory file */
    LINK_CANCEL,          /* to link; no payload */
    LINK_EVENT,           /* to mount */
    LINK_STATE,           /* to mount: of an address */
    LINK_LIST,            /* to link: struct link_list_request and a memory file */
    LINK_TEST,            /* to link: struct link_test_request */
    LINK_TEST_STEP,       /* to mount: of a test */
};

enum {
    LINK_TIMEOUT_MAX_MS = 60 * 60 * 1000,
    LINK_BODY_MAX = 1024 * 1024 * 1024,
    LINK_LIST_MAX = 32 * 1024 * 1024,          /* of a revocation list */
    LINK_RETRY_AFTER_MAX_S = 7 * 24 * 60 * 60, /* longer ones are cut to it */
};

struct link_list_request {
    char url[LINK_LIST_URL_MAX];
    uint32_t timeout_ms;
    uint32_t zero;
};

struct link_test_request {
    uint32_t endpoint;
    uint32_t timeout_ms;
    struct certname name; /* empty: none */
    uint8_t zero[3];
};
_Static_assert(sizeof(struct link_test_request) == 80, "no padding: it leaves the process");

_must_use_ int link_message_send_request(int fd, uint64_t id, const struct link_request *request,
                                         int memfd);
/* The memory file, if any, stays in the message. */
_must_use_ int link_message_read_request(const struct ipc_message *message,
                                         struct link_request *ret_request);

_must_use_ int link_message_send_event(int fd, const struct link_event *event);
_must_use_ int link_message_read_event(const struct ipc_message *message,
                                       struct link_event *ret_event);

/* Of address number `index`. */
_must_use_ int link_message_send_endpoint(int fd, unsigned index,
                                          const struct link_endpoint_state *state);

_must_use_ int link_message_send_step(int fd, uint64_t id, const struct link_step *step);

/* Copies a text for the operator, which may quote what the network sent: one line of visible
 * ASCII, the rest as '?'. */
void link_detail_set(char detail[LINK_DETAIL_MAX], const char *format, ...) _printf_(2, 3);

#endif
