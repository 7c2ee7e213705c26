/* Values of the access policy; docs/access-policy.md describes their forms. */
#include "fs/access_policy_value.h"

#include "base/clock.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

enum {
    NSS_BUFFER_FIRST = 16 * 1024,
    NSS_BUFFER_MAX = 4 * 1024 * 1024, /* a group with some 200,000 members */
};

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

const char *policy_value_word(const char **cursor, char *out, size_t out_size)
{
    const char *c = *cursor;
    while (is_separator(*c))
        c++;
    if (*c == '\0')
        return NULL;
    size_t used = 0;
    for (; *c && !is_separator(*c); c++) {
        if (used < out_size - 1)
            out[used++] = *c;
    }
    out[used] = '\0';
    *cursor = c;
    return out;
}

/* 1: found, 0: there is none, or a negative errno. */
static int resolve(const char *name, bool group, uint32_t *ret_id)
{
    for (size_t size = NSS_BUFFER_FIRST; size <= NSS_BUFFER_MAX; size *= 4) {
        _cleanup_free_ char *buffer = malloc(size);
        if (!buffer)
            return -ENOMEM;
        int error;
        if (group) {
            struct group entry, *found = NULL;
            error = getgrnam_r(name, &entry, buffer, size, &found);
            if (found) {
                *ret_id = found->gr_gid;
                return 1;
            }
        } else {
            struct passwd entry, *found = NULL;
            error = getpwnam_r(name, &entry, buffer, size, &found);
            if (found) {
                *ret_id = found->pw_uid;
                return 1;
            }
        }
        /* NSS modules say "not there" in all of these ways: getpwnam(3). */
        if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM)
            return 0;
        if (error != ERANGE)
            return -error;
    }
    return -ERANGE;
}

/* As chown(1): what is no name but a number is the number. */
static bool number_of(const char *text, uint32_t *ret_number)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9')
            return false;
        value = value * 10 + (uint64_t)(*c - '0');
        if (value > UINT32_MAX - 1) /* (uid_t)-1 is nobody's */
            return false;
    }
    *ret_number = (uint32_t)value;
    return true;
}

const char *policy_value_subjects(const char *value, struct access_subjects *subjects,
                                  char why[POLICY_WHY_SIZE])
{
    char word[ACCESS_USER_SIZE + 2];
    const char *cursor = value;
    while (policy_value_word(&cursor, word, sizeof word)) {
        struct access_subject subject = {.is_group = word[0] == '@'};
        const char *name = word + subject.is_group;
        if (strlen(name) >= ACCESS_USER_SIZE || *name == '\0') {
            snprintf(why, POLICY_WHY_SIZE, "\"%s\" is no name of a user or @group", word);
            return why;
        }
        const char *what = subject.is_group ? "group" : "user";
        int r = resolve(name, subject.is_group, &subject.id);
        if (r == 0 && !number_of(name, &subject.id)) {
            snprintf(why, POLICY_WHY_SIZE, "there is no %s \"%s\"", what, name);
            return why;
        }
        if (r < 0) {
            snprintf(why, POLICY_WHY_SIZE, "%s \"%s\" cannot be looked up: %s", what, name,
                     strerror(-r));
            return why;
        }
        for (uint32_t i = 0; i < subjects->count; i++) {
            if (subjects->list[i].id == subject.id &&
                subjects->list[i].is_group == subject.is_group) {
                snprintf(why, POLICY_WHY_SIZE, "%s \"%s\" is there twice", what, name);
                return why;
            }
        }
        if (subjects->count == ACCESS_SUBJECTS_MAX)
            return "too many users and groups: make a group of them";
        memcpy(subject.name, name, strlen(name) + 1);
        subjects->list[subjects->count++] = subject;
    }
    return NULL;
}

