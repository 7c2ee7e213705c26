/*
 * The address of certificates at a link system, a URL template: https://HOST[:PORT]/PATH with
 * {name} once in path or query, or {id} and {type} once each. http:// is well formed too; whether
 * it may be used is the configuration's business (section [waivers]).
 */
#ifndef BASE_LINK_URL_H
#define BASE_LINK_URL_H

#include "base/certname.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINK_URL_MAX = 1024, /* of an address made from a template, with NUL */
    LINK_URL_HOST_MAX = 254,
};

/* NULL if the template is well formed; else what is wrong, as a phrase that follows its name. */
const char *link_url_fault(const char *template);

struct link_url_host {
    char host[LINK_URL_HOST_MAX]; /* name or address, without the brackets of IPv6 */
    uint16_t port;
    bool plain; /* http: no encryption */
};
/* Of a template without fault. */
void link_url_host(const char *template, struct link_url_host *ret_host);

/* Puts the name in place of the variables. Names need no escaping: base/certname.h. The template
 * was found without fault; -ENAMETOOLONG otherwise. */
_must_use_ int link_url_build(const char *template, const struct certname *name,
                              char ret_url[LINK_URL_MAX]);

#endif
