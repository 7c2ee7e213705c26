/*
 * Decoding of streams: none, Flate, and Flate with PNG predictors (ISO 32000-1 7.4.4). Everything
 * else is reported as unknown; image data are never decoded. All inflated bytes of a file together
 * are bounded.
 */
#include "verify/pdf_file.h"

#include <zlib.h>

enum { OUTPUT_MIN = 4096, FILTERS_MAX = 4, COLUMNS_MAX = 1024 * 1024, COLORS_MAX = 32 };

struct predictor {
    bool png;
    size_t pixel; /* bytes from one pixel to the one left of it, at least 1 */
    size_t row;   /* bytes in a row, without its tag */
};

struct output {
    uint8_t *data;
    size_t size, capacity;
};

/* Room for more, within what is left of the file's budget. */
static int grow(struct pdf_file *file, struct output *output, size_t wanted)
{
    uint64_t left = PDF_INFLATE_MAX - file->inflated;
    size_t capacity = wanted < OUTPUT_MIN ? OUTPUT_MIN : wanted;

    if (output->size >= left)
        return pdf_over_limit(file, "inflated bytes in all streams together");
    if (capacity > left)
        capacity = (size_t)left;
    uint8_t *data = realloc(output->data, capacity);
    if (!data)
        return -ENOMEM;
    output->data = data;
    output->capacity = capacity;
    return 0;
}

static int run_inflate(struct pdf_file *file, z_stream *stream, struct bytes encoded,
                       struct output *output)
{
    int r = grow(file, output, encoded.size * 8);

    stream->next_in = (Bytef *)(uintptr_t)encoded.data;
    stream->avail_in = (uInt)encoded.size;
    while (r == 0) {
        stream->next_out = output->data + output->size;
        stream->avail_out = (uInt)(output->capacity - output->size);
        /* Z_FINISH: in one go when there is room, without a copy of the window. */
        int z = inflate(stream, Z_FINISH);
        output->size = output->capacity - stream->avail_out;
        if (z == Z_STREAM_END)
            break;
        if (z != Z_OK && z != Z_BUF_ERROR)
            return z == Z_MEM_ERROR ? -ENOMEM : PDF_DATA_BROKEN;
        if (stream->avail_out != 0)
            return PDF_DATA_BROKEN; /* the data end too early */
        r = grow(file, output, output->capacity * 2);
    }
    return r;
}

static int inflate_all(struct pdf_file *file, struct bytes encoded, struct output *ret_output)
{
    struct output output = {0};
    z_stream stream = {0};

    if (inflateInit(&stream) != Z_OK)
        return -ENOMEM;
    int r = run_inflate(file, &stream, encoded, &output);
    inflateEnd(&stream);
    file->inflated += output.size;
    if (r != 0) {
        free(output.data);
        return r;
    }
    *ret_output = output;
    return 0;
}

static uint8_t paeth(uint8_t left, uint8_t up, uint8_t corner)
{
    int estimate = left + up - corner;
    int to_left = abs(estimate - left), to_up = abs(estimate - up);
    int to_corner = abs(estimate - corner);

    if (to_left <= to_up && to_left <= to_corner)
        return left;
    return to_up <= to_corner ? up : corner;
}

