/*
 * The link profile: what of the conversation with a link system is the site's to say, since the
 * interface specification is the Minister's. Methods, header names and the meaning of status codes;
 * the addresses are [link] url's. Framing and ranges are HTTP's own and no matter of profiles.
 *
 * The supervisor reads it once, from a file of [section] and key = value lines; kosekifs-link gets
 * it as it is. docs/link-protocol.md specifies the default and the file.
 */
#ifndef TRANSPORT_LINK_PROFILE_H
#define TRANSPORT_LINK_PROFILE_H

#include "base/cleanup.h"
#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LINK_PROFILE_TITLE_MAX = 64,
    LINK_PROFILE_HEADERS_MAX = 8, /* constant ones in our requests */
    LINK_PROFILE_HEADER_MAX = 256,
    LINK_PROFILE_NAME_MAX = 48,
    LINK_PROFILE_STATUS_MAX = 599,
};

enum link_method { LINK_METHOD_HEAD, LINK_METHOD_GET, LINK_METHOD_POST, LINK_METHOD_COUNT };

/* What a status other than 200 and 206 means. */
enum link_meaning {
    LINK_MEANS_NOTHING = 0, /* an answer that makes no sense */
    LINK_MEANS_NOT_FOUND,
    LINK_MEANS_GONE,
    LINK_MEANS_FORBIDDEN,
    LINK_MEANS_NOT_READY,   /* being prepared: ask again */
    LINK_MEANS_BUSY,        /* ask again later */
    LINK_MEANS_UNAVAILABLE, /* this address does not work now: try another, or again */
    LINK_MEANS_COUNT,
};

/* Headers of answers whose names a profile may choose. */
enum link_header {
    LINK_HEADER_ETAG,
    LINK_HEADER_LAST_MODIFIED,
    LINK_HEADER_DATE,
    LINK_HEADER_RETRY_AFTER,
    LINK_HEADER_REPR_DIGEST, /* of the form of RFC 9530 */
    LINK_HEADER_DIGEST,      /* of the form of RFC 3230 */
    LINK_HEADER_COUNT,
};

struct link_profile {
    char title[LINK_PROFILE_TITLE_MAX]; /* for the status: "default", or as the file says */
    uint8_t lookup;                     /* enum link_method */
    uint8_t fetch;                      /* GET or POST */
    uint8_t header_count;
    char headers[LINK_PROFILE_HEADERS_MAX][LINK_PROFILE_HEADER_MAX]; /* "Name: value" */
    char names[LINK_HEADER_COUNT][LINK_PROFILE_NAME_MAX];
    uint8_t meanings[LINK_PROFILE_STATUS_MAX + 1]; /* enum link_meaning, by status */
};

void link_profile_default(struct link_profile *ret_profile);

/* Reads the file over the default. Every mistake is reported; -EINVAL then, or another negative
 * errno if the file cannot be read (reported too). */
_must_use_ int link_profile_read(const char *path, config_report *report, void *context,
                                 struct link_profile *ret_profile);

/* True if the profile could have come from link_profile_read(). */
bool link_profile_valid(const struct link_profile *profile);

const char *link_method_text(enum link_method method);

#endif
