/*
 * The chain of cross-reference sections, newest first (ISO 32000-1 7.5.4 to 7.5.6). An entry of a
 * newer section hides those of older ones; all entries in use are kept, since every object of every
 * revision has to be accounted for.
 */
#include "verify/pdf_file.h"

enum { ENTRY_SIZE = 20, END_MARKS_MAX = 1024 };

/* Where a section stands and what its trailer says. */
struct section {
    size_t start, end;
    bool is_stream;
    bool has_prev, has_hybrid;
    int64_t prev, hybrid;
};

static int bad_xref(struct pdf_file *file, const char *what, size_t position)
{
    checks_fail(file->run, CHECK_PDF_XREF, "%s at offset %zu", what, position);
    return PDF_STOP;
}

/* startxref N %%EOF; behind it `*ret_end`. */
static bool read_end_marks(const struct pdf_file *file, size_t position, int64_t *ret_offset,
                           size_t *ret_end)
{
    size_t left = file->bytes.size - position;
    struct pdf_lexer lexer = pdf_lexer_at(
        bytes_of(file->bytes.data, position + (left < END_MARKS_MAX ? left : END_MARKS_MAX)),
        position);
    struct pdf_token keyword, offset;

    pdf_lex(&lexer, &keyword);
    if (!pdf_token_is(&lexer, &keyword, "startxref"))
        return false;
    pdf_lex(&lexer, &offset);
    if (offset.type != PDF_TOKEN_INTEGER || !offset.digits_only)
        return false;
    pdf_skip_white(&lexer);
    if (lexer.size - lexer.position < 5 || memcmp(lexer.data + lexer.position, "%%EOF", 5) != 0)
        return false;
    *ret_offset = offset.integer;
    *ret_end = lexer.position + 5;
    return true;
}

static bool find_last(struct bytes bytes, const char *text, size_t *ret_position)
{
    size_t size = strlen(text);

    for (size_t i = bytes.size < size ? 0 : bytes.size - size + 1; i-- > 0;) {
        if (bytes.data[i] == (uint8_t)text[0] && memcmp(bytes.data + i, text, size) == 0) {
            *ret_position = i;
            return true;
        }
    }
    return false;
}

int pdf_read_tail(struct pdf_file *file)
{
    struct bytes bytes = file->bytes;
    size_t position = 0, end = 0;
    int64_t offset = 0;

    bool found =
        find_last(bytes, "startxref", &position) && read_end_marks(file, position, &offset, &end);
    if (!checks_that(file->run, CHECK_PDF_TAIL, found,
                     "the file does not end with startxref, an offset and %%%%EOF"))
        return PDF_STOP;
    if (offset >= (int64_t)bytes.size)
        return bad_xref(file, "startxref points behind the end of the file", position);
    file->start_xref = (size_t)offset;
    if (end < bytes.size && bytes.data[end] == '\r')
        end++;
    if (end < bytes.size && bytes.data[end] == '\n')
        end++;
    checks_that(file->run, CHECK_PDF_AFTER_END, end == bytes.size,
                "%zu bytes follow the last %%%%EOF", bytes.size - end);
    return 0;
}

void pdf_add_free(struct pdf_file *file, uint32_t number)
{
    if ((int64_t)number < file->size_entry && file->newest[number] == 0)
        file->newest[number] = PDF_FREE;
}

int pdf_add_entry(struct pdf_file *file, const struct pdf_object *entry)
{
    if ((int64_t)entry->number >= file->size_entry) {
        /* 7.5.5: such an object shall be regarded as missing. */
        checks_fail(file->run, CHECK_PDF_XREF_FORM, "object %u is not below the trailer's /Size",
                    entry->number);
        return 0;
    }
    if (file->object_count == PDF_OBJECT_MAX)
        return pdf_over_limit(file, "objects");
    if (file->object_count == file->object_capacity) {
        uint32_t capacity = file->object_capacity ? file->object_capacity * 2 : 128;
        struct pdf_object *objects = realloc(file->objects, capacity * sizeof *objects);
        if (!objects)
            return -ENOMEM;
        file->objects = objects;
        file->object_capacity = capacity;
    }
    struct pdf_object *object = &file->objects[file->object_count++];
    *object = *entry;
    if (file->newest[entry->number] == 0) {
        file->newest[entry->number] = file->object_count;
        object->current = true;
    } else if (file->newest[entry->number] > file->section_first_object &&
               file->newest[entry->number] != PDF_FREE) {
        checks_fail(file->run, CHECK_PDF_XREF_FORM,
                    "object %u has two entries in one cross-reference section", entry->number);
    }
    return 0;
}

static bool read_digits(const uint8_t *text, size_t count, uint32_t *ret_value)
{
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > UINT32_MAX)
        return false;
    *ret_value = (uint32_t)value;
    return true;
}

