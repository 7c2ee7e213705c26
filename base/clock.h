/*
 * Time: a monotonic clock for deadlines, the wall clock for records, and RFC 3339 text in UTC.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since boot; never goes back. */
int64_t clock_monotonic_ms(void);
/* Nanoseconds since 1970, UTC. */
int64_t clock_realtime_ns(void);
int64_t clock_realtime_s(void);

enum { RFC3339_SIZE = sizeof "2026-01-01T00:00:00.000000000Z" };
/* Seconds as "2026-01-01T00:00:00Z"; years 0 to 9999, others are clamped. */
void rfc3339_format(int64_t seconds, char out[RFC3339_SIZE]);
/* With nine digits of a second. */
void rfc3339_format_ns(int64_t nanoseconds, char out[RFC3339_SIZE]);
/* "2026-01-01T00:00:00Z" or with an offset such as +09:00; false if it is not exactly that. */
bool rfc3339_parse(const char *text, int64_t *ret_seconds);
/* Seconds since 1970 of a date and time in the proleptic Gregorian calendar; false if there is no
 * such date or time (30 February, 24:00). */
bool civil_to_seconds(int year, int month, int day, int hour, int minute, int second,
                      int64_t *ret_seconds);

#endif
