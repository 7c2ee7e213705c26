/*
 * Content streams are not read as a program: only strings and comments are skipped, so that BI is
 * seen where it is an operator and nowhere else. The end of an image is known exactly for Flate
 * (zlib says where its data end) and for unfiltered data of known shape; CCITT data are searched
 * for an EI that stands alone and is followed by text.
 */
#include "verify/pdf_inline.h"

#include "verify/pdf_lex.h"

#include <zlib.h>

enum { LOOK_AHEAD = 32, PIECE = 16 * 1024, ENTRIES_MAX = 64, SIDE_MAX = 1 << 20 };

struct image {
    bool has_filter, unfit, first_is_flate;
    int64_t width, height, bits, colors; /* 0 = unknown */
    bool mask;
};

struct scan {
    struct bytes content;
    size_t position;
    uint64_t inflate_max;
    struct pdf_inline_finding *finding;
};

static bool is_one_of(struct bytes raw, const char *name, const char *abbreviation)
{
    return pdf_name_equals(raw, name) || pdf_name_equals(raw, abbreviation);
}

static void worsen(struct scan *scan, enum pdf_inline finding)
{
    if (finding > scan->finding->finding)
        scan->finding->finding = finding;
}

static void take_filter(struct scan *scan, struct image *image, struct bytes raw)
{
    bool flate = is_one_of(raw, "FlateDecode", "Fl");

    if (!image->has_filter)
        image->first_is_flate = flate;
    image->has_filter = true;
    if (flate || is_one_of(raw, "CCITTFaxDecode", "CCF"))
        return;
    image->unfit = true;
    size_t size =
        raw.size < sizeof scan->finding->filter ? raw.size : sizeof scan->finding->filter - 1;
    for (size_t i = 0; i < size; i++)
        scan->finding->filter[i] =
            (char)(raw.data[i] > ' ' && raw.data[i] < 0x7f ? raw.data[i] : '?');
    scan->finding->filter[size] = '\0';
}

static int64_t colors_of(struct bytes raw)
{
    if (is_one_of(raw, "DeviceGray", "G") || is_one_of(raw, "Indexed", "I"))
        return 1;
    if (is_one_of(raw, "DeviceRGB", "RGB"))
        return 3;
    return is_one_of(raw, "DeviceCMYK", "CMYK") ? 4 : 0;
}

static void take_number(struct image *image, struct bytes key, int64_t value)
{
    if (value < 0 || value > SIDE_MAX)
        return;
    if (is_one_of(key, "Width", "W"))
        image->width = value;
    else if (is_one_of(key, "Height", "H"))
        image->height = value;
    else if (is_one_of(key, "BitsPerComponent", "BPC") && value <= 16)
        image->bits = value;
}

/* One value: a token, or a container with what is inside. */
static bool take_value(struct scan *scan, struct pdf_lexer *lexer, struct bytes key,
                       struct image *image)
{
    bool filter = is_one_of(key, "Filter", "F"), color = is_one_of(key, "ColorSpace", "CS");
    unsigned depth = 0, names = 0;

    do {
        struct pdf_token token;
        pdf_lex(lexer, &token);
        struct bytes raw = bytes_of(lexer->data + token.start, token.end - token.start);
        switch (token.type) {
        case PDF_TOKEN_ARRAY_OPEN:
        case PDF_TOKEN_DICTIONARY_OPEN:
            if (++depth > 8)
                return false;
            break;
        case PDF_TOKEN_ARRAY_CLOSE:
        case PDF_TOKEN_DICTIONARY_CLOSE:
            if (depth-- == 0)
                return false;
            break;
        case PDF_TOKEN_NAME:
            if (filter)
                take_filter(scan, image, raw);
            if (color && names++ == 0)
                image->colors = colors_of(raw);
            break;
        case PDF_TOKEN_INTEGER:
            if (depth == 0)
                take_number(image, key, token.integer);
            break;
        case PDF_TOKEN_KEYWORD:
            if (is_one_of(key, "ImageMask", "IM") && pdf_token_is(lexer, &token, "true"))
                image->mask = true;
            else if (!pdf_token_is(lexer, &token, "false") &&
                     !pdf_token_is(lexer, &token, "true") && !pdf_token_is(lexer, &token, "null"))
                return false;
            break;
        case PDF_TOKEN_REAL:
        case PDF_TOKEN_STRING:
        case PDF_TOKEN_HEX:
            break;
        case PDF_TOKEN_END:
        case PDF_TOKEN_ERROR:
            return false;
        }
    } while (depth);
    return true;
}

/* From behind BI to behind ID and its one white-space character. */
static bool read_entries(struct scan *scan, struct image *image)
{
    struct pdf_lexer lexer = pdf_lexer_at(scan->content, scan->position);

    for (unsigned entries = 0; entries < ENTRIES_MAX; entries++) {
        struct pdf_token key;
        pdf_lex(&lexer, &key);
        if (pdf_token_is(&lexer, &key, "ID")) {
            if (lexer.position == lexer.size || !pdf_is_white(lexer.data[lexer.position]))
                return false;
            /* "ID CR LF": one end-of-line, as producers write it. */
            if (lexer.data[lexer.position] == '\r' && lexer.size - lexer.position > 1 &&
                lexer.data[lexer.position + 1] == '\n')
                lexer.position++;
            scan->position = lexer.position + 1;
            return true;
        }
        if (key.type != PDF_TOKEN_NAME ||
            !take_value(scan, &lexer, bytes_of(lexer.data + key.start, key.end - key.start), image))
            return false;
    }
    return false;
}