/* Exactly 20 bytes: nnnnnnnnnn ggggg n, and two bytes of end-of-line (7.5.4). */
static int read_entry(struct pdf_file *file, size_t position, uint32_t number)
{
    const uint8_t *text = file->bytes.data + position;
    struct pdf_object entry = {.number = number};
    bool eol = (text[18] == ' ' && (text[19] == '\r' || text[19] == '\n')) ||
               (text[18] == '\r' && text[19] == '\n');

    if (!read_digits(text, 10, &entry.position) || text[10] != ' ' ||
        !read_digits(text + 11, 5, &entry.generation) || text[16] != ' ' || !eol)
        return bad_xref(file, "a malformed cross-reference entry", position);
    if (text[17] == 'f') {
        pdf_add_free(file, number);
        return 0;
    }
    if (text[17] != 'n' || number == 0 || entry.position >= file->bytes.size)
        return bad_xref(file, "an impossible cross-reference entry", position);
    return pdf_add_entry(file, &entry);
}

static int read_table(struct pdf_file *file, size_t position, size_t *ret_end)
{
    struct pdf_lexer lexer = pdf_lexer_at(file->bytes, position);
    struct pdf_token first, count;

    for (;;) {
        pdf_lex(&lexer, &first);
        if (pdf_token_is(&lexer, &first, "trailer"))
            break;
        pdf_lex(&lexer, &count);
        if (first.type != PDF_TOKEN_INTEGER || !first.digits_only ||
            count.type != PDF_TOKEN_INTEGER || !count.digits_only)
            return bad_xref(file, "a malformed cross-reference table", first.start);
        file->entries_read += (uint64_t)count.integer;
        if (first.integer > PDF_NUMBER_MAX || file->entries_read > PDF_ENTRY_MAX ||
            count.integer > PDF_NUMBER_MAX - first.integer)
            return pdf_over_limit(file, "object numbers");
        pdf_skip_white(&lexer);
        if ((size_t)count.integer > (lexer.size - lexer.position) / ENTRY_SIZE)
            return bad_xref(file, "a cross-reference table cut short", first.start);
        for (uint32_t i = 0; i < (uint32_t)count.integer; i++) {
            int r = read_entry(file, lexer.position, (uint32_t)first.integer + i);
            if (r != 0)
                return r;
            lexer.position += ENTRY_SIZE;
        }
    }
    *ret_end = lexer.position;
    return 0;
}

/* The trailer's dictionary has to be known before its table is read: /Size bounds the numbers. */
static bool find_trailer(const struct pdf_file *file, size_t position, size_t *ret_trailer)
{
    struct pdf_lexer lexer = pdf_lexer_at(file->bytes, position);
    struct pdf_token first, count;

    for (;;) {
        pdf_lex(&lexer, &first);
        if (pdf_token_is(&lexer, &first, "trailer"))
            break;
        pdf_lex(&lexer, &count);
        if (first.type != PDF_TOKEN_INTEGER || count.type != PDF_TOKEN_INTEGER || count.integer < 0)
            return false;
        pdf_skip_white(&lexer);
        if ((size_t)count.integer > (lexer.size - lexer.position) / ENTRY_SIZE)
            return false;
        lexer.position += (size_t)count.integer * ENTRY_SIZE;
    }
    *ret_trailer = lexer.position;
    return true;
}

static int read_trailer(struct pdf_file *file, struct pdf_tree *tree, size_t position,
                        struct pdf_value *ret_dictionary, size_t *ret_end)
{
    struct pdf_lexer lexer = pdf_lexer_at(file->bytes, position);
    struct pdf_token next;
    uint32_t root;

    int r = pdf_tree_parse(tree, &lexer, &root, &next);
    if (r != PDF_PARSED)
        return pdf_bad_syntax(file, r, "the trailer", position);
    struct pdf_value dictionary = {tree, root};
    if (!pdf_is(dictionary, PDF_DICTIONARY))
        return bad_xref(file, "a trailer that is no dictionary", position);
    *ret_dictionary = dictionary;
    *ret_end = pdf_node(dictionary)->end;
    return 0;
}

/* From the first trailer read, that of the last revision. */
static int take_size(struct pdf_file *file, struct pdf_value trailer, size_t position)
{
    if (file->newest)
        return 0;
    if (!pdf_integer(pdf_get(trailer, "Size"), 1, INT64_MAX, &file->size_entry))
        return bad_xref(file, "a trailer without /Size", position);
    if (file->size_entry > PDF_NUMBER_MAX)
        return pdf_over_limit(file, "object numbers");
    file->newest = calloc((size_t)file->size_entry, sizeof *file->newest);
    return file->newest ? 0 : -ENOMEM;
}

static void read_links(struct pdf_file *file, struct pdf_value trailer, struct section *section)
{
    struct pdf_value prev = pdf_get(trailer, "Prev"), hybrid = pdf_get(trailer, "XRefStm");
    int64_t size = (int64_t)file->bytes.size;

    if (!pdf_is(pdf_get(trailer, "Encrypt"), PDF_NULL))
        file->encrypted = true;
    section->has_prev = !pdf_is(prev, PDF_NULL);
    if (section->has_prev && !pdf_integer(prev, 0, size - 1, &section->prev)) {
        checks_fail(file->run, CHECK_PDF_PREV, "/Prev does not point into the file");
        section->has_prev = false;
    }
    if (section->is_stream || pdf_is(hybrid, PDF_NULL))
        return;
    checks_fail(file->run, CHECK_PDF_HYBRID,
                "the trailer at offset %zu shows other objects to newer readers (/XRefStm)",
                section->start);
    section->has_hybrid = pdf_integer(hybrid, 0, size - 1, &section->hybrid);
}

