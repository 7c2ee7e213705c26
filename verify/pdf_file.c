/*
 * Looking up objects. Reading one again costs time in proportion to its size, so all such reading
 * together is bounded: a file cannot make us read one large object for each of many small ones.
 */
#include "verify/pdf_file.h"

enum { REFERENCE_HOPS_MAX = 8 };

void pdf_file_done(struct pdf_file *file)
{
    pdf_tree_done(&file->trailer);
    pdf_tree_done(&file->scratch);
    for (uint32_t i = 0; i < file->object_stream_count; i++) {
        free(file->object_streams[i].pairs);
        free(file->object_streams[i].listed);
        free(file->object_streams[i].data);
    }
    free(file->object_streams);
    free(file->objects);
    free(file->newest);
    free(file->extents);
    free(file->edges);
}

int pdf_over_limit(struct pdf_file *file, const char *what)
{
    checks_fail(file->run, CHECK_PDF_LIMITS, "over this program's limit: %s", what);
    return PDF_STOP;
}

int pdf_bad_syntax(struct pdf_file *file, int result, const char *what, size_t position)
{
    if (result < 0)
        return result;
    if (result == PDF_TOO_LARGE)
        return pdf_over_limit(file, "values or nesting in one object");
    if (result == PDF_DUPLICATE_KEY)
        checks_fail(file->run, CHECK_PDF_DUPLICATE, "%s at offset %zu has a key twice", what,
                    position);
    else
        checks_fail(file->run, CHECK_PDF_SYNTAX, "%s at offset %zu is malformed", what, position);
    return PDF_STOP;
}

int pdf_add_extent(struct pdf_file *file, size_t start, size_t end)
{
    if (file->extent_count == file->extent_capacity) {
        uint32_t capacity = file->extent_capacity ? file->extent_capacity * 2 : 256;
        struct pdf_extent *extents = realloc(file->extents, capacity * sizeof *extents);
        if (!extents)
            return -ENOMEM;
        file->extents = extents;
        file->extent_capacity = capacity;
    }
    file->extents[file->extent_count++] =
        (struct pdf_extent){.start = (uint32_t)start, .end = (uint32_t)end};
    return 0;
}

struct pdf_object *pdf_find(const struct pdf_file *file, uint32_t number, uint32_t generation)
{
    if (!file->newest || (int64_t)number >= file->size_entry)
        return NULL;
    uint32_t slot = file->newest[number];
    if (slot == 0 || slot == PDF_FREE)
        return NULL;
    struct pdf_object *object = &file->objects[slot - 1];
    return object->generation == generation ? object : NULL;
}

static int load_compressed(struct pdf_file *file, const struct pdf_object *object,
                           struct pdf_tree *tree, struct pdf_value *ret_value)
{
    struct pdf_object_stream *stream;
    struct pdf_token next;
    uint32_t root;
    size_t start, end;

    int r = pdf_open_object_stream(file, object->container, &stream);
    if (r != 0)
        return r;
    if (object->position >= stream->count) {
        checks_fail(file->run, CHECK_PDF_XREF, "object %u is not in object stream %u",
                    object->number, object->container);
        return PDF_STOP;
    }
    pdf_object_stream_span(stream, object->position, &start, &end);
    struct pdf_lexer lexer = pdf_lexer_at(bytes_of(stream->data, end), start);
    file->looked_up += end - start;
    r = pdf_tree_parse(tree, &lexer, &root, &next);
    if (r == PDF_PARSED && next.type != PDF_TOKEN_END)
        r = PDF_MALFORMED;
    if (r != PDF_PARSED)
        return pdf_bad_syntax(file, r, "an object in an object stream", start);
    *ret_value = (struct pdf_value){tree, root};
    return 0;
}

static int load_once(struct pdf_file *file, const struct pdf_object *object, struct pdf_tree *tree,
                     struct pdf_value *ret_value)
{
    struct pdf_indirect indirect;

    if (file->looked_up > PDF_LOOKUP_MAX)
        return pdf_over_limit(file, "bytes read again to follow references");
    if (object->compressed)
        return load_compressed(file, object, tree, ret_value);
    int r = pdf_read_indirect(file, object->position, tree, &indirect);
    if (r != 0)
        return r;
    file->looked_up += indirect.end - object->position - indirect.stream_size;
    *ret_value = indirect.value;
    return 0;
}

/* An empty tree's node 0. */
static int null_value(struct pdf_tree *tree, struct pdf_value *ret_value)
{
    static const uint8_t null[] = "null";
    struct pdf_lexer lexer = pdf_lexer_at(bytes_of(null, sizeof null - 1), 0);
    struct pdf_token next;
    uint32_t root;

    int r = pdf_tree_parse(tree, &lexer, &root, &next);
    if (r < 0)
        return r;
    *ret_value = (struct pdf_value){tree, 0};
    return 0;
}

int pdf_load(struct pdf_file *file, uint32_t number, uint32_t generation, struct pdf_tree *tree,
             struct pdf_value *ret_value)
{
    for (int hops = 0; hops < REFERENCE_HOPS_MAX; hops++) {
        const struct pdf_object *object = pdf_find(file, number, generation);
        struct pdf_value value;
        if (!object)
            return null_value(tree, ret_value);
        int r = load_once(file, object, tree, &value);
        if (r != 0)
            return r;
        if (!pdf_is(value, PDF_REFERENCE)) {
            *ret_value = value;
            return 0;
        }
        number = pdf_node(value)->reference.number;
        generation = pdf_node(value)->reference.generation;
    }
    return pdf_over_limit(file, "references to references");
}

int pdf_resolve(struct pdf_file *file, struct pdf_value value, struct pdf_tree *tree,
                struct pdf_value *ret_value)
{
    if (pdf_is(value, PDF_REFERENCE))
        return pdf_load(file, pdf_node(value)->reference.number,
                        pdf_node(value)->reference.generation, tree, ret_value);
    *ret_value = value;
    return 0;
}
