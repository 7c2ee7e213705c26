/*
 * HTTP-date (RFC 9110 5.6.7): the fixed form that is sent today and the two obsolete ones that a
 * recipient must still take.
 */
#ifndef TRANSPORT_HTTP_DATE_H
#define TRANSPORT_HTTP_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False, and ret_seconds untouched, if the text is not exactly such a date. */
bool http_date_parse(const char *text, size_t size, int64_t *ret_seconds);

#endif