static bool pattern_ok(const char *pattern)
{
    unsigned stars = 0;
    bool open = false;
    for (const char *c = pattern; *c; c++) {
        bool word = (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
                    (*c >= '0' && *c <= '9') || *c == '_' || *c == '-';
        if (*c == '[') {
            if (open || c[1] == ']' || (c[1] == '!' && c[2] == ']'))
                return false;
            open = true;
        } else if (*c == ']') {
            if (!open)
                return false;
            open = false;
        } else if (*c == '!') {
            if (!open || c[-1] != '[')
                return false;
        } else if (*c == '*' || *c == '?') {
            if (open)
                return false;
            stars += *c == '*';
        } else if (!word) {
            return false;
        }
    }
    return !open && stars <= ACCESS_STARS_MAX;
}

const char *policy_value_patterns(const char *value, struct access_affair *affair,
                                  char why[POLICY_WHY_SIZE])
{
    char word[ACCESS_PATTERN_SIZE + 1];
    const char *cursor = value;
    while (policy_value_word(&cursor, word, sizeof word)) {
        if (strlen(word) >= ACCESS_PATTERN_SIZE || !pattern_ok(word)) {
            snprintf(why, POLICY_WHY_SIZE,
                     "\"%s\" is no pattern: A-Z a-z 0-9 _ - with ? [a-z] [!a-z] and at most %d *",
                     word, ACCESS_STARS_MAX);
            return why;
        }
        if (affair->pattern_count == ACCESS_PATTERNS_MAX)
            return "too many patterns: make another affair";
        memcpy(affair->patterns[affair->pattern_count++], word, strlen(word) + 1);
    }
    return NULL;
}

const char *policy_value_formats(const char *value, uint32_t *ret_formats)
{
    char word[8];
    uint32_t formats = 0;
    const char *cursor = value;
    while (policy_value_word(&cursor, word, sizeof word)) {
        if (strcmp(word, "pdf") == 0)
            formats |= 1u << CERTFORMAT_PDF;
        else if (strcmp(word, "xml") == 0)
            formats |= 1u << CERTFORMAT_XML;
        else
            return "formats are pdf and xml";
    }
    if (formats == 0)
        return "formats are pdf and xml";
    *ret_formats = formats;
    return NULL;
}

/* "08:30", up to 24:00; moves *text behind it. */
static bool minute_of_day(const char **text, uint16_t *ret_minute)
{
    const char *t = *text;
    for (int i = 0; i < 5; i++) {
        if (i == 2 ? t[i] != ':' : t[i] < '0' || t[i] > '9')
            return false;
    }
    unsigned hour = (unsigned)(t[0] - '0') * 10 + (unsigned)(t[1] - '0');
    unsigned minute = (unsigned)(t[3] - '0') * 10 + (unsigned)(t[4] - '0');
    if (minute > 59 || hour * 60 + minute > ACCESS_MINUTES_PER_DAY)
        return false;
    *ret_minute = (uint16_t)(hour * 60 + minute);
    *text = t + 5;
    return true;
}

static int day_of(const char *text)
{
    static const char days[][4] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    for (int i = 0; i < 7; i++) {
        if (strncmp(text, days[i], 3) == 0)
            return i;
    }
    return -1;
}

/* "daily", "mon", "mon-fri", "mon,wed,fri-sun"; 0 if it is not that. */
static uint8_t days_of(const char *text)
{
    if (strcmp(text, "daily") == 0)
        return 0x7f;
    unsigned days = 0;
    for (;;) {
        int first = day_of(text);
        if (first < 0)
            return 0;
        text += 3;
        int last = first;
        if (*text == '-') {
            last = day_of(text + 1);
            if (last < first)
                return 0;
            text += 4;
        }
        for (int day = first; day <= last; day++)
            days |= 1u << day;
        if (*text == '\0')
            return (uint8_t)days;
        if (*text++ != ',')
            return 0;
    }
}

/* Unlike in other lists a comma belongs to the word here. */
static bool hours_word(const char **cursor, char *out, size_t out_size)
{
    const char *c = *cursor + strspn(*cursor, " \t");
    size_t size = strcspn(c, " \t");
    if (size == 0 || size >= out_size)
        return false;
    memcpy(out, c, size);
    out[size] = '\0';
    *cursor = c + size;
    return true;
}

const char *policy_value_hours(const char *value, struct access_affair *affair)
{
    const char *cursor = value;
    while (cursor[strspn(cursor, " \t")]) {
        char days[40], span[16];
        struct access_window window;
        if (!hours_word(&cursor, days, sizeof days) || !hours_word(&cursor, span, sizeof span))
            return "hours are written as in \"mon-fri 08:00-20:00 sat,sun 10:00-12:00\"";
        window.days = days_of(days);
        if (window.days == 0)
            return "days are mon tue wed thu fri sat sun, mon-fri, mon,wed or daily";
        const char *text = span;
        if (!minute_of_day(&text, &window.begin) || *text++ != '-' ||
            !minute_of_day(&text, &window.end) || *text)
            return "times are written as in 08:00-20:00";
        if (window.begin >= window.end)
            return "hours end before they begin: past midnight, write 22:00-24:00 and, for the "
                   "next day, 00:00-06:00";
        if (affair->window_count == ACCESS_WINDOWS_MAX)
            return "too many hours";
        affair->windows[affair->window_count++] = window;
    }
    return NULL;
}

const char *policy_value_utc_offset(const char *value, int32_t *ret_seconds)
{
    const char *text = value + 1;
    uint16_t minutes;
    if ((value[0] != '+' && value[0] != '-') || !minute_of_day(&text, &minutes) || *text ||
        minutes > 14 * 60)
        return "an offset from UTC is written as in +09:00";
    int32_t seconds = (int32_t)minutes * 60;
    *ret_seconds = value[0] == '-' ? -seconds : seconds;
    return NULL;
}

const char *policy_value_time(const char *value, bool end, int64_t *ret_seconds, bool *ret_local)
{
    if (rfc3339_parse(value, ret_seconds)) {
        *ret_local = false;
        return NULL;
    }
    int year, month, day, used = 0;
    int64_t seconds;
    if (strlen(value) != 10 || strspn(value, "0123456789-") != 10 || value[4] != '-' ||
        value[7] != '-' || sscanf(value, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 ||
        used != 10 || !civil_to_seconds(year, month, day, 0, 0, 0, &seconds))
        return "a time is a date such as 2026-04-01 or RFC 3339 such as 2026-04-01T09:00:00+09:00";
    *ret_seconds = end ? seconds + 24 * 3600 : seconds;
    *ret_local = true;
    return NULL;
}

const char *policy_value_number(const char *value, uint32_t most, uint32_t *ret_number)
{
    uint32_t number;
    if (!number_of(value, &number) || number == 0 || number > most)
        return "not a number in the range allowed";
    *ret_number = number;
    return NULL;
}

/* RFC 3629: no surrogates, no over-long forms. */
static bool utf8_ok(const char *text)
{
    const uint8_t *c = (const uint8_t *)text;
    while (*c) {
        unsigned more = *c < 0x80 ? 0 : *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : 1;
        if ((*c >= 0x80 && *c < 0xc2) || *c > 0xf4)
            return false;
        if ((*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] > 0x9f) ||
            (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] > 0x8f))
            return false;
        for (unsigned i = 1; i <= more; i++) {
            if ((c[i] & 0xc0) != 0x80)
                return false;
        }
        c += more + 1;
    }
    return true;
}

