/*
 * Validators of a representation (RFC 9110 8.8): is an entity tag well formed, does it allow byte
 * ranges of two answers to be put together, and do two answers speak of the same version?
 */
#ifndef TRANSPORT_VALIDATOR_H
#define TRANSPORT_VALIDATOR_H

#include "transport/link_client.h"

#include <stdbool.h>

/* The last second of the year 9999: beyond it RFC 3339 and HTTP have no dates. */
#define LINK_TIME_MAX_S INT64_C(253402300799)

/* entity-tag of RFC 9110 8.8.3, narrowed to visible ASCII; the text must end within its array. */
bool validator_etag_valid(const char *etag);

/* An entity tag that is not weak. Last-Modified never counts: a second is long enough for two
 * versions (RFC 9110 8.8.2.2). */
bool validator_is_strong(const struct link_validator *validator);

/* True if `got` is what `expected` asks for. An empty `expected` asks for nothing; a strong entity
 * tag decides alone, since link systems behind a balancer may differ in their file dates. */
bool validator_agrees(const struct link_validator *expected, const struct link_validator *got);

#endif
