/*
 * UTF-8 and UTF-16 are decoded here, by the letter: overlong forms, surrogates (CESU-8) and
 * characters that XML 1.0 forbids are found before any library sees them.
 */
#include "verify/xml_encoding.h"

#include <iconv.h>

enum xml_family xml_family_of(struct bytes document, size_t *ret_mark_size)
{
    static const struct {
        uint8_t bytes[4];
        uint8_t size, mark_size;
        enum xml_family family;
    } starts[] = {
        /* UTF-32 first: its little-endian mark begins like that of UTF-16. */
        {{0xff, 0xfe, 0, 0}, 4, 4, XML_FAMILY_UTF32_LE},
        {{0, 0, 0xfe, 0xff}, 4, 4, XML_FAMILY_UTF32_BE},
        {{'<', 0, 0, 0}, 4, 0, XML_FAMILY_UTF32_LE},
        {{0, 0, 0, '<'}, 4, 0, XML_FAMILY_UTF32_BE},
        {{0xef, 0xbb, 0xbf, 0}, 3, 3, XML_FAMILY_UTF8},
        {{0xff, 0xfe, 0, 0}, 2, 2, XML_FAMILY_UTF16_LE},
        {{0xfe, 0xff, 0, 0}, 2, 2, XML_FAMILY_UTF16_BE},
        {{'<', 0, 0, 0}, 2, 0, XML_FAMILY_UTF16_LE},
        {{0, '<', 0, 0}, 2, 0, XML_FAMILY_UTF16_BE},
        {{'<', 0, 0, 0}, 1, 0, XML_FAMILY_UTF8},
    };

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (document.size >= starts[i].size &&
            memcmp(document.data, starts[i].bytes, starts[i].size) == 0) {
            *ret_mark_size = starts[i].mark_size;
            return starts[i].family;
        }
    }
    /* White space may come first if there is no declaration; whatever else is not markup fails as
     * UTF-8 or as text outside the document element. */
    *ret_mark_size = 0;
    return XML_FAMILY_UTF8;
}

static bool is_xml_char(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xd7ff) ||
           (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

/* The length of the sequence at `p`, 0 if it is none. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    size_t size = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                  : p[0] >= 0xe0 && p[0] <= 0xef ? 3
                  : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                 : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (size == 0 || size > left)
        return 0;
    uint32_t c = p[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = (c << 6) | (p[i] & 0x3fU);
    }
    return c >= least[size] && is_xml_char(c) ? size : 0;
}

size_t xml_utf8_check(struct bytes text)
{
    size_t i = 0;

    while (i < text.size) {
        uint8_t octet = text.data[i];
        if (octet < 0x80) {
            if (!is_xml_char(octet))
                return i;
            i++;
            continue;
        }
        size_t size = utf8_sequence(text.data + i, text.size - i);
        if (size == 0)
            return i;
        i += size;
    }
    return i;
}

static size_t utf8_encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | (c >> 6));
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | (c >> 12));
        out[1] = (uint8_t)(0x80 | ((c >> 6) & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | (c >> 18));
    out[1] = (uint8_t)(0x80 | ((c >> 12) & 0x3f));
    out[2] = (uint8_t)(0x80 | ((c >> 6) & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static uint32_t utf16_unit(const uint8_t *p, bool big_endian)
{
    return big_endian ? (uint32_t)((p[0] << 8) | p[1]) : (uint32_t)((p[1] << 8) | p[0]);
}

int xml_utf16_convert(struct bytes text, bool big_endian, struct buffer *out)
{
    if (text.size % 2 != 0)
        return -EILSEQ;
    for (size_t i = 0; i < text.size; i += 2) {
        uint8_t octets[4];
        uint32_t c = utf16_unit(text.data + i, big_endian);
        if (c >= 0xdc00 && c <= 0xdfff)
            return -EILSEQ;
        if (c >= 0xd800 && c <= 0xdbff) {
            uint32_t low = text.size - i >= 4 ? utf16_unit(text.data + i + 2, big_endian) : 0;
            if (low < 0xdc00 || low > 0xdfff)
                return -EILSEQ;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        }
        int r = buffer_append(out, octets, utf8_encode(c, octets));
        if (r < 0)
            return r;
    }
    return 0;
}

/* glibc loads the tables of a character set from disk when it is first opened, and a verify worker
 * can't open files. A descriptor kept open keeps its table in memory. */
static struct {
    const char *name;
    iconv_t kept;
} charsets[] = {
    {.name = "SHIFT_JIS"},  {.name = "WINDOWS-31J"}, {.name = "CP932"},
    {.name = "EUC-JP"},     {.name = "ISO-2022-JP"}, {.name = "US-ASCII"},
    {.name = "ISO-8859-1"}, {.name = "UTF-32LE"},    {.name = "UTF-32BE"},
};

void xml_charsets_load(void)
{
    for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++)
        charsets[i].kept = iconv_open("UTF-8", charsets[i].name);
}

bool xml_charset_known(const char *charset)
{
    for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++)
        if (strcmp(charset, charsets[i].name) == 0)
            return true;
    return false;
}

static bool charset_loaded(const char *charset)
{
    for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++)
        if (strcmp(charset, charsets[i].name) == 0)
            return charsets[i].kept && charsets[i].kept != (iconv_t)-1;
    return false;
}

static int charset_convert_open(iconv_t descriptor, struct bytes text, struct buffer *out)
{
    char block[4096];
    /* iconv's input pointer is not const, but iconv does not write through it. */
    union {
        const uint8_t *in;
        char *iconv_in;
    } next = {.in = text.data};
    size_t left = text.size;

    while (left > 0) {
        char *to = block;
        size_t room = sizeof block;
        size_t converted = iconv(descriptor, &next.iconv_in, &left, &to, &room);
        int r = buffer_append(out, block, sizeof block - room);
        if (r < 0)
            return r;
        /* A positive count means characters without a counterpart were replaced. */
        if (converted == (size_t)-1 ? errno != E2BIG : converted > 0)
            return -EILSEQ;
    }
    return 0;
}

int xml_charset_convert(struct bytes text, const char *charset, struct buffer *out)
{
    if (!charset_loaded(charset))
        return -EOPNOTSUPP;
    iconv_t descriptor = iconv_open("UTF-8", charset);
    if (descriptor == (iconv_t)-1)
        return errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
    int r = charset_convert_open(descriptor, text, out);
    iconv_close(descriptor);
    return r;
}
