/*
 * Everything after the year may be left out, from the end; nothing else may.
 */
#include "verify/pdf_date.h"

#include "base/clock.h"

static bool take_number(struct bytes *text, size_t digits, int *ret_number)
{
    int number = 0;

    if (text->size < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (text->data[i] < '0' || text->data[i] > '9')
            return false;
        number = number * 10 + (text->data[i] - '0');
    }
    *text = bytes_of(text->data + digits, text->size - digits);
    *ret_number = number;
    return true;
}

static bool take_char(struct bytes *text, uint8_t wanted)
{
    if (text->size == 0 || text->data[0] != wanted)
        return false;
    *text = bytes_of(text->data + 1, text->size - 1);
    return true;
}

/* O, HH ' and mm, the last apostrophe optional; nothing behind it. */
static bool take_zone(struct bytes *text, int *ret_minutes)
{
    int sign = 0, hours = 0, minutes = 0;

    if (take_char(text, '+'))
        sign = 1;
    else if (take_char(text, '-'))
        sign = -1;
    else if (!take_char(text, 'Z'))
        return false;
    if (sign != 0 || text->size) {
        if (!take_number(text, 2, &hours) || hours > 23)
            return false;
        if (text->size && !take_char(text, '\''))
            return false;
        if (text->size && (!take_number(text, 2, &minutes) || minutes > 59))
            return false;
        if (text->size && !take_char(text, '\''))
            return false;
    }
    if (sign == 0 && (hours || minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return text->size == 0;
}

bool pdf_date_parse(struct bytes text, struct pdf_date *ret_date)
{
    int parts[6] = {0, 1, 1, 0, 0, 0}, zone = 0;
    size_t count = 0;
    int64_t seconds;

    if (!take_char(&text, 'D') || !take_char(&text, ':') || !take_number(&text, 4, &parts[0]))
        return false;
    for (count = 1; count < 6 && text.size; count++) {
        if (!take_number(&text, 2, &parts[count]))
            return false;
    }
    if (text.size && (count < 6 || !take_zone(&text, &zone)))
        return false;
    if (!civil_to_seconds(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], &seconds))
        return false;
    *ret_date = (struct pdf_date){.complete = count == 6, .seconds = seconds - zone * 60};
    return true;
}
