/* See digest_header.h. Members are separated by commas; neither form has commas inside one. */
#include "transport/digest_header.h"

#include <string.h>
#include <strings.h>

enum { BASE64_SIZE = 44 }; /* of 32 bytes, with one '=' */

static int digit_of(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(alphabet, c) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

/* 43 digits and '='; the two bits that are left over must be zero, so that a digest has one form
 * only. */
static bool decode(const char *text, uint8_t ret_digest[SHA256_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    uint32_t bits = 0;
    unsigned held = 0, used = 0;
    if (text[BASE64_SIZE - 1] != '=')
        return false;
    for (unsigned i = 0; i < BASE64_SIZE - 1; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            digest[used++] = (uint8_t)(bits >> held);
        }
    }
    if (bits & ((1u << held) - 1))
        return false;
    memcpy(ret_digest, digest, sizeof digest);
    return true;
}

static enum digest_outcome parse_member(const char *member, size_t size, enum digest_form form,
                                        uint8_t ret_digest[SHA256_SIZE])
{
    static const char name[] = "sha-256=";
    while (size > 0 && (*member == ' ' || *member == '\t')) {
        member++;
        size--;
    }
    while (size > 0 && (member[size - 1] == ' ' || member[size - 1] == '\t'))
        size--;
    if (size < sizeof name - 1 || strncasecmp(member, name, sizeof name - 1) != 0)
        return DIGEST_NONE;
    member += sizeof name - 1;
    size -= sizeof name - 1;
    if (form == DIGEST_REPR) {
        if (size != BASE64_SIZE + 2 || member[0] != ':' || member[size - 1] != ':')
            return DIGEST_MALFORMED;
        member++;
        size -= 2;
    }
    return size == BASE64_SIZE && decode(member, ret_digest) ? DIGEST_GIVEN : DIGEST_MALFORMED;
}

enum digest_outcome digest_header_parse(const char *value, size_t size, enum digest_form form,
                                        uint8_t ret_digest[SHA256_SIZE])
{
    const char *end = value + size;
    while (value < end) {
        const char *comma = memchr(value, ',', (size_t)(end - value));
        const char *stop = comma ? comma : end;
        enum digest_outcome outcome = parse_member(value, (size_t)(stop - value), form, ret_digest);
        if (outcome != DIGEST_NONE)
            return outcome;
        value = comma ? comma + 1 : end;
    }
    return DIGEST_NONE;
}
