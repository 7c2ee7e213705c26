/*
 * One HTTP exchange of a link test: on a connection of its own, by the rules of every other
 * exchange, and with everything noted that an operator may want to know of it. Its body is counted
 * and thrown away.
 *
 * Thread rule: the loop thread.
 */
#ifndef TRANSPORT_LINK_EXCHANGE_H
#define TRANSPORT_LINK_EXCHANGE_H

#include "transport/attempt.h"
#include "transport/link_steps.h"
#include "transport/pace.h"

#include <openssl/types.h>

enum { LINK_EXCHANGE_SUBJECT_MAX = 160 };

/* The server's certificates, or the one that was refused. */
struct link_peer {
    unsigned certificates;
    int64_t days_left; /* of the one that ends first */
    char subject[LINK_EXCHANGE_SUBJECT_MAX], issuer[LINK_EXCHANGE_SUBJECT_MAX];
    int fault; /* X509_V_ERR_*, of the certificate that was refused; 0 = none */
};

/* What is known when it is over; link_findings.c makes steps of it. */
struct link_facts {
    CURLcode code;
    char error[CURL_ERROR_SIZE];
    bool plain;        /* no TLS */
    bool connect_only; /* no request was to go out */
    bool connected;    /* TCP stands */
    bool sent;         /* connected, and with TLS: the request goes out */
    bool asked;        /* the server wanted our certificate */
    bool not_signed;   /* kosekifs-keys did not sign */
    const char *not_signed_reason;
    int64_t name_us, connect_us, tls_us, answer_us, total_us; /* each from the one before */
    char remote[80], local[80];                               /* ADDRESS:PORT; empty = none */
    char version[32], cipher[64];
    struct link_peer peer;
    int64_t arrived_s; /* our clock when the header was complete */
    uint32_t status;   /* 0 = no answer */
    int64_t date_s;    /* the answer's Date; 0 = none */
    bool judged;
    struct response_judgement judgement;
    struct link_validator validator;
    uint64_t wanted, received; /* bytes of the body */
    int64_t body_ms;           /* from its first byte to the last one taken */
};

struct link_exchange;

struct link_exchange_question {
    const struct certname *name; /* not looked at if: */
    bool connect_only;
    unsigned endpoint;
    bool head;
    uint64_t offset, size;             /* GET: with offset > 0 the rest of `size` bytes */
    const struct link_validator *held; /* of the answer to HEAD */
    uint64_t wanted;                   /* GET: bytes of the body that are enough */
    int64_t body_ms;                   /* … or the time that is */
    int64_t timeout_ms;
};

/* Ready for curl_multi_add_handle(). What `question` points to, `setting` and `bytes` (which is
 * told of the body) must outlive it. NULL: memory is short. */
struct link_exchange *link_exchange_new(const struct attempt_setting *setting, struct pace *bytes,
                                        const struct link_exchange_question *question);
/* The handle must be out of the multi handle. */
struct link_exchange *link_exchange_free(struct link_exchange *exchange);
CURL *link_exchange_handle(const struct link_exchange *exchange);

/* A name as RFC 4514 has it; whole days until notAfter, negative when it has passed. */
void link_describe_name(const X509_NAME *name, char out[LINK_EXCHANGE_SUBJECT_MAX]);
int64_t link_days_left(const X509 *certificate);

/* libcurl says it is over. */
void link_exchange_facts(struct link_exchange *exchange, CURLcode code,
                         struct link_facts *ret_facts);

#endif