const char *policy_value_text(const char *value, char *out, size_t size)
{
    size_t length = strlen(value);
    if (length == 0)
        return "is empty";
    if (length >= size)
        return "is too long";
    if (!utf8_ok(value))
        return "is not UTF-8";
    memcpy(out, value, length + 1);
    return NULL;
}

const char *policy_value_commands(const char *value, struct access_policy *policy)
{
    char word[ACCESS_COMMAND_SIZE + 1];
    const char *cursor = value;
    while (policy_value_word(&cursor, word, sizeof word)) {
        size_t length = strlen(word);
        if (length >= ACCESS_COMMAND_SIZE || strspn(word, "abcdefghijklmnopqrstuvwxyz-") != length)
            return "a command is written in small letters";
        if (policy->command_count == ACCESS_COMMANDS_MAX)
            return "too many commands";
        memcpy(policy->second_person[policy->command_count++], word, length + 1);
    }
    return NULL;
}

const char *policy_value_as(const char *value, bool reader_allowed, uint32_t *ret_as)
{
    if (strcmp(value, "none") == 0)
        *ret_as = ACCESS_AS_NONE;
    else if (strcmp(value, "backup") == 0)
        *ret_as = ACCESS_AS_BACKUP;
    else if (strcmp(value, "reader") == 0 && reader_allowed)
        *ret_as = ACCESS_AS_READER;
    else
        return reader_allowed ? "is none, backup or reader" : "is none or backup";
    return NULL;
}
