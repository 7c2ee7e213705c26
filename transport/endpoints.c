/* See endpoints.h. */
#include "transport/endpoints.h"

#include "transport/backoff.h"
#include "transport/link_message.h"

#include <errno.h>
#include <string.h>

int endpoints_init(struct endpoints *endpoints, const struct config_link *config,
                   const char **ret_fault)
{
    struct endpoints made = {.breaker_failures = (unsigned)config->breaker_failures,
                             .breaker_ms = config->breaker_time,
                             .changed = true};
    const char *cursor = config->url;
    char url[sizeof made.list[0].url];
    *ret_fault = "no address";
    while (config_list_next(&cursor, url, sizeof url)) {
        if (made.count == CONFIG_LINK_URLS_MAX) {
            *ret_fault = "too many addresses";
            return -EINVAL;
        }
        const char *fault = link_url_fault(url);
        if (fault) {
            *ret_fault = fault;
            return -EINVAL;
        }
        struct endpoint *endpoint = &made.list[made.count++];
        memcpy(endpoint->url, url, sizeof url);
        struct link_url_host host = {0};
        link_url_host(url, &host);
        endpoint->host = host;
        bool six = strchr(host.host, ':') != NULL;
        snprintf(endpoint->state.address, sizeof endpoint->state.address, "%s%s%s:%u",
                 six ? "[" : "", host.host, six ? "]" : "", host.port);
    }
    if (made.count == 0)
        return -EINVAL;
    *endpoints = made;
    return 0;
}

static bool endpoint_lets_through(const struct endpoint *endpoint, int64_t now_ms)
{
    return endpoint->open_until_ms == 0 ||
           (endpoint->open_until_ms <= now_ms && !endpoint->probing);
}

int endpoints_choose(struct endpoints *endpoints, uint32_t avoid, int64_t now_ms,
                     int64_t *ret_at_ms)
{
    int64_t at_ms = INT64_MAX;
    for (unsigned i = 0; i < endpoints->count; i++) {
        struct endpoint *endpoint = &endpoints->list[i];
        if (avoid & (1u << i))
            continue;
        if (endpoint_lets_through(endpoint, now_ms)) {
            endpoint->probing = endpoint->open_until_ms != 0;
            return (int)i;
        }
        /* Who probes now will have an outcome before long. */
        int64_t open_ms = endpoint->probing ? now_ms + BACKOFF_BASE_MS : endpoint->open_until_ms;
        at_ms = open_ms < at_ms ? open_ms : at_ms;
    }
    *ret_at_ms = at_ms;
    return -1;
}

void endpoint_succeeded(struct endpoints *endpoints, unsigned index)
{
    struct endpoint *endpoint = &endpoints->list[index];
    if (endpoint->open_until_ms != 0)
        endpoints->changed = true;
    endpoint->failures_in_row = 0;
    endpoint->open_until_ms = 0;
    endpoint->probing = false;
    endpoint->state.open = false;
    endpoint->state.answers++;
}

void endpoint_failed(struct endpoints *endpoints, unsigned index, enum link_failure failure,
                     const char *detail, int64_t now_ms, uint32_t random)
{
    struct endpoint *endpoint = &endpoints->list[index];
    bool probe = endpoint->probing;
    endpoint->probing = false;
    endpoint->failures_in_row++;
    endpoint->last_failure = failure;
    endpoint->state.failures[failure]++;
    snprintf(endpoint->state.last_failure, sizeof endpoint->state.last_failure, "%s", detail);
    if (endpoints->breaker_failures == 0)
        return;
    bool late = endpoint->open_until_ms != 0 && !probe; /* begun before the circuit opened */
    if (late || (!probe && endpoint->failures_in_row < endpoints->breaker_failures))
        return;
    endpoint->open_until_ms = now_ms + backoff_spread_ms(endpoints->breaker_ms, random);
    endpoint->state.open = true;
    endpoint->state.opened++;
    endpoints->changed = true;
}

void endpoint_released(struct endpoints *endpoints, unsigned index)
{
    endpoints->list[index].probing = false;
}

void endpoints_explain(const struct endpoints *endpoints, int64_t now_ms,
                       char detail[LINK_DETAIL_MAX], enum link_result *ret_result)
{
    const struct endpoint *endpoint = &endpoints->list[0];
    int64_t left_ms = endpoint->open_until_ms - now_ms;
    *ret_result = endpoint->last_failure == LINK_FAILED_TLS ? LINK_TLS_FAILED : LINK_UNREACHABLE;
    link_detail_set(detail,
                    "left alone after %u failures in a row, tried again in %lld ms; last: %s",
                    endpoint->failures_in_row, (long long)(left_ms > 0 ? left_ms : 0),
                    endpoint->state.last_failure);
}
