/*
 * One request of kosekifs-mount in the life of kosekifs-link.
 *
 *   1. READY     may start as soon as a connection is free for its kind
 *   2. ACTIVE    an HTTP exchange is under way (attempt.h)
 *   3. WAITING   for `resume_at_ms`: after a cut, or because the link system asked us to wait
 *   4. FINISHED  the event waits to be sent; then the transfer is freed
 *
 * From 2 it goes on to 3 and from there to 1 until it ends well, for good, or by its deadline,
 * which runs in every state. Everything that is decided between two exchanges is decided here,
 * without a network.
 */
#ifndef TRANSPORT_TRANSFER_H
#define TRANSPORT_TRANSFER_H

#include "base/cleanup.h"
#include "transport/backoff.h"
#include "transport/link_client.h"
#include "transport/response.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRANSFER_QUICK_TRIES = 3,        /* for a link system that cannot be reached at all */
    TRANSFER_WAIT_DEFAULT_MS = 1000, /* when it asks us to wait and does not say how long */
    TRANSFER_WAIT_MIN_MS = 200,
    TRANSFER_WAIT_MAX_MS = 30 * 1000,
};

enum transfer_state { TRANSFER_READY, TRANSFER_ACTIVE, TRANSFER_WAITING, TRANSFER_FINISHED };

struct attempt;

struct transfer {
    uint64_t id;
    struct link_request request;
    int memfd; /* of a GET; owned */
    enum transfer_state state;
    int64_t begun_ms;
    int64_t deadline_ms;
    int64_t resume_at_ms;
    uint64_t arrival; /* place in the order of arrival */

    struct attempt *attempt; /* while ACTIVE; owned */
    uint64_t written;        /* bytes of the body held, from offset 0 */
    uint64_t size;           /* of the representation, once an answer said so */
    bool size_known;
    struct link_validator held; /* validator of what is held */
    bool digest_known;
    uint8_t digest[SHA256_SIZE]; /* of the representation, as an answer announced it */
    int64_t held_date_s;         /* its date: a 206 need not repeat it */
    struct backoff backoff;
    uint32_t tried;            /* bit mask of addresses that failed in this round */
    unsigned endpoint;         /* of the attempt that is under way */
    unsigned connect_failures; /* rounds in which no address did */
    unsigned digest_failures;
    bool preparing; /* the link system has it made; told to kosekifs-mount */
    unsigned resumed;
    enum link_result deadline_result; /* what it is called when the deadline comes */
    char deadline_detail[LINK_DETAIL_MAX];
    int64_t progress_told_ms;

    struct link_event event; /* DONE under construction; sent when FINISHED */

    /* Of transfer_table.c. */
    struct transfer *bucket_next;
    struct transfer *queue_next;
};

/* How an exchange ended. */
enum attempt_end {
    ATTEMPT_JUDGED,      /* an answer came to its end, or was left for its judgement's sake */
    ATTEMPT_CUT,         /* the connection broke or stalled after the request was sent */
    ATTEMPT_UNRESOLVED,  /* the name is not known */
    ATTEMPT_UNREACHABLE, /* connect */
    ATTEMPT_HANDSHAKE,   /* TLS broke off; another try may do better */
    ATTEMPT_DISTRUSTED,  /* the peer is not the one we trust; no try will do better */
    ATTEMPT_UNSIGNED,    /* kosekifs-keys did not sign */
    ATTEMPT_NONSENSE,    /* not HTTP */
    ATTEMPT_INTERNAL,
};

struct attempt_outcome {
    enum attempt_end end;
    uint32_t status;   /* 0 = no answer came */
    uint64_t received; /* bytes of the body added by this exchange */
    int error;         /* INTERNAL: negative errno */
    int64_t date_s;
    struct link_validator validator;
    bool digest_wrong;                   /* the body is complete and not what was announced */
    struct response_judgement judgement; /* JUDGED; CUT after a judgement: as far as it came */
    char detail[LINK_DETAIL_MAX];        /* other ends */
};

/* Owns memfd from here on, also when memory is short (NULL). `now_ms` is monotonic. */
struct transfer *transfer_new(uint64_t id, const struct link_request *request, int memfd,
                              int64_t now_ms);
struct transfer *transfer_free(struct transfer *transfer);

/* 0 if fd may take a body: a memory file without seals, open for reading and writing, that holds
 * `held` bytes; else -EPERM. */
_must_use_ int transfer_check_memfd(int fd, uint64_t held);

/* True if the next exchange should ask for the rest only. */
bool transfer_has_rest(const struct transfer *transfer);
/* The question the next exchange puts; it points into the transfer. */
void transfer_question(const struct transfer *transfer, struct response_question *ret_question);

/* A body begins, from its first byte (`size` bytes in all) or from where the last one stopped. */
_must_use_ int transfer_begin_body(struct transfer *transfer, bool whole, uint64_t size,
                                   const struct response *response);
/* The digest of what is held, if one was announced and all is there: false if it differs. */
bool transfer_digest_agrees(const struct transfer *transfer);
/* Bytes of the body; never beyond its size. */
_must_use_ int transfer_write(struct transfer *transfer, const void *data, size_t size);

struct transfer_limits {
    unsigned resume_max;
    unsigned endpoints; /* how many addresses there are */
};

/* An exchange ended: WAITING or FINISHED after this. */
void transfer_conclude(struct transfer *transfer, const struct attempt_outcome *outcome,
                       const struct transfer_limits *limits, int64_t now_ms, uint32_t random);
/* No address lets a request through before `at_ms`: WAITING if the line was there a moment ago,
 * else FINISHED. */
void transfer_hold(struct transfer *transfer, enum link_result result, const char *detail,
                   int64_t at_ms);
/* The deadline came, whatever the state; an exchange under way was broken off. */
void transfer_expire(struct transfer *transfer);
/* FINISHED with this result. */
void transfer_finish(struct transfer *transfer, enum link_result result, const char *detail);

#endif
