/*
 * Cross-reference streams (ISO 32000-1 7.5.8).
 */
#include "verify/pdf_file.h"

enum { FIELD_SIZE_MAX = 8 };

struct layout {
    int64_t widths[3];
    size_t entry_size;
};

static int bad_stream(struct pdf_file *file, size_t position)
{
    checks_fail(file->run, CHECK_PDF_XREF, "a malformed cross-reference stream at offset %zu",
                position);
    return PDF_STOP;
}

int pdf_open_xref_stream(struct pdf_file *file, size_t position, struct pdf_tree *tree,
                         struct pdf_value *ret_dictionary)
{
    struct pdf_indirect indirect;
    struct pdf_header header;

    if (!pdf_read_header(file, position, &header) || header.start != position) {
        checks_fail(file->run, CHECK_PDF_XREF,
                    "there is neither a cross-reference table nor a stream at offset %zu",
                    position);
        return PDF_STOP;
    }
    int r = pdf_read_indirect(file, position, tree, &indirect);
    if (r != 0)
        return r;
    if (!indirect.has_stream || !pdf_is_name(pdf_get(indirect.value, "Type"), "XRef"))
        return bad_stream(file, position);
    file->xref_stream = indirect;
    *ret_dictionary = indirect.value;
    return 0;
}

static bool read_layout(struct pdf_value dictionary, struct layout *ret_layout)
{
    struct pdf_value widths = pdf_get(dictionary, "W");

    ret_layout->entry_size = 0;
    if (!pdf_is(widths, PDF_ARRAY) || pdf_count(widths) != 3)
        return false;
    for (uint32_t i = 0; i < 3; i++) {
        if (!pdf_integer(pdf_at(widths, i), 0, FIELD_SIZE_MAX, &ret_layout->widths[i]))
            return false;
        ret_layout->entry_size += (size_t)ret_layout->widths[i];
    }
    return ret_layout->entry_size > 0 && ret_layout->widths[1] > 0;
}

static uint64_t read_field(const uint8_t **next, int64_t width)
{
    uint64_t value = 0;

    while (width-- > 0)
        value = value << 8 | *(*next)++;
    return value;
}

static int read_entry(struct pdf_file *file, const struct layout *layout, const uint8_t *next,
                      uint32_t number)
{
    uint64_t type = layout->widths[0] ? read_field(&next, layout->widths[0]) : 1;
    uint64_t second = read_field(&next, layout->widths[1]);
    uint64_t third = read_field(&next, layout->widths[2]);
    struct pdf_object entry = {.number = number};

    if (type == 0) {
        pdf_add_free(file, number);
        return 0;
    }
    if (type > 2) {
        /* 7.5.8.3: to be read as a reference to the null object. */
        checks_fail(file->run, CHECK_PDF_XREF_FORM,
                    "the cross-reference entry of object %u has an unknown type", number);
        pdf_add_free(file, number);
        return 0;
    }
    bool compressed = type == 2;
    if (number == 0 ||
        (compressed ? second == 0 || second >= PDF_NUMBER_MAX || third >= PDF_OBJECT_MAX
                    : second >= file->bytes.size || third > UINT16_MAX)) {
        checks_fail(file->run, CHECK_PDF_XREF,
                    "the cross-reference entry of object %u is impossible", number);
        return PDF_STOP;
    }
    entry.compressed = compressed;
    if (compressed) {
        entry.container = (uint32_t)second;
        entry.position = (uint32_t)third;
    } else {
        entry.position = (uint32_t)second;
        entry.generation = (uint32_t)third;
    }
    return pdf_add_entry(file, &entry);
}

static int read_entries(struct pdf_file *file, size_t position, struct pdf_value dictionary,
                        const struct layout *layout, struct bytes data)
{
    struct pdf_value index = pdf_get(dictionary, "Index");
    struct pdf_value pair = pdf_first(index);
    int64_t first = 0, count = 0;
    size_t used = 0;

    bool whole = pdf_is(index, PDF_NULL);
    if (whole && !pdf_integer(pdf_get(dictionary, "Size"), 1, PDF_NUMBER_MAX, &count))
        return bad_stream(file, position);
    if (!whole && (!pdf_is(index, PDF_ARRAY) || pdf_count(index) % 2))
        return bad_stream(file, position);
    while (whole || pair.index) {
        if (!whole && (!pdf_integer(pair, 0, PDF_NUMBER_MAX, &first) ||
                       !pdf_integer(pdf_next(pair), 0, PDF_NUMBER_MAX - first, &count)))
            return bad_stream(file, position);
        file->entries_read += (uint64_t)count;
        if (file->entries_read > PDF_ENTRY_MAX)
            return pdf_over_limit(file, "cross-reference entries");
        if ((size_t)count > (data.size - used) / layout->entry_size)
            return bad_stream(file, position);
        for (int64_t i = 0; i < count; i++, used += layout->entry_size) {
            int r = read_entry(file, layout, data.data + used, (uint32_t)(first + i));
            if (r != 0)
                return r;
        }
        if (whole)
            break;
        pair = pdf_next(pdf_next(pair));
    }
    if (used != data.size)
        checks_fail(file->run, CHECK_PDF_XREF_FORM,
                    "the cross-reference stream at offset %zu holds more than its entries",
                    position);
    return 0;
}

int pdf_read_xref_stream(struct pdf_file *file, size_t position, struct pdf_value dictionary,
                         size_t *ret_end)
{
    _cleanup_free_ uint8_t *data = NULL;
    const struct pdf_indirect *indirect = &file->xref_stream;
    struct layout layout;
    size_t size;

    if (!read_layout(dictionary, &layout))
        return bad_stream(file, position);
    int r = pdf_decode_stream(
        file, dictionary,
        bytes_of(file->bytes.data + indirect->stream_start, indirect->stream_size), &data, &size);
    if (r < 0 || r == PDF_STOP)
        return r;
    if (r != 0)
        return bad_stream(file, position);
    *ret_end = indirect->end;
    return read_entries(file, position, dictionary, &layout, bytes_of(data, size));
}
