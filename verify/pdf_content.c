/*
 * R-4.2.1a: image data are Flate or CCITT Fax and nothing else, in image objects and inside content
 * streams. An image that belongs to the document is judged by a fixed check; one that nothing
 * refers to, or that a later revision replaced, by a policy check.
 */
#include "verify/pdf_content.h"

#include "verify/pdf_inline.h"

#include <stdio.h>

static bool belongs(const struct pdf_object *object)
{
    return object->current && object->reached;
}

/* The filters of an object as they stand in the file, for the report. */
static int describe_filter(struct pdf_file *file, const struct pdf_object *object, char *out,
                           size_t out_size)
{
    struct pdf_indirect indirect;

    int r = pdf_read_indirect(file, object->position, &file->scratch, &indirect);
    if (r != 0)
        return r;
    struct bytes raw = pdf_raw(pdf_get(indirect.value, "Filter"));
    size_t size = raw.size < out_size ? raw.size : out_size - 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = raw.data[i];
        out[i] = (char)(byte > ' ' && byte < 0x7f ? byte : ' ');
    }
    out[size] = '\0';
    return 0;
}

static int check_image(struct pdf_file *file, const struct pdf_object *object)
{
    enum check_id check = belongs(object) ? CHECK_IMAGE_FILTERS : CHECK_IMAGE_ORPHAN;
    char filter[64];

    if (object->traits & PDF_TRAIT_EXTERNAL)
        return checks_fail(file->run, check, "image data of object %u are in another file",
                           object->number)
                   ? 0
                   : PDF_STOP;
    if (object->traits & PDF_TRAIT_IMAGE_FILTER)
        return 0;
    if (object->traits & PDF_TRAIT_NO_FILTER) {
        checks_fail(file->run, CHECK_IMAGE_UNFILTERED, "image object %u has no filter",
                    object->number);
        return 0;
    }
    int r = describe_filter(file, object, filter, sizeof filter);
    if (r != 0)
        return r;
    return checks_fail(file->run, check, "image object %u has the filter %s", object->number,
                       filter)
               ? 0
               : PDF_STOP;
}

static int judge_inline(struct pdf_file *file, const struct pdf_object *object,
                        const struct pdf_inline_finding *finding)
{
    enum check_id check = belongs(object) ? CHECK_INLINE_IMAGES : CHECK_IMAGE_ORPHAN;
    bool go_on = true;

    switch (finding->finding) {
    case PDF_INLINE_FIT:
        break;
    case PDF_INLINE_UNFILTERED:
        checks_fail(file->run, CHECK_IMAGE_UNFILTERED,
                    "an inline image in content stream %u has no filter", object->number);
        break;
    case PDF_INLINE_UNFIT:
        go_on =
            checks_fail(file->run, check, "an inline image in content stream %u has the filter %s",
                        object->number, finding->filter);
        break;
    case PDF_INLINE_MALFORMED:
        go_on = checks_fail(file->run, check, "an inline image in content stream %u is malformed",
                            object->number);
        break;
    }
    return go_on ? 0 : PDF_STOP;
}

static int decode(struct pdf_file *file, const struct pdf_object *object, uint8_t **ret_data,
                  size_t *ret_size)
{
    struct bytes encoded = bytes_of(file->bytes.data + object->stream_start, object->stream_size);
    struct pdf_indirect indirect;

    if (object->traits & PDF_TRAIT_FLATE)
        return pdf_decode_flate(file, encoded, ret_data, ret_size);
    int r = pdf_read_indirect(file, object->position, &file->scratch, &indirect);
    return r != 0 ? r : pdf_decode_stream(file, indirect.value, encoded, ret_data, ret_size);
}

static int check_inline(struct pdf_file *file, const struct pdf_object *object)
{
    _cleanup_free_ uint8_t *data = NULL;
    struct pdf_inline_finding finding;
    size_t size;

    int r = decode(file, object, &data, &size);
    if (r < 0 || r == PDF_STOP)
        return r;
    if (r == PDF_FILTER_UNKNOWN) {
        checks_undecided(file->run, CHECK_INLINE_IMAGES,
                         "content stream %u has a filter that this program does not decode",
                         object->number);
        return 0;
    }
    if (r == PDF_DATA_BROKEN)
        return pdf_bad_syntax(file, PDF_MALFORMED, "the content stream", object->position);
    r = pdf_inline_scan(bytes_of(data, size), PDF_INFLATE_MAX - file->inflated, &finding);
    if (r < 0)
        return r;
    file->inflated += finding.inflated;
    return judge_inline(file, object, &finding);
}

static int check_stream(struct pdf_file *file, const struct pdf_object *object)
{
    bool says_image = object->traits & PDF_TRAIT_IMAGE;
    bool image = says_image || (object->roles & PDF_ROLE_IMAGE);
    /* A form is one whatever key leads to it: resources may be named /Image or /Mask, too. */
    bool content = (object->traits & PDF_TRAIT_FORM) ||
                   (!says_image && (object->roles & (PDF_ROLE_CONTENT | PDF_ROLE_XOBJECT)));
    int r = 0;

    if (image)
        r = check_image(file, object);
    else if (object->traits & PDF_TRAIT_EXTERNAL)
        checks_fail(file->run, CHECK_EXTERNAL_STREAM, "the data of stream %u are in another file",
                    object->number);
    if (r == 0 && content)
        r = check_inline(file, object);
    return r;
}

int pdf_check_content(struct pdf_file *file, uint32_t signature)
{
    for (uint32_t i = 0; i < file->object_count; i++) {
        const struct pdf_object *object = &file->objects[i];
        if ((object->traits & PDF_TRAIT_SIGNATURE) && object->number != signature)
            checks_fail(file->run, CHECK_OTHER_SIGNATURE, "object %u looks like a signature too",
                        object->number);
        if (!(object->traits & PDF_STREAM))
            continue;
        int r = check_stream(file, object);
        if (r != 0)
            return r;
    }
    for (unsigned check = CHECK_CONTENT_FIRST; check <= CHECK_CONTENT_LAST; check++)
        checks_pass(file->run, check);
    return 0;
}
