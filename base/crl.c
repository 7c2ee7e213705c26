/* See base/crl.h. */
#include "base/crl.h"

enum { INFO_FORMAT = 1 };

int crl_info_encode(const struct crl_info *info, struct buffer *out)
{
    int r = buffer_append_u8(out, INFO_FORMAT);
    if (r == 0)
        r = buffer_append_u8(out, info->outcome);
    if (r == 0)
        r = buffer_append(out, info->scope, sizeof info->scope);
    if (r == 0)
        r = buffer_append_u8(out, info->number_size);
    if (r == 0)
        r = buffer_append(out, info->number, info->number_size);
    if (r == 0)
        r = buffer_append_be64(out, (uint64_t)info->issued_s);
    if (r == 0)
        r = buffer_append_be64(out, (uint64_t)info->next_s);
    if (r == 0)
        r = buffer_append_be64(out, (uint64_t)info->stale_at_s);
    if (r == 0)
        r = buffer_append_be32(out, info->entries);
    if (r == 0)
        r = buffer_append_text(out, info->issuer);
    if (r == 0)
        r = buffer_append_text(out, info->text);
    return r;
}

int crl_info_decode(struct bytes encoded, struct crl_info *ret_info)
{
    struct crl_info info = {0};
    struct reader reader;
    reader_init(&reader, encoded);
    uint8_t format = reader_u8(&reader);
    info.outcome = reader_u8(&reader);
    reader_copy(&reader, info.scope, sizeof info.scope);
    info.number_size = reader_u8(&reader);
    if (info.number_size > CRL_NUMBER_MAX)
        return -EBADMSG;
    reader_copy(&reader, info.number, info.number_size);
    info.issued_s = (int64_t)reader_be64(&reader);
    info.next_s = (int64_t)reader_be64(&reader);
    info.stale_at_s = (int64_t)reader_be64(&reader);
    info.entries = reader_be32(&reader);
    reader_text(&reader, info.issuer, sizeof info.issuer);
    reader_text(&reader, info.text, sizeof info.text);
    if (!reader_finish(&reader) || format != INFO_FORMAT || info.outcome >= CRL_OUTCOME_COUNT)
        return -EBADMSG;
    *ret_info = info;
    return 0;
}

/* Numbers are kept without leading zeros. */
static int compare_numbers(const struct crl_info *a, const struct crl_info *b)
{
    if (a->number_size != b->number_size)
        return a->number_size < b->number_size ? -1 : 1;
    return a->number_size ? memcmp(a->number, b->number, a->number_size) : 0;
}

int crl_info_compare(const struct crl_info *a, const struct crl_info *b)
{
    int dates = a->issued_s < b->issued_s ? -1 : a->issued_s > b->issued_s;
    if (!a->number_size || !b->number_size)
        return dates;
    int numbers = compare_numbers(a, b);
    if (numbers == 0)
        return dates;
    /* A higher number with an older date is no successor. */
    return numbers > 0 && dates < 0 ? -1 : numbers;
}
