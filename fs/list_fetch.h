/*
 * When which revocation list is fetched: the addresses of section [crl] and those that certificates
 * on signers' paths name. Each is fetched once an interval with jitter, sooner when the list from
 * there gets old, and after a failure again at growing intervals. kosekifs-link says which hosts
 * are allowed; an address that is not is left alone for a day.
 *
 * Thread rule: the owner's lock.
 */
#ifndef FS_LIST_FETCH_H
#define FS_LIST_FETCH_H

#include "base/cleanup.h"
#include "base/config.h"
#include "base/crl.h"
#include "base/signer.h"
#include "transport/link_client.h"

#include <stdbool.h>
#include <stdint.h>

enum { LIST_FETCH_MAX = 32 };

/* Ids of such requests; those of certificates count from 1. */
#define LIST_FETCH_ID ((uint64_t)1 << 62)

struct list_fetch {
    char url[SIGNER_URL_MAX];
    int64_t due_ms;             /* monotonic */
    int64_t until_ms;           /* when it is given up; 0 = not under way */
    int memfd;                  /* of what is under way; -1 */
    unsigned failures;          /* in a row */
    int64_t asked_s;            /* wall clock; 0 = never */
    int64_t succeeded_s;        /* 0 = never */
    char text[LINK_DETAIL_MAX]; /* of the last failure; empty */
};

struct list_fetches {
    const struct config_crl *config;
    uint64_t serial;
    struct list_fetch list[LIST_FETCH_MAX];
    size_t count;
};

void list_fetches_init(struct list_fetches *fetches, const struct config_crl *config);
void list_fetches_done(struct list_fetches *fetches);

/* An address more, due at once, unless it is there. */
void list_fetches_add(struct list_fetches *fetches, const char *url);
/* All are due now. */
void list_fetches_hurry(struct list_fetches *fetches, int64_t now_ms);
/* The list from there is this: sooner, if it gets old before the next fetch. */
void list_fetches_plan(struct list_fetches *fetches, const char *source,
                       const struct crl_info *info, int64_t now_s, int64_t now_ms);

/* Sends what is due; the link may be absent (-1). Returns when it is next, monotonic. */
int64_t list_fetches_send(struct list_fetches *fetches, int link_fd, int64_t now_s, int64_t now_ms);
/* The outcome of a request; the one it belongs to, with its memory file to be read if it is
 * LINK_OK, or NULL. */
struct list_fetch *list_fetches_ended(struct list_fetches *fetches, const struct link_event *event,
                                      int64_t now_s, int64_t now_ms);

#endif
