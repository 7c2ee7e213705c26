/* Questions that the policy answers by itself, and the check of one that comes in a message. */
#include "fs/access_policy.h"

#include <string.h>

enum { SECONDS_PER_DAY = 24 * 3600, UTC_OFFSET_MAX_S = 14 * 3600 };

static bool class_match(const char **pattern, char c)
{
    const char *p = *pattern + 1;
    bool negated = *p == '!';
    if (negated)
        p++;
    bool found = false;
    for (; *p && *p != ']'; p++) {
        if (p[1] == '-' && p[2] && p[2] != ']') {
            found |= *p <= c && c <= p[2];
            p += 2;
        } else {
            found |= *p == c;
        }
    }
    *pattern = *p ? p + 1 : p;
    return found != negated;
}

/* The stars' number is bounded by the reading of the policy; going back to the last star only keeps
 * the work below pattern times id. */
bool access_pattern_match(const char *pattern, const char *id, size_t id_size)
{
    const char *end = id + id_size;
    const char *star = NULL, *star_id = NULL;
    while (id < end) {
        const char *next = pattern + 1;
        bool match;
        if (*pattern == '*') {
            star = ++pattern;
            star_id = id;
            continue;
        } else if (*pattern == '[') {
            next = pattern;
            match = class_match(&next, *id);
        } else {
            match = *pattern && (*pattern == '?' || *pattern == *id);
        }
        if (match) {
            pattern = next;
            id++;
        } else if (star) {
            pattern = star;
            id = ++star_id;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

int64_t access_policy_day(const struct access_policy *policy, int64_t now_s)
{
    return floor_divide(now_s + policy->utc_offset_s, SECONDS_PER_DAY);
}

bool access_affair_in_hours(const struct access_policy *policy, const struct access_affair *affair,
                            int64_t now_s)
{
    if (affair->window_count == 0)
        return true;
    int64_t day = access_policy_day(policy, now_s);
    int64_t minute = (now_s + policy->utc_offset_s - day * SECONDS_PER_DAY) / 60;
    int64_t weekday = (day + 3) - floor_divide(day + 3, 7) * 7; /* 1970-01-01 was a Thursday */
    for (uint32_t i = 0; i < affair->window_count; i++) {
        const struct access_window *window = &affair->windows[i];
        if ((window->days >> weekday & 1) && window->begin <= minute && minute < window->end)
            return true;
    }
    return false;
}

static bool text_ok(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool subjects_ok(const struct access_subjects *subjects)
{
    if (subjects->count > ACCESS_SUBJECTS_MAX)
        return false;
    for (uint32_t i = 0; i < subjects->count; i++) {
        const struct access_subject *subject = &subjects->list[i];
        if (subject->is_group > 1 || !text_ok(subject->name, sizeof subject->name))
            return false;
    }
    return true;
}

static bool affair_ok(const struct access_affair *affair)
{
    if (!text_ok(affair->name, sizeof affair->name) || affair->name[0] == '\0' ||
        !text_ok(affair->purpose, sizeof affair->purpose) || !subjects_ok(&affair->readers) ||
        affair->pattern_count > ACCESS_PATTERNS_MAX || affair->window_count > ACCESS_WINDOWS_MAX ||
        affair->opens_per_day > ACCESS_OPENS_MAX || affair->keep_days > ACCESS_KEEP_DAYS_MAX)
        return false;
    for (uint32_t i = 0; i < affair->pattern_count; i++) {
        if (!text_ok(affair->patterns[i], sizeof affair->patterns[i]))
            return false;
    }
    for (uint32_t i = 0; i < affair->window_count; i++) {
        if (affair->windows[i].end > ACCESS_MINUTES_PER_DAY)
            return false;
    }
    return true;
}

bool access_policy_valid(const struct access_policy *policy)
{
    if (!text_ok(policy->version, sizeof policy->version) ||
        policy->utc_offset_s > UTC_OFFSET_MAX_S || policy->utc_offset_s < -UTC_OFFSET_MAX_S ||
        policy->root_as > ACCESS_AS_READER || policy->scanner_as > ACCESS_AS_BACKUP ||
        !subjects_ok(&policy->backup) || !subjects_ok(&policy->scanner) ||
        policy->command_count > ACCESS_COMMANDS_MAX || policy->affair_count > ACCESS_AFFAIRS_MAX)
        return false;
    for (size_t i = 0; i < ACCESS_CONTROL_COUNT; i++) {
        if (!subjects_ok(&policy->control[i]))
            return false;
    }
    for (uint32_t i = 0; i < policy->command_count; i++) {
        if (!text_ok(policy->second_person[i], sizeof policy->second_person[i]))
            return false;
    }
    for (uint32_t i = 0; i < policy->affair_count; i++) {
        if (!affair_ok(&policy->affairs[i]))
            return false;
    }
    return true;
}
