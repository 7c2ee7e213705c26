/*
 * The bytes that a literal or hexadecimal string stands for (ISO 32000-1 7.3.4.2, 7.3.4.3).
 */
#include "verify/pdf_tree.h"

struct sink {
    uint8_t *out;
    size_t size, capacity;
    bool full;
};

static void put(struct sink *sink, int byte)
{
    if (sink->size == sink->capacity)
        sink->full = true;
    else
        sink->out[sink->size++] = (uint8_t)byte;
}

/* Up to three octal digits; high-order overflow is ignored, as the standard says. */
static int octal(struct bytes body, size_t *position)
{
    int value = 0;

    for (int digits = 0; digits < 3 && *position < body.size; digits++) {
        uint8_t byte = body.data[*position];
        if (byte < '0' || byte > '7')
            break;
        value = value * 8 + (byte - '0');
        (*position)++;
    }
    return value & 0xff;
}

static void put_escape(struct sink *sink, struct bytes body, size_t *position)
{
    static const char from[] = "nrtbf()\\", to[] = "\n\r\t\b\f()\\";
    uint8_t byte = body.data[*position];
    const char *found = byte ? strchr(from, byte) : NULL;

    if (byte >= '0' && byte <= '7') {
        put(sink, octal(body, position));
        return;
    }
    (*position)++;
    if (found) {
        put(sink, to[found - from]);
    } else if (byte == '\r') { /* a line break that is not part of the string */
        if (*position < body.size && body.data[*position] == '\n')
            (*position)++;
    } else if (byte != '\n') {
        put(sink, byte); /* a reverse solidus before anything else is ignored */
    }
}

static void put_literal(struct sink *sink, struct bytes body)
{
    for (size_t i = 0; i < body.size;) {
        uint8_t byte = body.data[i++];
        if (byte == '\\') {
            if (i < body.size)
                put_escape(sink, body, &i);
        } else if (byte == '\r') { /* any line break reads as a line feed */
            put(sink, '\n');
            if (i < body.size && body.data[i] == '\n')
                i++;
        } else {
            put(sink, byte);
        }
    }
}

static void put_hex(struct sink *sink, struct bytes body)
{
    int high = -1;

    for (size_t i = 0; i < body.size; i++) {
        int value = pdf_hex_value(body.data[i]);
        if (value < 0)
            continue; /* white space: the lexer let nothing else through */
        if (high < 0) {
            high = value;
        } else {
            put(sink, high << 4 | value);
            high = -1;
        }
    }
    if (high >= 0)
        put(sink, high << 4);
}

bool pdf_string(struct pdf_value value, uint8_t *out, size_t out_size, size_t *ret_size)
{
    struct sink sink = {.out = out, .capacity = out_size};

    if (!pdf_is(value, PDF_STRING) && !pdf_is(value, PDF_HEX))
        return false;
    struct bytes raw = pdf_raw(value);
    struct bytes body = bytes_of(raw.data + 1, raw.size - 2);
    if (pdf_is(value, PDF_STRING))
        put_literal(&sink, body);
    else
        put_hex(&sink, body);
    if (sink.full)
        return false;
    *ret_size = sink.size;
    return true;
}
