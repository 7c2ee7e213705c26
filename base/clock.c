/*
 * Calendar arithmetic of our own instead of gmtime(3) and timegm(3): those read the time zone
 * database, which sandboxed processes cannot, and accept dates that do not exist.
 */
#include "base/clock.h"

#include <assert.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 86400, SECOND_NS = 1000000000 };

static const int64_t year_0_s = -62167219200;
static const int64_t year_9999_end_s = 253402300799;

static struct timespec read_clock(clockid_t id)
{
    struct timespec now = {0};
    int r = clock_gettime(id, &now);
    assert(r == 0);
    (void)r;
    return now;
}

int64_t clock_monotonic_ms(void)
{
    /* Boot time also counts while the machine sleeps, so deadlines end when readers expect. */
    struct timespec now = read_clock(CLOCK_BOOTTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_realtime_ns(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

int64_t clock_realtime_s(void)
{
    return (int64_t)read_clock(CLOCK_REALTIME).tv_sec;
}

/* Days since 1970-01-01. Years are counted from March, so that the leap day ends the year; 400
 * years are 146,097 days. */
static int64_t civil_to_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void days_to_civil(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

static int64_t floor_divide(int64_t value, int64_t by)
{
    int64_t quotient = value / by;
    return value % by < 0 ? quotient - 1 : quotient;
}

/* Every record of the audit trail has a time: a fifth of what snprintf() takes. */
static char *put_digits(char *out, int value, int count, char behind)
{
    for (int i = count; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    out[count] = behind;
    return out + count + 1;
}

/* Without what ends it; returns where that goes. */
static char *format_seconds(int64_t seconds, char out[RFC3339_SIZE])
{
    int year, month, day;
    int64_t days = floor_divide(seconds, DAY_S);
    int of_day = (int)(seconds - days * DAY_S);
    days_to_civil(days, &year, &month, &day);
    out = put_digits(out, year, 4, '-');
    out = put_digits(out, month, 2, '-');
    out = put_digits(out, day, 2, 'T');
    out = put_digits(out, of_day / 3600, 2, ':');
    out = put_digits(out, of_day / 60 % 60, 2, ':');
    return put_digits(out, of_day % 60, 2, '\0') - 1;
}

static int64_t clamp(int64_t seconds)
{
    return seconds < year_0_s ? year_0_s : seconds > year_9999_end_s ? year_9999_end_s : seconds;
}

void rfc3339_format(int64_t seconds, char out[RFC3339_SIZE])
{
    memcpy(format_seconds(clamp(seconds), out), "Z", 2);
}

void rfc3339_format_ns(int64_t nanoseconds, char out[RFC3339_SIZE])
{
    /* 64 bits of nanoseconds reach from 1677 to 2262: nothing to clamp. */
    int64_t fraction = nanoseconds % SECOND_NS;
    if (fraction < 0)
        fraction += SECOND_NS;
    char *end = format_seconds(floor_divide(nanoseconds, SECOND_NS), out);
    *end = '.';
    *put_digits(end + 1, (int)fraction, 9, 'Z') = '\0';
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool civil_to_seconds(int year, int month, int day, int hour, int minute, int second,
                      int64_t *ret_seconds)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 0 || year > 9999 || month < 1 || month > 12 || day < 1)
        return false;
    if (day > month_days[month - 1] + (month == 2 && is_leap(year)))
        return false;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    *ret_seconds = civil_to_days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    return true;
}

/* The number in the digits that stand where `pattern` has '0'; other characters must be equal. */
static bool match_pattern(const char *text, const char *pattern, int numbers[], size_t count)
{
    size_t index = 0;
    bool in_number = false;
    memset(numbers, 0, count * sizeof numbers[0]);
    for (; *pattern; text++, pattern++) {
        if (*pattern != '0') {
            if (*text != *pattern)
                return false;
            index += in_number;
            in_number = false;
            continue;
        }
        if (*text < '0' || *text > '9')
            return false;
        numbers[index] = numbers[index] * 10 + (*text - '0');
        in_number = true;
    }
    return true;
}

bool rfc3339_parse(const char *text, int64_t *ret_seconds)
{
    int n[6];
    int offset[2];
    int64_t seconds;
    if (!match_pattern(text, "0000-00-00T00:00:00", n, 6) ||
        !civil_to_seconds(n[0], n[1], n[2], n[3], n[4], n[5], &seconds))
        return false;
    text += sizeof "0000-00-00T00:00:00" - 1;
    if (strcmp(text, "Z") == 0) {
        *ret_seconds = seconds;
        return true;
    }
    if ((*text != '+' && *text != '-') || strlen(text) != sizeof "+00:00" - 1 ||
        !match_pattern(text + 1, "00:00", offset, 2) || offset[0] > 23 || offset[1] > 59)
        return false;
    int64_t ahead = offset[0] * 3600 + offset[1] * 60;
    *ret_seconds = *text == '+' ? seconds - ahead : seconds + ahead;
    return true;
}
