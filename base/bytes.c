/*
 * Growing buffers, bounds-checked reading, hexadecimal text. Every sum of lengths is compared by
 * subtraction from a ceiling, so none can wrap.
 */
#include "base/bytes.h"

#include <assert.h>

enum { BUFFER_FIRST_CAPACITY = 256 };

void buffer_init(struct buffer *buffer, size_t ceiling)
{
    *buffer = (struct buffer){.ceiling = ceiling};
}

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.ceiling = buffer->ceiling};
}

static int buffer_reserve(struct buffer *buffer, size_t more)
{
    assert(buffer->size <= buffer->ceiling);
    if (more > buffer->ceiling - buffer->size)
        return -EMSGSIZE;
    size_t needed = buffer->size + more;
    if (needed <= buffer->capacity)
        return 0;

    size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_FIRST_CAPACITY;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    if (capacity > buffer->ceiling)
        capacity = buffer->ceiling;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    int r = buffer_reserve(buffer, size);
    if (r < 0)
        return r;
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return 0;
}

int buffer_append_u8(struct buffer *buffer, uint8_t value)
{
    return buffer_append(buffer, &value, sizeof value);
}

int buffer_append_be16(struct buffer *buffer, uint16_t value)
{
    uint8_t encoded[2];
    be16_put(encoded, value);
    return buffer_append(buffer, encoded, sizeof encoded);
}

int buffer_append_be32(struct buffer *buffer, uint32_t value)
{
    uint8_t encoded[4];
    be32_put(encoded, value);
    return buffer_append(buffer, encoded, sizeof encoded);
}

int buffer_append_be64(struct buffer *buffer, uint64_t value)
{
    uint8_t encoded[8];
    be64_put(encoded, value);
    return buffer_append(buffer, encoded, sizeof encoded);
}

int buffer_append_text(struct buffer *buffer, const char *text)
{
    size_t size = strlen(text);
    if (size > UINT16_MAX)
        return -EMSGSIZE;
    /* Reserved in one step, so that a failure leaves no length without its text. */
    int r = buffer_reserve(buffer, 2 + size);
    if (r < 0)
        return r;
    be16_put(buffer->data + buffer->size, (uint16_t)size);
    memcpy(buffer->data + buffer->size + 2, text, size);
    buffer->size += 2 + size;
    return 0;
}

void reader_init(struct reader *reader, struct bytes source)
{
    *reader = (struct reader){.next = source.data, .left = source.size};
}

struct bytes reader_view(struct reader *reader, size_t size)
{
    if (reader->failed || size > reader->left) {
        reader->failed = true;
        return bytes_of(NULL, 0);
    }
    struct bytes view = bytes_of(reader->next, size);
    if (size > 0)
        reader->next += size;
    reader->left -= size;
    return view;
}

void reader_copy(struct reader *reader, void *out, size_t size)
{
    if (size == 0)
        return;
    struct bytes view = reader_view(reader, size);
    if (reader->failed)
        memset(out, 0, size);
    else
        memcpy(out, view.data, size);
}

uint8_t reader_u8(struct reader *reader)
{
    uint8_t encoded;
    reader_copy(reader, &encoded, sizeof encoded);
    return encoded;
}

uint16_t reader_be16(struct reader *reader)
{
    uint8_t encoded[2];
    reader_copy(reader, encoded, sizeof encoded);
    return be16_get(encoded);
}

uint32_t reader_be32(struct reader *reader)
{
    uint8_t encoded[4];
    reader_copy(reader, encoded, sizeof encoded);
    return be32_get(encoded);
}

uint64_t reader_be64(struct reader *reader)
{
    uint8_t encoded[8];
    reader_copy(reader, encoded, sizeof encoded);
    return be64_get(encoded);
}

void reader_text(struct reader *reader, char *out, size_t out_size)
{
    assert(out_size > 0);
    size_t size = reader_be16(reader);
    struct bytes view = reader_view(reader, size);
    if (!reader->failed &&
        (size >= out_size || (size > 0 && memchr(view.data, '\0', size) != NULL)))
        reader->failed = true;
    memset(out, 0, out_size);
    if (!reader->failed && size > 0)
        memcpy(out, view.data, size);
}

bool reader_finish(const struct reader *reader)
{
    return !reader->failed && reader->left == 0;
}

void hex_encode(const void *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = data;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * size] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(const char *text, size_t text_size, void *out, size_t size)
{
    if (text_size % 2 != 0 || text_size / 2 != size)
        return false;
    for (size_t i = 0; i < text_size; i++) {
        if (hex_digit(text[i]) < 0)
            return false;
    }
    uint8_t *bytes = out;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((hex_digit(text[2 * i]) << 4) | hex_digit(text[2 * i + 1]));
    return true;
}
