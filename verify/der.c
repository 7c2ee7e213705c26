/*
 * What BER allows and DER does not is refused here: indefinite and long-winded lengths
 * (X.690 10.1).
 */
#include "verify/der.h"

enum { DER_DEPTH_MAX = 32, DER_COUNT_MAX = 20000 };

bool der_next(struct der *der, struct der_element *ret_element)
{
    const uint8_t *data = der->left.data;
    size_t size = der->left.size, header = 2, length;

    if (size < 2 || (data[0] & 0x1f) == 0x1f)
        return false;
    length = data[1];
    if (length & 0x80) {
        size_t octets = length & 0x7f;
        if (octets == 0 || octets > 4 || size < 2 + octets || data[2] == 0)
            return false;
        length = 0;
        for (size_t i = 0; i < octets; i++)
            length = length << 8 | data[2 + i];
        if (length < 0x80)
            return false;
        header += octets;
    }
    if (length > size - header)
        return false;
    *ret_element = (struct der_element){
        .tag = data[0],
        .content = bytes_of(data + header, length),
        .whole = bytes_of(data, header + length),
    };
    der->left = bytes_of(data + header + length, size - header - length);
    return true;
}

bool der_peek(const struct der *der, uint8_t tag)
{
    return der->left.size > 0 && der->left.data[0] == tag;
}

bool der_expect(struct der *der, uint8_t tag, struct der_element *ret_element)
{
    return der_peek(der, tag) && der_next(der, ret_element);
}

bool der_integer_minimal(struct bytes content)
{
    if (content.size == 0)
        return false;
    if (content.size == 1)
        return true;
    bool sign = content.data[1] & 0x80;
    return !(content.data[0] == 0 && !sign) && !(content.data[0] == 0xff && sign);
}

bool der_small_integer(struct der *der, unsigned *ret_value)
{
    struct der before = *der;
    struct der_element element;

    if (!der_expect(der, DER_INTEGER, &element) || element.content.size != 1 ||
        (element.content.data[0] & 0x80)) {
        *der = before;
        return false;
    }
    *ret_value = element.content.data[0];
    return true;
}

static bool primitive_well_formed(const struct der_element *element)
{
    switch (element->tag) {
    case DER_BOOLEAN:
        return element->content.size == 1 &&
               (element->content.data[0] == 0 || element->content.data[0] == 0xff);
    case DER_INTEGER:
        return der_integer_minimal(element->content);
    case DER_NULL:
        return element->content.size == 0;
    case DER_OID:
        return element->content.size > 0 &&
               !(element->content.data[element->content.size - 1] & 0x80);
    case DER_BIT_STRING:
        return element->content.size > 0 && element->content.data[0] < 8;
    default:
        /* SEQUENCE and SET are constructed; strings are not (X.690 10.2). */
        return (element->tag & 0x3f) != (DER_SEQUENCE & 0x1f) &&
               (element->tag & 0x3f) != (DER_SET & 0x1f);
    }
}

bool der_well_formed(struct bytes content)
{
    struct der stack[DER_DEPTH_MAX];
    unsigned depth = 0, count = 0;

    stack[0] = der_of(content);
    for (;;) {
        struct der_element element;
        if (der_at_end(&stack[depth])) {
            if (depth == 0)
                return true;
            depth--;
            continue;
        }
        if (!der_next(&stack[depth], &element) || ++count > DER_COUNT_MAX)
            return false;
        if (!(element.tag & 0x20)) {
            if (!primitive_well_formed(&element))
                return false;
            continue;
        }
        /* Of the universal tags only SEQUENCE, SET (and EXTERNAL, unused) are constructed in DER.
         */
        if ((element.tag & 0xc0) == 0 && element.tag != DER_SEQUENCE && element.tag != DER_SET)
            return false;
        if (++depth == DER_DEPTH_MAX)
            return false;
        stack[depth] = der_of(element.content);
    }
}
