/*
 * Object streams (ISO 32000-1 7.5.7): a table of N pairs, number and offset, then the objects. Each
 * is inflated once and kept, since trees point into its data.
 */
#include "verify/pdf_file.h"

static int add_object_stream(struct pdf_file *file, struct pdf_object_stream **ret_stream)
{
    struct pdf_object_stream *streams =
        realloc(file->object_streams, (file->object_stream_count + 1) * sizeof *streams);

    if (!streams)
        return -ENOMEM;
    file->object_streams = streams;
    *ret_stream = &streams[file->object_stream_count++];
    **ret_stream = (struct pdf_object_stream){0};
    return 0;
}

static int bad_stream(struct pdf_file *file, uint32_t number)
{
    checks_fail(file->run, CHECK_PDF_SYNTAX, "object stream %u is malformed", number);
    return PDF_STOP;
}

static int read_pairs(struct pdf_file *file, struct pdf_object_stream *stream, int64_t first)
{
    struct pdf_lexer lexer = pdf_lexer_at(bytes_of(stream->data, (size_t)first), 0);
    struct pdf_token token;
    uint32_t before = (uint32_t)first;

    file->pair_count += stream->count;
    if (file->pair_count > PDF_OBJECT_MAX)
        return pdf_over_limit(file, "objects in object streams");
    stream->pairs = calloc(stream->count, 2 * sizeof *stream->pairs);
    stream->listed = calloc(stream->count, sizeof *stream->listed);
    if (!stream->pairs || !stream->listed)
        return -ENOMEM;
    for (uint32_t i = 0; i < stream->count; i++) {
        pdf_lex(&lexer, &token);
        if (token.type != PDF_TOKEN_INTEGER || token.integer < 1 || token.integer >= PDF_NUMBER_MAX)
            return bad_stream(file, stream->number);
        stream->pairs[2 * i] = (uint32_t)token.integer;
        pdf_lex(&lexer, &token);
        /* Ascending, as 7.5.7 wants: so each object ends where the next begins. */
        if (token.type != PDF_TOKEN_INTEGER || token.integer < 0 ||
            token.integer > stream->size - first || (uint32_t)(token.integer + first) < before)
            return bad_stream(file, stream->number);
        before = stream->pairs[2 * i + 1] = (uint32_t)(token.integer + first);
    }
    pdf_lex(&lexer, &token);
    return token.type == PDF_TOKEN_END ? 0 : bad_stream(file, stream->number);
}

static int fill(struct pdf_file *file, struct pdf_object_stream *stream, uint32_t number)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    const struct pdf_object *object = pdf_find(file, number, 0);
    struct pdf_indirect indirect;
    int64_t count, first;
    size_t size;

    stream->number = number;
    if (!object || object->compressed) {
        checks_fail(file->run, CHECK_PDF_XREF, "there is no object stream %u", number);
        return PDF_STOP;
    }
    int r = pdf_read_indirect(file, object->position, &tree, &indirect);
    if (r != 0)
        return r;
    if (!indirect.has_stream || !pdf_is_name(pdf_get(indirect.value, "Type"), "ObjStm") ||
        !pdf_integer(pdf_get(indirect.value, "N"), 1, PDF_OBJECT_MAX, &count))
        return bad_stream(file, number);
    r = pdf_decode_stream(file, indirect.value,
                          bytes_of(file->bytes.data + indirect.stream_start, indirect.stream_size),
                          &stream->data, &size);
    if (r < 0 || r == PDF_STOP)
        return r;
    if (r != 0 || !pdf_integer(pdf_get(indirect.value, "First"), 1, (int64_t)size, &first))
        return bad_stream(file, number);
    /* It is kept to the end: give back what the decoder took in reserve. */
    uint8_t *exact = size ? realloc(stream->data, size) : NULL;
    if (exact)
        stream->data = exact;
    stream->size = (uint32_t)size;
    stream->count = (uint32_t)count;
    return read_pairs(file, stream, first);
}

int pdf_open_object_stream(struct pdf_file *file, uint32_t number,
                           struct pdf_object_stream **ret_stream)
{
    struct pdf_object_stream *stream;

    for (uint32_t i = 0; i < file->object_stream_count; i++) {
        if (file->object_streams[i].number == number) {
            *ret_stream = &file->object_streams[i];
            return 0;
        }
    }
    if (file->opening || file->object_stream_count == PDF_OBJECT_STREAM_MAX)
        return pdf_over_limit(file, "object streams");
    int r = add_object_stream(file, &stream);
    if (r < 0)
        return r;
    /* Meanwhile nothing may lead into another unopened object stream: no recursion. */
    file->opening = true;
    r = fill(file, stream, number);
    file->opening = false;
    if (r == 0)
        *ret_stream = stream;
    return r;
}

void pdf_object_stream_span(const struct pdf_object_stream *stream, uint32_t index,
                            size_t *ret_start, size_t *ret_end)
{
    *ret_start = stream->pairs[2 * index + 1];
    *ret_end = index + 1 < stream->count ? stream->pairs[2 * index + 3] : stream->size;
}
