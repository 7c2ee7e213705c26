/*
 * kosekifs-mount's side of kosekifs-link: asks for HEAD and GET, hears the outcome. Requests never
 * wait: answers come as events on the same descriptor, in any order, one LINK_DONE per request.
 *
 * A GET writes into the memory file that came with the request, from offset 0, or behind what the
 * file holds already from an earlier try (`held`). kosekifs-link resumes cut transfers by itself
 * (Range + If-Range with a strong validator) until the deadline.
 * It checks: final status, Content-Length present, equal to what came, not above size_max; for 206
 * the Content-Range and an unchanged validator; no content coding; no redirect. It judges nothing
 * else.
 */
#ifndef TRANSPORT_LINK_CLIENT_H
#define TRANSPORT_LINK_CLIENT_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "transport/link_steps.h"

#include <stdbool.h>
#include <stdint.h>

enum { LINK_ETAG_MAX = 256, LINK_DETAIL_MAX = 200 };

/* How a request ended; each maps to one errno in fs/errno_table.c. */
enum link_result {
    LINK_OK = 0,
    LINK_NOT_FOUND,   /* 404 */
    LINK_GONE,        /* 410: provision period over */
    LINK_FORBIDDEN,   /* 401, 403: the link system refuses us */
    LINK_NOT_READY,   /* 202: still being prepared when the deadline came */
    LINK_BUSY,        /* 429, 503 until the deadline */
    LINK_UNREACHABLE, /* name, connect */
    LINK_TLS_FAILED,  /* handshake, certificate, pin */
    LINK_TIMED_OUT,   /* deadline */
    LINK_TOO_LARGE,   /* Content-Length or body above size_max */
    LINK_PROTOCOL,    /* HTTP that makes no sense */
    LINK_CHANGED,     /* the validator changed during the transfer or is not the expected one */
    LINK_CANCELLED,
    LINK_INTERNAL, /* memory, descriptor */
    LINK_RESULT_COUNT,
};

struct link_validator {
    char etag[LINK_ETAG_MAX]; /* as sent, with quotes; empty = none. Weak ones are kept as sent */
    int64_t last_modified_s;  /* 0 = none */
};

struct link_request {
    bool head; /* else GET */
    struct certname name;
    uint32_t timeout_ms;       /* from now, resuming included */
    uint32_t ready_timeout_ms; /* the same once the link system says that it prepares */
    uint64_t size_max;         /* GET: cap of the body */
    /* GET: what HEAD said; the transfer ends with LINK_CHANGED if the answer differs. An expected
     * validator with neither part, and size UINT64_MAX, expect nothing. */
    uint64_t expected_size;
    struct link_validator expected;
    /* Bytes in the memory file: the beginning of what `expected` names, which must be strong then,
     * and fewer than expected_size. */
    uint64_t held;
};

/* Why an address did not do: what the circuit breaker counts. */
enum link_failure {
    LINK_FAILED_NAME,    /* its name is not known */
    LINK_FAILED_CONNECT, /* refused, or nobody answers */
    LINK_FAILED_TLS,     /* handshake, certificate, pin */
    LINK_FAILED_HTTP,    /* connected, but no answer, or one that means "unavailable" */
    LINK_FAILURE_COUNT,
};

enum { LINK_ADDRESS_MAX = 264 };

/* How an address of the link system fares; sent when a circuit opens or closes, and once a second
 * while figures change. */
struct link_endpoint_state {
    char address[LINK_ADDRESS_MAX]; /* HOST:PORT */
    bool open;                      /* the circuit: nobody is sent there now */
    uint64_t answers;
    uint64_t failures[LINK_FAILURE_COUNT];
    uint64_t opened; /* how often the circuit opened */
    char last_failure[LINK_DETAIL_MAX];
};

enum link_event_kind {
    /* GET: bytes so far, at most ten times a second. Both: status 202 or another that means "being
     * prepared", with retry_after_s: asked again then. */
    LINK_PROGRESS,
    LINK_DONE,
    LINK_ENDPOINT, /* `endpoint`, number `id` of them */
    LINK_STEP,     /* `step` of a test; its LINK_DONE follows the last one */
};

struct link_event {
    enum link_event_kind kind;
    uint64_t id;
    enum link_result result;
    uint64_t size;          /* DONE with LINK_OK: of the certificate; PROGRESS: bytes received */
    uint32_t status;        /* last HTTP status; 0 = none came */
    uint32_t resumed;       /* how often the transfer was resumed */
    uint32_t retry_after_s; /* as the link system said; 0 = it did not */
    struct link_validator validator;
    int64_t date_s;               /* Last-Modified, else Date, else 0 */
    char detail[LINK_DETAIL_MAX]; /* one line for the operator: what went wrong */
    struct link_endpoint_state endpoint;
    struct link_step step;
};

/* Sends a request. memfd is for GET, else -1; it stays the caller's. -EAGAIN, -EPIPE as ipc_send().
 */
_must_use_ int link_client_request(int fd, uint64_t id, const struct link_request *request,
                                   int memfd);
/* Asks for a revocation list by HTTP; answered by one LINK_DONE. Returns as above. -EINVAL: the
 * address is too long. */
enum { LINK_LIST_URL_MAX = 256 };
_must_use_ int link_client_request_list(int fd, uint64_t id, const char *url, uint32_t timeout_ms,
                                        int memfd);
/* Has address number `endpoint` tried, one such test at a time; answered by a LINK_STEP for each
 * step and one LINK_DONE. Without a name (NULL) there is nothing to ask for, and it ends with the
 * handshake. Returns as above. */
_must_use_ int link_client_test(int fd, uint64_t id, unsigned endpoint, const struct certname *name,
                                uint32_t timeout_ms);
/* No answer but LINK_DONE with LINK_CANCELLED, unless another was already under way. */
_must_use_ int link_client_cancel(int fd, uint64_t id);
/* Receives one event; IPC_CLOSED, -EAGAIN, -EBADMSG as ipc_receive(); every field is checked. */
_must_use_ int link_client_receive(int fd, struct link_event *ret_event);

const char *link_result_text(enum link_result result);    /* "not-found", … */
const char *link_failure_text(enum link_failure failure); /* "name", … */

#endif
