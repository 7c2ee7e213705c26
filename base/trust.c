/*
 * A bundle is a row of items, each: kind (8 bits), label (text), size (32 bits), content. No
 * header and no count, so that it can be built in one pass and its digest depends on the items
 * alone.
 */
#include "base/trust.h"

static bool kind_known(unsigned kind)
{
    return kind >= TRUST_ANCHOR && kind <= TRUST_LIMIT;
}

int trust_bundle_next(struct bytes bundle, size_t *offset, struct trust_item *ret_item)
{
    if (*offset > bundle.size)
        return -EBADMSG;
    if (*offset == bundle.size)
        return 0;

    struct reader reader;
    struct trust_item item;
    reader_init(&reader, bytes_of(bundle.data + *offset, bundle.size - *offset));
    unsigned kind = reader_u8(&reader);
    reader_text(&reader, item.label, sizeof item.label);
    uint32_t size = reader_be32(&reader);
    item.content = reader_view(&reader, size);
    if (reader.failed || !kind_known(kind))
        return -EBADMSG;
    item.kind = (enum trust_kind)kind;
    *offset = bundle.size - reader.left;
    *ret_item = item;
    return 1;
}

static int count_items(struct bytes bundle, size_t *ret_count)
{
    struct trust_item item;
    size_t offset = 0;
    size_t count = 0;
    int r;
    while ((r = trust_bundle_next(bundle, &offset, &item)) > 0)
        count++;
    if (r < 0)
        return r;
    *ret_count = count;
    return 0;
}

int trust_bundle_add(struct buffer *out, enum trust_kind kind, const char *label,
                     struct bytes content)
{
    size_t count;
    if (!kind_known(kind) || strlen(label) >= TRUST_LABEL_MAX)
        return -EINVAL;
    int r = count_items(bytes_of(out->data, out->size), &count);
    if (r < 0)
        return r;
    if (count >= TRUST_ITEM_MAX || content.size > TRUST_BUNDLE_MAX)
        return -EMSGSIZE;

    size_t before = out->size;
    r = buffer_append_u8(out, (uint8_t)kind);
    if (r == 0)
        r = buffer_append_text(out, label);
    if (r == 0)
        r = buffer_append_be32(out, (uint32_t)content.size);
    if (r == 0)
        r = buffer_append(out, content.data, content.size);
    if (r < 0)
        out->size = before; /* no half item stays behind */
    return r;
}
