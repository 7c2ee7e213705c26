/*
 * Byte strings: a borrowed view, a growing buffer with a ceiling set at birth, big-endian numbers,
 * a bounds-checked reader for records that come from outside, and hexadecimal text.
 *
 * Thread rule: no shared state; an object belongs to whoever holds it.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed: valid as long as its owner says. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){.data = data, .size = size};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* A buffer that never grows beyond `ceiling` bytes. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t ceiling;
};

void buffer_init(struct buffer *buffer, size_t ceiling);
/* Accepts a buffer that was zeroed and never initialised. */
void buffer_done(struct buffer *buffer);
/* -EMSGSIZE beyond the ceiling, -ENOMEM; the buffer is unchanged then. */
_must_use_ int buffer_append(struct buffer *buffer, const void *data, size_t size);
_must_use_ int buffer_append_u8(struct buffer *buffer, uint8_t value);
_must_use_ int buffer_append_be16(struct buffer *buffer, uint16_t value);
_must_use_ int buffer_append_be32(struct buffer *buffer, uint32_t value);
_must_use_ int buffer_append_be64(struct buffer *buffer, uint64_t value);
/* A string of at most 65,535 bytes, preceded by its length in 16 bits. */
_must_use_ int buffer_append_text(struct buffer *buffer, const char *text);

#define _cleanup_buffer_ _cleanup_(buffer_done)

static inline void be16_put(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static inline void be32_put(uint8_t *out, uint32_t value)
{
    be16_put(out, (uint16_t)(value >> 16));
    be16_put(out + 2, (uint16_t)value);
}

static inline void be64_put(uint8_t *out, uint64_t value)
{
    be32_put(out, (uint32_t)(value >> 32));
    be32_put(out + 4, (uint32_t)value);
}

static inline uint16_t be16_get(const uint8_t *in)
{
    return (uint16_t)((in[0] << 8) | in[1]);
}

static inline uint32_t be32_get(const uint8_t *in)
{
    return ((uint32_t)be16_get(in) << 16) | be16_get(in + 2);
}

static inline uint64_t be64_get(const uint8_t *in)
{
    return ((uint64_t)be32_get(in) << 32) | be32_get(in + 4);
}

/*
 * Reads a record front to back. A read beyond the end yields zeros and sets `failed`; the caller
 * checks once, with reader_finish().
 */
struct reader {
    const uint8_t *next;
    size_t left;
    bool failed;
};

void reader_init(struct reader *reader, struct bytes source);
uint8_t reader_u8(struct reader *reader);
uint16_t reader_be16(struct reader *reader);
uint32_t reader_be32(struct reader *reader);
uint64_t reader_be64(struct reader *reader);
/* Copies exactly `size` bytes. */
void reader_copy(struct reader *reader, void *out, size_t size);
/* A view of `size` bytes into the source; empty after a failure. */
struct bytes reader_view(struct reader *reader, size_t size);
/* A text written by buffer_append_text(), without NUL inside, into `out` of `out_size` bytes. */
void reader_text(struct reader *reader, char *out, size_t out_size);
/* True when nothing failed and nothing is left over. */
_must_use_ bool reader_finish(const struct reader *reader);

/* `out` takes 2 * size + 1 bytes, lower case. */
void hex_encode(const void *data, size_t size, char *out);
/* Exactly 2 * size digits, either case; false otherwise. */
_must_use_ bool hex_decode(const char *text, size_t text_size, void *out, size_t size);

#endif
