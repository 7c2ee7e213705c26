/*
 * Three fixed shapes, each written as a template: a letter names the field whose digit or letter
 * stands there, anything else stands for itself. The name of the day is checked for being one, not
 * for being the right one: no meaning hangs on it.
 */
#include "transport/http_date.h"

#include "base/clock.h"

#include <string.h>

struct date_fields {
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    char month_name[4];
    size_t month_size;
};

static bool date_digit(char c, int *value)
{
    if (c < '0' || c > '9')
        return false;
    *value = *value * 10 + (c - '0');
    return true;
}

static bool date_match(const char *shape, const char *text, struct date_fields *fields)
{
    *fields = (struct date_fields){0};
    for (size_t i = 0; shape[i] != '\0'; i++) {
        bool fits;
        switch (shape[i]) {
        case 'Y':
            fits = date_digit(text[i], &fields->year);
            break;
        case 'D':
            fits = date_digit(text[i], &fields->day);
            break;
        case '_': /* asctime pads the day with a space */
            fits = text[i] == ' ' || date_digit(text[i], &fields->day);
            break;
        case 'h':
            fits = date_digit(text[i], &fields->hour);
            break;
        case 'm':
            fits = date_digit(text[i], &fields->minute);
            break;
        case 's':
            fits = date_digit(text[i], &fields->second);
            break;
        case 'M':
            fields->month_name[fields->month_size++] = text[i];
            fits = true;
            break;
        default:
            fits = text[i] == shape[i];
        }
        if (!fits)
            return false;
    }
    return true;
}

static bool date_month(struct date_fields *fields)
{
    static const char names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (int i = 0; i < 12; i++) {
        if (memcmp(names[i], fields->month_name, 3) == 0) {
            fields->month = i + 1;
            return true;
        }
    }
    return false;
}

/* Length of a leading name of a day, 0 if there is none. */
static size_t date_day_name(const char *text, size_t size, bool *ret_long)
{
    static const char *const names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t whole = strlen(names[i]);
        if (size > whole && memcmp(text, names[i], whole) == 0) {
            *ret_long = true;
            return whole;
        }
        if (size > 3 && memcmp(text, names[i], 3) == 0) {
            *ret_long = false;
            return 3;
        }
    }
    return 0;
}

bool http_date_parse(const char *text, size_t size, int64_t *ret_seconds)
{
    static const char imf_fixdate[] = ", DD MMM YYYY hh:mm:ss GMT";
    static const char rfc850[] = ", DD-MMM-YY hh:mm:ss GMT";
    static const char asctime_date[] = " MMM _D hh:mm:ss YYYY";

    bool day_is_long = false;
    size_t day_size = date_day_name(text, size, &day_is_long);
    if (day_size == 0)
        return false;
    text += day_size;
    size -= day_size;

    struct date_fields fields;
    bool fits = false;
    if (day_is_long) {
        fits = size == sizeof rfc850 - 1 && date_match(rfc850, text, &fields);
        if (fits) /* two digits: RFC 9110 wants the year that is at most 50 years ahead */
            fields.year += fields.year < 76 ? 2000 : 1900;
    } else if (size == sizeof imf_fixdate - 1) {
        fits = date_match(imf_fixdate, text, &fields);
    } else if (size == sizeof asctime_date - 1) {
        fits = date_match(asctime_date, text, &fields);
    }
    if (!fits || !date_month(&fields))
        return false;
    if (fields.second == 60) /* a leap second, which POSIX time does not count */
        fields.second = 59;
    return civil_to_seconds(fields.year, fields.month, fields.day, fields.hour, fields.minute,
                            fields.second, ret_seconds);
}
