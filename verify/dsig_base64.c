/*
 * Base64 of RFC 4648 in the form that XML Schema allows (white space between characters). A second
 * text for the same bytes would be a document that differs from the signed one without any check
 * seeing it; so only one is accepted, white space aside.
 */
#include "verify/dsig_parts.h"

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int dsig_base64(const char *text, struct buffer *out)
{
    uint32_t bits = 0;
    unsigned count = 0, padding = 0;

    for (; *text; text++) {
        if (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r')
            continue;
        int value = *text == '=' ? 0 : sextet(*text);
        if (value < 0 || (padding > 0 && *text != '='))
            return -EBADMSG;
        padding += *text == '=';
        bits = (bits << 6) | (uint32_t)value;
        if (++count % 4 != 0)
            continue;
        if (padding > 2 || (bits & ((1U << (8 * padding)) - 1)) != 0)
            return -EBADMSG;
        uint8_t octets[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        int r = buffer_append(out, octets, 3 - padding);
        if (r < 0)
            return r;
        bits = 0;
        if (padding > 0) {
            /* Only white space may follow. */
            text++;
            return text[strspn(text, " \t\r\n")] == '\0' ? 0 : -EBADMSG;
        }
    }
    return count % 4 == 0 && padding == 0 ? 0 : -EBADMSG;
}
