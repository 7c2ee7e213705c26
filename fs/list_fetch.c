/* See fs/list_fetch.h. */
#include "fs/list_fetch.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/memfd.h"
#include "fs/revocation.h"

#include <string.h>

enum {
    RETRY_FIRST_MS = 10 * 1000,
    RETRY_OLD_MS = 5 * 60 * 1000, /* at most, while the list there gets old */
    SOONEST_MS = 60 * 1000,
    NOT_ALLOWED_MS = 24 * 60 * 60 * 1000,
    GRACE_MS = 5000, /* kosekifs-link ends each request at its deadline by itself */
};

void list_fetches_init(struct list_fetches *fetches, const struct config_crl *config)
{
    char url[SIGNER_URL_MAX];
    *fetches = (struct list_fetches){.config = config};
    for (const char *list = config->urls; config_list_next(&list, url, sizeof url);)
        list_fetches_add(fetches, url);
}

void list_fetches_done(struct list_fetches *fetches)
{
    for (size_t i = 0; i < fetches->count; i++)
        cleanup_close(&fetches->list[i].memfd);
    fetches->count = 0;
}

void list_fetches_add(struct list_fetches *fetches, const char *url)
{
    for (size_t i = 0; i < fetches->count; i++) {
        if (strcmp(fetches->list[i].url, url) == 0)
            return;
    }
    if (fetches->count == LIST_FETCH_MAX || strlen(url) >= SIGNER_URL_MAX)
        return;
    struct list_fetch *fetch = &fetches->list[fetches->count++];
    *fetch = (struct list_fetch){.memfd = -1};
    memcpy(fetch->url, url, strlen(url));
}

void list_fetches_hurry(struct list_fetches *fetches, int64_t now_ms)
{
    for (size_t i = 0; i < fetches->count; i++)
        fetches->list[i].due_ms = now_ms;
}

/* A tenth more or less, so that link servers do not come all at once. */
static int64_t jitter(int64_t time_ms)
{
    uint32_t random = 0;
    if (random_bytes(&random, sizeof random) < 0)
        return time_ms;
    return time_ms - time_ms / 10 + (int64_t)(random % 1000) * time_ms / 5000;
}

void list_fetches_plan(struct list_fetches *fetches, const char *source,
                       const struct crl_info *info, int64_t now_s, int64_t now_ms)
{
    for (size_t i = 0; i < fetches->count; i++) {
        struct list_fetch *fetch = &fetches->list[i];
        if (strcmp(fetch->url, source) != 0)
            continue;
        int64_t wait_ms = (revocation_aging_s(info) - now_s) * 1000;
        if (wait_ms < SOONEST_MS)
            wait_ms = fetch->failures ? RETRY_OLD_MS : SOONEST_MS;
        if (now_ms + wait_ms < fetch->due_ms)
            fetch->due_ms = now_ms + jitter(wait_ms);
    }
}

static void fail(struct list_fetches *fetches, struct list_fetch *fetch, const char *text,
                 int64_t wait_ms, int64_t now_ms)
{
    unsigned doublings = fetch->failures < 16 ? fetch->failures : 16;
    int64_t backoff_ms = (int64_t)RETRY_FIRST_MS << doublings;
    if (backoff_ms > fetches->config->refresh)
        backoff_ms = fetches->config->refresh;
    fetch->failures++;
    fetch->due_ms = now_ms + jitter(wait_ms ? wait_ms : backoff_ms);
    snprintf(fetch->text, sizeof fetch->text, "%s", text);
}

static void stop(struct list_fetch *fetch)
{
    cleanup_close(&fetch->memfd);
    fetch->memfd = -1;
    fetch->until_ms = 0;
}

static void send_one(struct list_fetches *fetches, size_t index, int link_fd, int64_t now_s,
                     int64_t now_ms)
{
    struct list_fetch *fetch = &fetches->list[index];
    int r = memfd_new("revocation list", &fetch->memfd);
    if (r == 0) {
        fetches->serial++;
        r = link_client_request_list(link_fd,
                                     LIST_FETCH_ID + fetches->serial * LIST_FETCH_MAX + index,
                                     fetch->url, (uint32_t)fetches->config->timeout, fetch->memfd);
    }
    fetch->asked_s = now_s;
    fetch->until_ms = now_ms + fetches->config->timeout + GRACE_MS;
    if (r < 0) {
        stop(fetch);
        fail(fetches, fetch, strerror(-r), 0, now_ms);
    }
}

int64_t list_fetches_send(struct list_fetches *fetches, int link_fd, int64_t now_s, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < fetches->count; i++) {
        struct list_fetch *fetch = &fetches->list[i];
        if (fetch->until_ms && fetch->until_ms <= now_ms) { /* a link that was replaced forgot it */
            stop(fetch);
            fail(fetches, fetch, "no answer came", 0, now_ms);
        }
        if (!fetch->until_ms && fetch->due_ms <= now_ms && link_fd >= 0)
            send_one(fetches, i, link_fd, now_s, now_ms);
        int64_t at_ms = fetch->until_ms ? fetch->until_ms : fetch->due_ms;
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    return next_ms;
}

struct list_fetch *list_fetches_ended(struct list_fetches *fetches, const struct link_event *event,
                                      int64_t now_s, int64_t now_ms)
{
    struct list_fetch *fetch = &fetches->list[event->id % LIST_FETCH_MAX];
    if (event->id % LIST_FETCH_MAX >= fetches->count || !fetch->until_ms ||
        (event->id - LIST_FETCH_ID) / LIST_FETCH_MAX > fetches->serial)
        return NULL;
    if (event->result == LINK_OK) {
        fetch->until_ms = 0;
        fetch->failures = 0;
        fetch->succeeded_s = now_s;
        fetch->text[0] = '\0';
        fetch->due_ms = now_ms + jitter(fetches->config->refresh);
        return fetch;
    }
    stop(fetch);
    fail(fetches, fetch, event->detail, event->result == LINK_FORBIDDEN ? NOT_ALLOWED_MS : 0,
         now_ms);
    return NULL;
}