static int read_section(struct pdf_file *file, size_t position, struct section *ret_section)
{
    struct pdf_tree *tree = file->section_count == 0 ? &file->trailer : &file->scratch;
    struct pdf_lexer lexer = pdf_lexer_at(file->bytes, position);
    struct section section = {0};
    struct pdf_value dictionary;
    struct pdf_token keyword;
    size_t trailer, table_end;

    if (file->section_count == PDF_SECTION_MAX)
        return pdf_over_limit(file, "revisions");
    pdf_skip_white(&lexer);
    section.start = lexer.position;
    pdf_lex(&lexer, &keyword);
    file->section_first_object = file->object_count;
    int r = 0;
    if (keyword.start == section.start && pdf_token_is(&lexer, &keyword, "xref")) {
        if (!find_trailer(file, lexer.position, &trailer))
            return bad_xref(file, "a malformed cross-reference table", section.start);
        r = read_trailer(file, tree, trailer, &dictionary, &section.end);
        if (r == 0)
            r = take_size(file, dictionary, trailer);
        if (r == 0)
            r = read_table(file, lexer.position, &table_end);
    } else {
        section.is_stream = true;
        section.start = position;
        r = pdf_open_xref_stream(file, position, tree, &dictionary);
        if (r == 0)
            r = take_size(file, dictionary, position);
        if (r == 0)
            r = pdf_read_xref_stream(file, position, dictionary, &section.end);
    }
    if (r != 0)
        return r;
    if (file->section_count == 0)
        file->trailer_root = dictionary.index;
    file->section_starts[file->section_count++] = (uint32_t)section.start;
    read_links(file, dictionary, &section);
    /* Sections that overlap would be read over and over. */
    file->section_bytes += section.end - section.start;
    if (file->section_bytes > file->bytes.size)
        return bad_xref(file, "a cross-reference section inside another", section.start);
    *ret_section = section;
    return pdf_add_extent(file, section.start, section.end);
}

/* The end marks behind a section belong to it. */
static int take_end_marks(struct pdf_file *file, const struct section *section)
{
    struct pdf_lexer lexer = pdf_lexer_at(file->bytes, section->end);
    int64_t offset;
    size_t end;

    pdf_skip_white(&lexer);
    if (!read_end_marks(file, lexer.position, &offset, &end))
        return 0; /* what stands here instead is found by the sweep */
    return pdf_add_extent(file, lexer.position, end);
}

/* A linearized file's first section stands at its beginning and leads forward to the main one
 * (ISO 32000-1 annex F): the one step forward that is right. */
static bool is_linearized(const struct pdf_file *file)
{
    struct pdf_lexer lexer = pdf_lexer_at(file->bytes, 8);
    struct pdf_header header;
    struct pdf_token token;

    pdf_skip_blank(&lexer);
    if (!pdf_read_header(file, lexer.position, &header))
        return false;
    lexer.position = header.end;
    pdf_lex(&lexer, &token);
    if (token.type != PDF_TOKEN_DICTIONARY_OPEN)
        return false;
    pdf_lex(&lexer, &token);
    return token.type == PDF_TOKEN_NAME && token.hash == pdf_name_hash("Linearized");
}

static bool prev_is_sound(struct pdf_file *file, const struct section *section, bool *jumped)
{
    for (unsigned i = 0; i < file->section_count; i++) {
        if (file->section_starts[i] == section->prev)
            return checks_fail(file->run, CHECK_PDF_PREV, "/Prev leads in a circle") && false;
    }
    if ((size_t)section->prev < section->start)
        return true;
    if (!*jumped && is_linearized(file)) {
        *jumped = true;
        return true;
    }
    checks_fail(file->run, CHECK_PDF_PREV, "/Prev at offset %zu leads forward", section->start);
    return false;
}

int pdf_read_chain(struct pdf_file *file)
{
    size_t position = file->start_xref;
    bool jumped = false;

    for (;;) {
        struct section section, hybrid;
        int r = read_section(file, position, &section);
        if (r == 0)
            r = take_end_marks(file, &section);
        if (r == 0 && section.has_hybrid)
            r = read_section(file, (size_t)section.hybrid, &hybrid);
        if (r != 0)
            return r;
        if (!section.has_prev || !prev_is_sound(file, &section, &jumped))
            break;
        position = (size_t)section.prev;
    }
    checks_pass(file->run, CHECK_PDF_XREF_FORM);
    checks_pass(file->run, CHECK_PDF_PREV);
    checks_pass(file->run, CHECK_PDF_HYBRID);
    return 0;
}
