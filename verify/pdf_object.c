/*
 * An indirect object where the cross-reference says it is: "n g obj", one value, perhaps a stream,
 * "endobj" (ISO 32000-1 7.3.8, 7.3.10).
 */
#include "verify/pdf_file.h"

enum {
    HEADER_MAX = 64,         /* bytes of "n g obj": read for each entry */
    LENGTH_OBJECT_MAX = 256, /* bytes of "N endobj": read again for each stream */
};

bool pdf_read_header(const struct pdf_file *file, size_t position, struct pdf_header *ret_header)
{
    size_t left = file->bytes.size - position;
    struct pdf_lexer lexer = pdf_lexer_at(
        bytes_of(file->bytes.data, position + (left < HEADER_MAX ? left : HEADER_MAX)), position);
    struct pdf_token number, generation, keyword;

    pdf_skip_white(&lexer);
    size_t start = lexer.position;
    pdf_lex(&lexer, &number);
    pdf_lex(&lexer, &generation);
    pdf_lex(&lexer, &keyword);
    if (number.type != PDF_TOKEN_INTEGER || !number.digits_only ||
        generation.type != PDF_TOKEN_INTEGER || !generation.digits_only ||
        !pdf_token_is(&lexer, &keyword, "obj") || number.start != start)
        return false;
    *ret_header = (struct pdf_header){
        .number = number.integer,
        .generation = generation.integer,
        .start = start,
        .end = keyword.end,
    };
    return true;
}

/* A stream's length that is an object of its own; a small one, so that many streams may share it.
 */
static int indirect_length(struct pdf_file *file, struct pdf_value reference, size_t *ret_length)
{
    const struct pdf_object *object = pdf_find(file, pdf_node(reference)->reference.number,
                                               pdf_node(reference)->reference.generation);
    struct pdf_header header;
    struct pdf_token token, end;

    if (!object)
        return PDF_MALFORMED;
    if (object->compressed) {
        _cleanup_pdf_tree_ struct pdf_tree tree = {0};
        struct pdf_value value;
        int64_t length;
        if (file->opening)
            return PDF_MALFORMED;
        int r = pdf_resolve(file, reference, &tree, &value);
        if (r != 0)
            return r < 0 ? r : PDF_MALFORMED;
        if (!pdf_integer(value, 0, (int64_t)file->bytes.size, &length))
            return PDF_MALFORMED;
        *ret_length = (size_t)length;
        return PDF_PARSED;
    }
    if (!pdf_read_header(file, object->position, &header))
        return PDF_MALFORMED;
    size_t limit = header.end + LENGTH_OBJECT_MAX;
    struct pdf_lexer lexer = pdf_lexer_at(
        bytes_of(file->bytes.data, limit < file->bytes.size ? limit : file->bytes.size),
        header.end);
    pdf_lex(&lexer, &token);
    pdf_lex(&lexer, &end);
    if (token.type != PDF_TOKEN_INTEGER || token.integer < 0 ||
        !pdf_token_is(&lexer, &end, "endobj"))
        return PDF_MALFORMED;
    *ret_length = (size_t)token.integer;
    return PDF_PARSED;
}

static bool skip_stream_eol(struct pdf_lexer *lexer)
{
    const uint8_t *data = lexer->data + lexer->position;
    size_t left = lexer->size - lexer->position;

    /* A carriage return alone is not allowed here (7.3.8.1): it could be data. */
    if (left >= 1 && data[0] == '\n')
        lexer->position += 1;
    else if (left >= 2 && data[0] == '\r' && data[1] == '\n')
        lexer->position += 2;
    else
        return false;
    return true;
}

/* From behind the keyword `stream` to behind `endstream`. */
static int read_stream(struct pdf_file *file, struct pdf_lexer *lexer,
                       struct pdf_indirect *indirect)
{
    struct pdf_value entry = pdf_get(indirect->value, "Length");
    struct pdf_token keyword;
    size_t length;
    int64_t direct;

    if (!pdf_is(indirect->value, PDF_DICTIONARY) || !skip_stream_eol(lexer))
        return PDF_MALFORMED;
    if (pdf_is(entry, PDF_REFERENCE)) {
        int r = indirect_length(file, entry, &length);
        if (r != PDF_PARSED)
            return r;
    } else if (pdf_integer(entry, 0, PDF_FILE_SIZE_MAX, &direct)) {
        length = (size_t)direct;
    } else {
        return PDF_MALFORMED;
    }
    if (length > lexer->size - lexer->position)
        return PDF_MALFORMED;
    indirect->has_stream = true;
    indirect->stream_start = lexer->position;
    indirect->stream_size = length;
    lexer->position += length;
    /* An end-of-line belongs before endstream, and some producers leave it out. No more than that.
     */
    if (lexer->position < lexer->size && lexer->data[lexer->position] == '\r')
        lexer->position++;
    if (lexer->position < lexer->size && lexer->data[lexer->position] == '\n')
        lexer->position++;
    size_t expected = lexer->position;
    pdf_lex(lexer, &keyword);
    if (keyword.start != expected || !pdf_token_is(lexer, &keyword, "endstream"))
        return PDF_MALFORMED;
    return PDF_PARSED;
}

int pdf_read_indirect(struct pdf_file *file, size_t position, struct pdf_tree *tree,
                      struct pdf_indirect *ret_indirect)
{
    struct pdf_indirect indirect = {0};
    struct pdf_token next;
    uint32_t root;

    if (!pdf_read_header(file, position, &indirect.header)) {
        checks_fail(file->run, CHECK_PDF_XREF, "there is no object at offset %zu", position);
        return PDF_STOP;
    }
    struct pdf_lexer lexer = pdf_lexer_at(file->bytes, indirect.header.end);
    int r = pdf_tree_parse(tree, &lexer, &root, &next);
    if (r != PDF_PARSED)
        return pdf_bad_syntax(file, r, "the object", position);
    indirect.value = (struct pdf_value){tree, root};
    if (pdf_token_is(&lexer, &next, "stream")) {
        r = read_stream(file, &lexer, &indirect);
        if (r == PDF_PARSED)
            pdf_lex(&lexer, &next);
        if (!checks_going(file->run))
            return PDF_STOP;
        if (r != PDF_PARSED)
            return pdf_bad_syntax(file, r, "the stream", position);
    }
    if (!pdf_token_is(&lexer, &next, "endobj"))
        return pdf_bad_syntax(file, PDF_MALFORMED, "the object", position);
    indirect.end = next.end;
    *ret_indirect = indirect;
    return 0;
}
