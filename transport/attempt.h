/*
 * One HTTP exchange for a transfer, as libcurl runs it: from transfer_question() to an
 * attempt_outcome. All that libcurl must and must not do is set here.
 */
#ifndef TRANSPORT_ATTEMPT_H
#define TRANSPORT_ATTEMPT_H

#include "base/cleanup.h"
#include "transport/endpoints.h"
#include "transport/link_setup.h"
#include "transport/response.h"
#include "transport/tls.h"
#include "transport/transfer.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    ATTEMPT_DISCARD_MAX = 64 * 1024, /* of a body nobody wants, to keep the connection */
};

/* What all exchanges share; outlives them. */
struct attempt_setting {
    const struct config_link *config;
    const struct link_profile *profile;
    const struct endpoints *endpoints;
    struct curl_slist *resolve; /* names that the configuration knows */
    struct tls *tls;
    struct sign_channel *channel;
    CURLSH *share; /* TLS sessions */
    /* To the loop, whose `context` is: new bytes; attempt_stalled() is to be asked at that time. */
    void (*progress)(void *context, struct transfer *transfer, size_t size);
    void (*due)(void *context, int64_t at_ms);
    void *context;
};

struct attempt {
    const struct attempt_setting *setting;
    struct transfer *transfer;
    CURL *easy;
    struct curl_slist *headers;
    struct response response;
    struct response_question question;
    struct response_judgement judgement;
    bool judged;
    bool sent; /* connected: the request is on its way */
    int write_error;
    uint64_t received;
    uint64_t discarded;
    uint64_t sign_failures; /* of the channel, when this began */
    uint64_t signatures;    /* likewise */
    int64_t window_end_ms;  /* stall: end of the window of low_speed_time, 0 = not connected yet */
    uint64_t window_bytes;  /* arrived in it */
    char error[CURL_ERROR_SIZE];
};

/* Makes transfer->attempt at transfer->endpoint, ready for curl_multi_add_handle(). -ENOMEM or
 * -EINVAL. */
_must_use_ int attempt_new(const struct attempt_setting *setting, struct transfer *transfer,
                           int64_t now_ms);
/* The handle must be out of the multi handle. */
struct attempt *attempt_free(struct attempt *attempt);

/* What each handle must and must not do, whatever is asked with it: also for link_test.c. */
_must_use_ CURLcode attempt_set_surroundings(const struct attempt_setting *setting,
                                             const struct endpoint *endpoint, CURL *easy);

_must_use_ CURLcode attempt_set_method(CURL *easy, enum link_method method);

/* The list for attempt_setting.resolve; *ret_list is NULL if there is nothing in it. -ENOMEM. */
_must_use_ int attempt_resolve_list(const struct config_link *config,
                                    const struct endpoints *endpoints,
                                    struct curl_slist **ret_list);

/* libcurl says it is over. */
void attempt_outcome(const struct attempt *attempt, CURLcode code,
                     struct attempt_outcome *ret_outcome);

/* When attempt_stalled() should be asked next; INT64_MAX while connecting. */
int64_t attempt_stall_due_ms(const struct attempt *attempt);
/* True if fewer bytes came than low_speed_bytes a second during the last low_speed_time; the
 * outcome says so then. */
bool attempt_stalled(struct attempt *attempt, int64_t now_ms, struct attempt_outcome *ret_outcome);

#endif