/* One row of PNG (RFC 2083 6): `row` is decoded in place, `above` is the decoded row before it. */
static bool undo_row(uint8_t tag, uint8_t *row, const uint8_t *above, const struct predictor *p)
{
    for (size_t i = 0; i < p->row; i++) {
        uint8_t left = i >= p->pixel ? row[i - p->pixel] : 0;
        uint8_t up = above ? above[i] : 0;
        uint8_t corner = above && i >= p->pixel ? above[i - p->pixel] : 0;
        switch (tag) {
        case 0:
            return true;
        case 1:
            row[i] = (uint8_t)(row[i] + left);
            break;
        case 2:
            row[i] = (uint8_t)(row[i] + up);
            break;
        case 3:
            row[i] = (uint8_t)(row[i] + (left + up) / 2);
            break;
        case 4:
            row[i] = (uint8_t)(row[i] + paeth(left, up, corner));
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Moves the rows together while it decodes them: a decoded row is never ahead of its source. */
static int undo_png(struct output *output, const struct predictor *p)
{
    size_t in = 0, out = 0;
    const uint8_t *above = NULL;

    while (in < output->size) {
        if (output->size - in < p->row + 1)
            return PDF_DATA_BROKEN;
        uint8_t tag = output->data[in];
        memmove(output->data + out, output->data + in + 1, p->row);
        if (!undo_row(tag, output->data + out, above, p))
            return PDF_DATA_BROKEN;
        above = output->data + out;
        in += p->row + 1;
        out += p->row;
    }
    output->size = out;
    return 0;
}

static int integer_or(struct pdf_file *file, struct pdf_value parameters, const char *key,
                      int64_t most, int64_t otherwise, int64_t *ret_value)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value value = pdf_get(parameters, key);

    int r = pdf_resolve(file, value, &tree, &value);
    if (r != 0)
        return r;
    if (pdf_is(value, PDF_NULL))
        *ret_value = otherwise;
    else if (!pdf_integer(value, 1, most, ret_value))
        return PDF_DATA_BROKEN;
    return 0;
}

static int read_predictor(struct pdf_file *file, struct pdf_value parameters,
                          struct predictor *ret_predictor)
{
    int64_t kind, colors, bits, columns;

    *ret_predictor = (struct predictor){0};
    if (pdf_is(parameters, PDF_NULL))
        return 0;
    if (!pdf_is(parameters, PDF_DICTIONARY))
        return PDF_DATA_BROKEN;
    int r = integer_or(file, parameters, "Predictor", 15, 1, &kind);
    if (r == 0)
        r = integer_or(file, parameters, "Colors", COLORS_MAX, 1, &colors);
    if (r == 0)
        r = integer_or(file, parameters, "BitsPerComponent", 16, 8, &bits);
    if (r == 0)
        r = integer_or(file, parameters, "Columns", COLUMNS_MAX, 1, &columns);
    if (r != 0 || kind == 1)
        return r;
    if (kind < 10)
        return PDF_FILTER_UNKNOWN; /* the TIFF predictor, made for images */
    *ret_predictor = (struct predictor){
        .png = true,
        .pixel = (size_t)((colors * bits + 7) / 8),
        .row = (size_t)((colors * bits * columns + 7) / 8),
    };
    return 0;
}

/* Filters and their parameters, one or an array of each; an entry may be a reference. */
static int read_filters(struct pdf_file *file, struct pdf_value dictionary,
                        struct predictor predictors[FILTERS_MAX], unsigned *ret_count)
{
    _cleanup_pdf_tree_ struct pdf_tree filter_tree = {0};
    _cleanup_pdf_tree_ struct pdf_tree parameter_tree = {0};
    struct pdf_value filters, parameters;
    unsigned count = 0;

    int r = pdf_resolve(file, pdf_get(dictionary, "Filter"), &filter_tree, &filters);
    if (r == 0)
        r = pdf_resolve(file, pdf_get(dictionary, "DecodeParms"), &parameter_tree, &parameters);
    if (r != 0)
        return r;
    bool many = pdf_is(filters, PDF_ARRAY);
    struct pdf_value filter = many ? pdf_first(filters) : filters;
    while (filter.index) {
        _cleanup_pdf_tree_ struct pdf_tree name_tree = {0}, entry_tree = {0};
        struct pdf_value name, entry = parameters;
        if (many && pdf_is(parameters, PDF_ARRAY))
            entry = pdf_at(parameters, count);
        r = pdf_resolve(file, filter, &name_tree, &name);
        if (r == 0)
            r = pdf_resolve(file, entry, &entry_tree, &entry);
        if (r != 0)
            return r;
        if (count == FILTERS_MAX || !pdf_is_name(name, "FlateDecode"))
            return PDF_FILTER_UNKNOWN;
        r = read_predictor(file, entry, &predictors[count++]);
        if (r != 0)
            return r;
        filter = many ? pdf_next(filter) : (struct pdf_value){filters.tree, 0};
    }
    *ret_count = count;
    return 0;
}

int pdf_decode_flate(struct pdf_file *file, struct bytes encoded, uint8_t **ret_data,
                     size_t *ret_size)
{
    struct output output;

    int r = inflate_all(file, encoded, &output);
    if (r != 0)
        return r;
    *ret_data = output.data;
    *ret_size = output.size;
    return 0;
}

int pdf_decode_stream(struct pdf_file *file, struct pdf_value dictionary, struct bytes encoded,
                      uint8_t **ret_data, size_t *ret_size)
{
    struct predictor predictors[FILTERS_MAX];
    struct output output = {0};
    unsigned count = 0;

    int r = read_filters(file, dictionary, predictors, &count);
    if (r != 0)
        return r;
    if (count == 0) {
        r = grow(file, &output, encoded.size);
        if (r == 0 && output.capacity < encoded.size)
            r = pdf_over_limit(file, "inflated bytes in all streams together");
        if (r == 0 && encoded.size)
            memcpy(output.data, encoded.data, encoded.size);
        output.size = encoded.size;
        file->inflated += encoded.size;
    }
    for (unsigned i = 0; i < count && r == 0; i++) {
        struct output next = {0};
        r = inflate_all(file, i ? bytes_of(output.data, output.size) : encoded, &next);
        if (r == 0 && predictors[i].png)
            r = undo_png(&next, &predictors[i]);
        free(output.data);
        output = next;
    }
    if (r != 0) {
        free(output.data);
        return r;
    }
    *ret_data = output.data;
    *ret_size = output.size;
    return 0;
}