/* Expects EI, perhaps behind white space. */
static bool take_end(struct scan *scan)
{
    struct pdf_lexer lexer = pdf_lexer_at(scan->content, scan->position);
    struct pdf_token token;

    pdf_skip_white(&lexer);
    pdf_lex(&lexer, &token);
    if (!pdf_token_is(&lexer, &token, "EI"))
        return false;
    scan->position = token.end;
    return true;
}

static int skip_flate(struct scan *scan, bool *ret_found)
{
    uint8_t piece[PIECE];
    z_stream stream = {0};
    int z = Z_OK;

    *ret_found = false;
    if (inflateInit(&stream) != Z_OK)
        return -ENOMEM;
    stream.next_in = (Bytef *)(uintptr_t)(scan->content.data + scan->position);
    stream.avail_in = (uInt)(scan->content.size - scan->position);
    while (z == Z_OK && scan->finding->inflated <= scan->inflate_max) {
        stream.next_out = piece;
        stream.avail_out = sizeof piece;
        z = inflate(&stream, Z_NO_FLUSH);
        scan->finding->inflated += sizeof piece - stream.avail_out;
    }
    size_t used = stream.total_in;
    inflateEnd(&stream);
    if (z == Z_MEM_ERROR)
        return -ENOMEM;
    if (z == Z_STREAM_END) {
        scan->position += used;
        *ret_found = take_end(scan);
    }
    return 0;
}

/* The size of unfiltered data, or 0 if the dictionary does not tell. */
static size_t raw_size(const struct image *image)
{
    int64_t bits = image->mask ? 1 : image->bits * image->colors;

    return (size_t)((image->width * bits + 7) / 8 * image->height);
}

static bool is_text(uint8_t byte)
{
    return (byte >= ' ' && byte < 0x7f) || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool ends_here(struct bytes content, size_t position)
{
    const uint8_t *data = content.data;
    size_t left = content.size - position;

    if (data[position] != 'E' || left < 2 || data[position + 1] != 'I' ||
        !pdf_is_white(data[position - 1]) || (left > 2 && !pdf_is_white(data[position + 2])))
        return false;
    for (size_t i = 2; i < left && i < LOOK_AHEAD; i++) {
        if (!is_text(data[position + i]))
            return false;
    }
    return true;
}

static bool search_end(struct scan *scan)
{
    for (size_t i = scan->position; i < scan->content.size; i++) {
        if (ends_here(scan->content, i)) {
            scan->position = i + 2;
            return true;
        }
    }
    return false;
}

static int take_image(struct scan *scan)
{
    struct image image = {.bits = 0};
    bool found = false;
    int r = 0;

    if (!read_entries(scan, &image)) {
        worsen(scan, PDF_INLINE_MALFORMED);
        scan->position = scan->content.size;
        return 0;
    }
    if (image.unfit) {
        worsen(scan, PDF_INLINE_UNFIT);
        scan->position = scan->content.size;
        return 0;
    }
    size_t size = image.has_filter ? 0 : raw_size(&image);
    if (!image.has_filter)
        worsen(scan, PDF_INLINE_UNFILTERED);
    if (image.first_is_flate) {
        r = skip_flate(scan, &found);
    } else if (size && size <= scan->content.size - scan->position) {
        scan->position += size;
        found = take_end(scan);
    } else {
        found = search_end(scan);
    }
    if (!found) {
        worsen(scan, PDF_INLINE_MALFORMED);
        scan->position = scan->content.size;
    }
    return r;
}

static size_t skip_string(struct bytes content, size_t position)
{
    size_t depth = 0;

    for (; position < content.size; position++) {
        uint8_t byte = content.data[position];
        if (byte == '\\') {
            position++;
        } else if (byte == '(') {
            depth++;
        } else if (byte == ')' && --depth == 0) {
            return position + 1;
        }
    }
    return content.size;
}

static size_t skip_until(struct bytes content, size_t position, uint8_t one, uint8_t other)
{
    while (position < content.size && content.data[position] != one &&
           content.data[position] != other)
        position++;
    return position;
}

static bool is_begin(struct bytes content, size_t position)
{
    size_t left = content.size - position;

    return left > 2 && content.data[position + 1] == 'I' &&
           !pdf_is_regular(content.data[position + 2]) &&
           (position == 0 ||
            (!pdf_is_regular(content.data[position - 1]) && content.data[position - 1] != '/'));
}

/* Most streams have no BI anywhere, in a string or not, and need no closer look. */
static bool may_have_image(struct bytes content)
{
    const uint8_t *next = content.data, *end = content.data + content.size;

    while (next < end && (next = memchr(next, 'B', (size_t)(end - next)))) {
        if (is_begin(content, (size_t)(next - content.data)))
            return true;
        next++;
    }
    return false;
}

int pdf_inline_scan(struct bytes content, uint64_t inflate_max,
                    struct pdf_inline_finding *ret_finding)
{
    struct scan scan = {.content = content, .inflate_max = inflate_max, .finding = ret_finding};
    int r = 0;

    *ret_finding = (struct pdf_inline_finding){.finding = PDF_INLINE_FIT};
    if (!may_have_image(content))
        return 0;
    while (scan.position < content.size && r == 0) {
        size_t i = scan.position;
        uint8_t byte = content.data[i];
        if (byte == '(') {
            scan.position = skip_string(content, i);
        } else if (byte == '%') {
            scan.position = skip_until(content, i, '\n', '\r');
        } else if (byte == 'B' && is_begin(content, i)) {
            scan.position = i + 2;
            r = take_image(&scan);
        } else {
            scan.position = i + 1;
        }
    }
    return r;
}
