/*
 * The addresses of the link system, in order of preference, each with a circuit breaker: after
 * `breaker_failures` failures in a row the circuit is open, nobody is sent there for
 * `breaker_time`; then one request is let through (half open), whose outcome closes the circuit or
 * opens it again. A failure is what says that the address does not work: not its answers about a
 * certificate, nor a body cut in the middle.
 */
#ifndef TRANSPORT_ENDPOINTS_H
#define TRANSPORT_ENDPOINTS_H

#include "base/cleanup.h"
#include "base/config.h"
#include "base/link_url.h"
#include "transport/link_client.h"

#include <stdbool.h>
#include <stdint.h>

struct endpoint {
    char url[512]; /* template */
    struct link_url_host host;
    unsigned failures_in_row;
    int64_t open_until_ms; /* 0: closed */
    bool probing;          /* half open, and one is under way */
    enum link_failure last_failure;
    struct link_endpoint_state state; /* as kosekifs-mount is told */
};

struct endpoints {
    unsigned count;
    struct endpoint list[CONFIG_LINK_URLS_MAX];
    unsigned breaker_failures;
    int64_t breaker_ms;
    bool changed; /* a state that is worth telling; the reader clears it */
};

/* -EINVAL with the template in ret_fault_url if one has a fault, or there is none. */
_must_use_ int endpoints_init(struct endpoints *endpoints, const struct config_link *config,
                              const char **ret_fault);

/* The first address that is not in the bit mask `avoid` and whose circuit lets a request through; a
 * half-open one is taken by this request. -1: none; *ret_at_ms is when one may be tried again
 * (INT64_MAX: only those to be avoided are left). */
int endpoints_choose(struct endpoints *endpoints, uint32_t avoid, int64_t now_ms,
                     int64_t *ret_at_ms);

/* What became of a request that endpoints_choose() let through: exactly one of these. */
void endpoint_succeeded(struct endpoints *endpoints, unsigned index);
void endpoint_failed(struct endpoints *endpoints, unsigned index, enum link_failure failure,
                     const char *detail, int64_t now_ms, uint32_t random);
void endpoint_released(struct endpoints *endpoints, unsigned index); /* nothing was learnt */

/* Why none was to be had, for the one who asked. */
void endpoints_explain(const struct endpoints *endpoints, int64_t now_ms,
                       char detail[LINK_DETAIL_MAX], enum link_result *ret_result);

#endif
