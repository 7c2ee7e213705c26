/*
 * One pass over all objects of all revisions: those of the file in file order, then those of object
 * streams. Each is read once, so the pass is linear, and afterwards every byte is accounted for.
 */
#include "verify/pdf_file.h"

static int compare_extents(const void *a, const void *b)
{
    const struct pdf_extent *left = a, *right = b;

    return (left->start > right->start) - (left->start < right->start);
}

/* An object in the file, with its place in file->objects. */
struct place {
    uint32_t position, index;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *left = a, *right = b;

    if (left->position != right->position)
        return left->position < right->position ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

static void note_header(struct pdf_file *file, const struct pdf_object *object,
                        const struct pdf_header *header)
{
    checks_that(file->run, CHECK_PDF_OBJECT_HEADER,
                header->start == object->position && header->number == object->number &&
                    header->generation == object->generation,
                "the object at offset %u is not exactly object %u %u, as its cross-reference "
                "entry says",
                object->position, object->number, object->generation);
}

static bool is_section(const struct pdf_file *file, uint32_t position)
{
    for (unsigned i = 0; i < file->section_count; i++) {
        if (file->section_starts[i] == position)
            return true;
    }
    return false;
}

static int sweep_object(struct pdf_file *file, struct pdf_object *object, size_t *end)
{
    struct pdf_indirect indirect;

    int r = pdf_read_indirect(file, object->position, &file->scratch, &indirect);
    if (r != 0)
        return r;
    if (indirect.header.start < *end) {
        checks_fail(file->run, CHECK_PDF_XREF, "object %u overlaps the one before it",
                    object->number);
        return PDF_STOP;
    }
    note_header(file, object, &indirect.header);
    if (indirect.has_stream) {
        object->traits |= PDF_STREAM;
        object->stream_start = (uint32_t)indirect.stream_start;
        object->stream_size = (uint32_t)indirect.stream_size;
    }
    *end = indirect.end;
    /* A cross-reference stream is a section already. */
    if (!is_section(file, object->position)) {
        r = pdf_add_extent(file, indirect.header.start, indirect.end);
        if (r < 0)
            return r;
    }
    return pdf_inspect(file, object, indirect.value);
}

static int sweep_file(struct pdf_file *file, struct place *places, uint32_t count)
{
    const struct pdf_object *before = NULL;
    size_t end = 0;

    qsort(places, count, sizeof *places, compare_places);
    for (uint32_t i = 0; i < count; i++) {
        struct pdf_object *object = &file->objects[places[i].index];
        /* Listed again, unchanged, by a later revision. */
        if (before && before->position == object->position && before->number == object->number)
            continue;
        int r = sweep_object(file, object, &end);
        if (r != 0)
            return r;
        before = object;
    }
    return 0;
}

static int sweep_uncompressed(struct pdf_file *file)
{
    uint32_t count = 0;
    struct place *places = malloc((file->object_count + 1) * sizeof *places);

    if (!places)
        return -ENOMEM;
    for (uint32_t i = 0; i < file->object_count; i++) {
        if (!file->objects[i].compressed)
            places[count++] = (struct place){file->objects[i].position, i};
    }
    int r = sweep_file(file, places, count);
    free(places);
    return r;
}

static int sweep_compressed_object(struct pdf_file *file, struct pdf_object *object)
{
    struct pdf_object_stream *stream;
    struct pdf_token next;
    size_t start, end;
    uint32_t root;

    int r = pdf_open_object_stream(file, object->container, &stream);
    if (r != 0)
        return r;
    if (object->position >= stream->count) {
        checks_fail(file->run, CHECK_PDF_XREF, "object %u is not in object stream %u",
                    object->number, object->container);
        return PDF_STOP;
    }
    checks_that(file->run, CHECK_PDF_OBJECT_HEADER,
                stream->pairs[2 * object->position] == object->number,
                "object %u of object stream %u has another number in its cross-reference entry",
                object->position, object->container);
    if (stream->listed[object->position])
        return 0; /* by another revision */
    stream->listed[object->position] = true;
    pdf_object_stream_span(stream, object->position, &start, &end);
    struct pdf_lexer lexer = pdf_lexer_at(bytes_of(stream->data, end), start);
    r = pdf_tree_parse(&file->scratch, &lexer, &root, &next);
    if (r == PDF_PARSED && next.type != PDF_TOKEN_END)
        r = PDF_MALFORMED;
    if (r != PDF_PARSED)
        return pdf_bad_syntax(file, r, "an object in an object stream", start);
    return pdf_inspect(file, object, (struct pdf_value){&file->scratch, root});
}

static int sweep_compressed(struct pdf_file *file)
{
    for (uint32_t i = 0; i < file->object_count; i++) {
        if (!file->objects[i].compressed)
            continue;
        int r = sweep_compressed_object(file, &file->objects[i]);
        if (r != 0)
            return r;
    }
    for (uint32_t i = 0; i < file->object_stream_count; i++) {
        const struct pdf_object_stream *stream = &file->object_streams[i];
        for (uint32_t k = 0; k < stream->count; k++)
            checks_that(file->run, CHECK_PDF_COVERAGE, stream->listed[k],
                        "object stream %u holds an object that no cross-reference entry names",
                        stream->number);
    }
    return 0;
}

static size_t white_until(struct bytes bytes, size_t position, size_t end)
{
    while (position < end && pdf_is_white(bytes.data[position]))
        position++;
    return position;
}

/* Between extents, and at both ends, only white space. */
static void note_coverage(struct pdf_file *file)
{
    size_t position = 0;

    qsort(file->extents, file->extent_count, sizeof *file->extents, compare_extents);
    for (uint32_t i = 0; i <= file->extent_count; i++) {
        bool last = i == file->extent_count;
        size_t start = last ? file->bytes.size : file->extents[i].start;
        if (start < position) {
            checks_fail(file->run, CHECK_PDF_COVERAGE,
                        "two parts of the file overlap at offset %zu", start);
        } else {
            size_t reached = white_until(file->bytes, position, start);
            if (reached < start)
                checks_fail(file->run, CHECK_PDF_COVERAGE,
                            "the bytes at offset %zu belong to no listed object", reached);
        }
        if (!last && file->extents[i].end > position)
            position = file->extents[i].end;
    }
    checks_pass(file->run, CHECK_PDF_COVERAGE);
}

int pdf_sweep(struct pdf_file *file)
{
    int r = sweep_uncompressed(file);

    if (r == 0)
        r = sweep_compressed(file);
    if (r != 0)
        return r;
    note_coverage(file);
    checks_pass(file->run, CHECK_PDF_SYNTAX);
    checks_pass(file->run, CHECK_PDF_DUPLICATE);
    checks_pass(file->run, CHECK_PDF_OBJECT_HEADER);
    return 0;
}
