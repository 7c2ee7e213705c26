/*
 * The forms of values in the access policy, one reader each. Inside the reading of the policy only:
 * names are resolved through NSS.
 *
 * Each returns NULL, or what is wrong with the value: a text for people, in `why` or constant.
 * Outputs are untouched then, lists keep what was read before the mistake.
 */
#ifndef FS_ACCESS_POLICY_VALUE_H
#define FS_ACCESS_POLICY_VALUE_H

#include "fs/access_policy.h"

enum { POLICY_WHY_SIZE = 200 };

/* The next word of a list, words being separated by blanks and commas; NULL at the end. Over-long
 * words come out cut to out_size - 1 and match nothing. */
const char *policy_value_word(const char **cursor, char *out, size_t out_size);

/* Users and @groups, appended. */
const char *policy_value_subjects(const char *value, struct access_subjects *subjects,
                                  char why[POLICY_WHY_SIZE]);
/* Patterns for request ids, appended. */
const char *policy_value_patterns(const char *value, struct access_affair *affair,
                                  char why[POLICY_WHY_SIZE]);
const char *policy_value_formats(const char *value, uint32_t *ret_formats);
/* "mon-fri 08:00-20:00 sat,sun 10:00-12:00", appended. */
const char *policy_value_hours(const char *value, struct access_affair *affair);
/* "+09:00" */
const char *policy_value_utc_offset(const char *value, int32_t *ret_seconds);
/* A date, midnight in local time (*ret_local), or RFC 3339. `end`: of a date, the end of the day.
 */
const char *policy_value_time(const char *value, bool end, int64_t *ret_seconds, bool *ret_local);
const char *policy_value_number(const char *value, uint32_t most, uint32_t *ret_number);
/* Not empty, UTF-8, shorter than `size`. */
const char *policy_value_text(const char *value, char *out, size_t size);
/* Commands of the control socket, appended. */
const char *policy_value_commands(const char *value, struct access_policy *policy);
/* none, backup, or where allowed reader. */
const char *policy_value_as(const char *value, bool reader_allowed, uint32_t *ret_as);

#endif
