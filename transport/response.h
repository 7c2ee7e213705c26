/*
 * What the link system answered, and what follows from it; no network in here. Header lines are
 * taken one by one as they come, from hostile hands; once the header is complete, the answer is
 * judged against what was asked. Names of headers and the meaning of each status are the profile's.
 */
#ifndef TRANSPORT_RESPONSE_H
#define TRANSPORT_RESPONSE_H

#include "base/crypto.h"
#include "transport/link_client.h"
#include "transport/link_profile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RESPONSE_LINES_MAX = 100,        /* header lines, those of 1xx answers before it too */
    RESPONSE_HEADER_MAX = 32 * 1024, /* their bytes */
    RESPONSE_DIGITS_MAX = 19,        /* of a length: all that fits into int64_t */
};

/* One answer under construction. Zeroed by response_init(); read only through these calls, but for
 * `status`. */
struct response {
    const struct link_profile *profile;
    bool http2;      /* may be: set behind response_init() */
    uint32_t status; /* 0 until a status line came */
    unsigned line_count;
    size_t header_size;
    uint32_t seen; /* which of the known headers came */
    uint64_t length;
    uint64_t range_first;
    uint64_t range_last;
    uint64_t range_total;
    bool range_unsatisfied;
    struct link_validator validator;
    int64_t date_s;
    int64_t retry_after_s;      /* delta-seconds */
    int64_t retry_after_date_s; /* or HTTP-date; 0 = none */
    bool coded;
    bool digest_known;
    uint8_t digest[SHA256_SIZE]; /* SHA-256 of the whole representation, as announced */
    char fault[LINK_DETAIL_MAX]; /* empty = makes sense so far */
};

/* The profile must outlive the response. */
void response_init(struct response *response, const struct link_profile *profile);

/* Takes one line with or without its CRLF. False once the header makes no sense: there is no need
 * to read on. */
bool response_add_line(struct response *response, const char *line, size_t size);

/* What was asked. */
struct response_question {
    bool head;
    uint64_t offset;                   /* first byte of our Range; 0 = no Range was sent */
    uint64_t held_size;                /* with Range: size of the representation held in part */
    const struct link_validator *held; /* with Range: its validator, the one in If-Range */
    uint64_t size_max;
    uint64_t expected_size; /* as in struct link_request */
    const struct link_validator *expected;
};

enum response_step {
    RESPONSE_END,         /* there is nothing more to get: `result` */
    RESPONSE_HEADERS,     /* HEAD answered: `result` is LINK_OK */
    RESPONSE_WHOLE,       /* the body follows from its first byte: throw away what is held */
    RESPONSE_REST,        /* the body follows from `offset` */
    RESPONSE_WAIT,        /* ask again later; `result` if the deadline comes before */
    RESPONSE_AFRESH,      /* ask again without Range: what is held is of no more use */
    RESPONSE_UNAVAILABLE, /* this address does not work now; `result` if none does */
};

struct response_judgement {
    enum response_step step;
    enum link_result result;
    uint64_t size; /* of the whole representation; HEADERS, WHOLE, REST */
    bool retry_after_known;
    uint32_t retry_after_s; /* at most LINK_RETRY_AFTER_MAX_S */
    char detail[LINK_DETAIL_MAX];
};

/* `now_s` serves a Retry-After date when the answer has no Date of its own. */
void response_judge(const struct response *response, const struct response_question *question,
                    int64_t now_s, struct response_judgement *ret_judgement);

/* Last-Modified, else Date, else 0. */
int64_t response_date(const struct response *response);

#endif
