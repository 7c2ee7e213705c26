/*
 * The address of a certificate, from the URL template of the configuration.
 */
#ifndef TRANSPORT_REQUEST_URL_H
#define TRANSPORT_REQUEST_URL_H

#include "base/certname.h"
#include "base/cleanup.h"

#include <stddef.h>

enum { REQUEST_URL_MAX = 1024 }; /* with NUL */

/* NULL if the template is an https URL of a host with {name} once in its path or query; else what
 * is wrong with it, in words. */
const char *request_url_fault(const char *template);

/* Puts the name in place of {name}. Names need no escaping: base/certname.h. The template was
 * found without fault; -ENAMETOOLONG otherwise. */
_must_use_ int request_url_build(const char *template, const struct certname *name,
                                 char ret_url[REQUEST_URL_MAX]);

#endif
