/*
 * DER as it stands (X.690 10): definite lengths in their shortest form, no recursion. A cursor
 * walks the elements of one content; a content inside is walked by a cursor of its own, so the
 * depth is that of the program.
 */
#ifndef VERIFY_DER_H
#define VERIFY_DER_H

#include "base/bytes.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT_PRIMITIVE = 0x80,
    DER_CONTEXT = 0xa0,
};

struct der {
    struct bytes left;
};

struct der_element {
    uint8_t tag; /* of one byte; longer tags do not occur in what we read */
    struct bytes content;
    struct bytes whole; /* tag, length and content */
};

static inline struct der der_of(struct bytes content)
{
    return (struct der){.left = content};
}

static inline bool der_at_end(const struct der *der)
{
    return der->left.size == 0;
}

/* The next element; false, and nothing moves, at the end or when it is not DER. */
_must_use_ bool der_next(struct der *der, struct der_element *ret_element);

/* The same, if it has this tag. */
_must_use_ bool der_expect(struct der *der, uint8_t tag, struct der_element *ret_element);

/* True if the next element has this tag. */
bool der_peek(const struct der *der, uint8_t tag);

/* A small non-negative INTEGER; false if larger than a byte or not in its shortest form. */
_must_use_ bool der_small_integer(struct der *der, unsigned *ret_value);

/* True if the content of an INTEGER is in its shortest form. */
bool der_integer_minimal(struct bytes content);

/* True if this OBJECT IDENTIFIER's content is `oid`, given as an array of bytes. */
#define der_is_oid(element, oid) bytes_equal((element).content, bytes_of((oid), sizeof(oid)))

/* True if the whole of `content` is well-formed DER down to its primitive elements; depth and count
 * are bounded. */
_must_use_ bool der_well_formed(struct bytes content);

#endif
