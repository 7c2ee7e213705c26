/*
 * The signature dictionary (ISO 32000-1 12.8.1, table 252) and what it binds. The offsets of
 * /Contents are those of our own parser, so that what /ByteRange leaves out is what is parsed as
 * the signature, to the byte.
 */
#include "verify/pdf_signature.h"

#include "verify/pdf_date.h"

enum { TEXT_MAX = 256 };

static const char minister[] = "Minister of Justice";

static bool check_entries(struct check_run *run, struct pdf_value dictionary)
{
    if (!checks_that(run, CHECK_SIG_TYPE, pdf_is_name(pdf_get(dictionary, "Type"), "Sig"),
                     "/Type of the signature dictionary is not /Sig") ||
        !checks_that(run, CHECK_SIG_FILTER, pdf_is(pdf_get(dictionary, "Filter"), PDF_NAME),
                     "/Filter of the signature dictionary is not a name") ||
        !checks_that(run, CHECK_SIG_SUBFILTER,
                     pdf_is_name(pdf_get(dictionary, "SubFilter"), "adbe.pkcs7.detached"),
                     "/SubFilter of the signature dictionary is not /adbe.pkcs7.detached"))
        return false;
    checks_that(run, CHECK_SIG_CERT_ENTRY, pdf_is(pdf_get(dictionary, "Cert"), PDF_NULL),
                "the signature dictionary has /Cert");
    return true;
}

/* True if `text` is `ascii` behind a UTF-16BE or UTF-8 byte order mark. */
static bool is_unicode_of(struct bytes text, struct bytes ascii)
{
    if (text.size == ascii.size + 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        return memcmp(text.data + 3, ascii.data, ascii.size) == 0;
    if (text.size != ascii.size * 2 + 2 || memcmp(text.data, "\xfe\xff", 2) != 0)
        return false;
    for (size_t i = 0; i < ascii.size; i++) {
        if (text.data[2 + 2 * i] != 0 || text.data[3 + 2 * i] != ascii.data[i])
            return false;
    }
    return true;
}

static bool check_name(struct check_run *run, struct pdf_value value)
{
    struct bytes expected = bytes_of(minister, sizeof minister - 1);
    uint8_t text[TEXT_MAX];
    size_t size;

    if (!pdf_string(value, text, sizeof text, &size))
        return checks_fail(run, CHECK_SIG_NAME, "/Name is missing or is not a text string");
    if (bytes_equal(bytes_of(text, size), expected)) {
        checks_pass(run, CHECK_SIG_NAME);
        checks_pass(run, CHECK_SIG_NAME_ENCODING);
        return true;
    }
    if (!checks_that(run, CHECK_SIG_NAME, is_unicode_of(bytes_of(text, size), expected),
                     "/Name is not Minister of Justice"))
        return false;
    checks_fail(run, CHECK_SIG_NAME_ENCODING, "/Name is written in Unicode");
    return true;
}

static bool check_date(struct check_run *run, struct pdf_value value, int64_t *ret_seconds)
{
    struct pdf_date date = {0};
    uint8_t text[TEXT_MAX];
    size_t size;

    if (!checks_that(run, CHECK_SIG_DATE,
                     pdf_string(value, text, sizeof text, &size) &&
                         pdf_date_parse(bytes_of(text, size), &date),
                     "/M is missing or is not a date that exists"))
        return false;
    checks_that(run, CHECK_SIG_DATE_COMPLETE, date.complete,
                "/M does not say the time of signing to the second");
    *ret_seconds = date.seconds;
    return true;
}

/* Reads [a b c d]; the second range begins at the end of what is left out. */
static bool check_byterange(struct check_run *run, struct pdf_value array, size_t file_size,
                            struct pdf_signature *signature)
{
    struct pdf_value item = pdf_first(array);
    int64_t numbers[4] = {0};
    bool plain = true;

    bool valid = pdf_is(array, PDF_ARRAY) && pdf_count(array) == 4;
    for (int i = 0; valid && i < 4; i++, item = pdf_next(item)) {
        valid = pdf_integer(item, 0, INT64_MAX, &numbers[i]);
        plain = plain && pdf_node(item)->digits_only;
    }
    if (!checks_that(run, CHECK_BYTERANGE, valid && numbers[0] == 0 && numbers[2] > numbers[1],
                     "/ByteRange is not four numbers: from 0, and a second range behind the first"))
        return false;
    checks_that(run, CHECK_BYTERANGE_PLAIN, plain, "a number in /ByteRange has a sign");
    int64_t size = (int64_t)file_size;
    if (!checks_that(run, CHECK_BYTERANGE_COVERS,
                     numbers[2] <= size && numbers[3] == size - numbers[2],
                     "the signed range does not end with the file"))
        return false;
    signature->gap_start = (size_t)numbers[1];
    signature->gap_end = (size_t)numbers[2];
    return true;
}

/* White space behind the token means nothing to a reader, whatever an attacker makes of it; so it
 * is kept apart from all else that a gap may hold besides the token. */
static bool check_gap(struct check_run *run, struct pdf_value contents,
                      const struct pdf_signature *signature)
{
    const uint8_t *data = contents.tree->source.data;
    size_t end = pdf_node(contents)->end;

    while (end < signature->gap_end && pdf_is_white(data[end]))
        end++;
    if (!checks_that(run, CHECK_BYTERANGE_GAP,
                     pdf_node(contents)->start == signature->gap_start && end == signature->gap_end,
                     "what /ByteRange leaves out (%zu to %zu) is not the value of /Contents "
                     "(%u to %u)",
                     signature->gap_start, signature->gap_end, pdf_node(contents)->start,
                     pdf_node(contents)->end))
        return false;
    checks_that(run, CHECK_BYTERANGE_TIGHT, pdf_node(contents)->end == signature->gap_end,
                "/ByteRange leaves out white space behind /Contents");
    return true;
}

static bool check_contents(struct check_run *run, struct pdf_value contents,
                           struct pdf_signature *signature)
{
    struct bytes raw = pdf_raw(contents);
    bool digits = pdf_is(contents, PDF_HEX) && raw.size > 2;

    for (size_t i = 1; digits && i < raw.size - 1; i++)
        digits = pdf_hex_value(raw.data[i]) >= 0;
    if (!checks_that(run, CHECK_CONTENTS, digits,
                     "/Contents is not a string of hexadecimal digits"))
        return false;
    checks_that(run, CHECK_CONTENTS_EVEN, raw.size % 2 == 0,
                "/Contents has an odd number of digits");
    signature->contents = bytes_of(raw.data + 1, raw.size - 2);
    return check_gap(run, contents, signature);
}

int pdf_check_signature(struct pdf_file *file, struct pdf_signature *signature)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct check_run *run = file->run;
    const struct pdf_object *object = pdf_find(file, signature->number, signature->generation);
    struct pdf_indirect indirect;

    int r = pdf_read_indirect(file, object->position, &tree, &indirect);
    if (r != 0)
        return r;
    struct pdf_value dictionary = indirect.value;
    if (!checks_that(run, CHECK_SIG_DICTIONARY,
                     pdf_is(dictionary, PDF_DICTIONARY) && !indirect.has_stream,
                     "the field's /V does not refer to a dictionary"))
        return PDF_STOP;
    bool holds =
        check_entries(run, dictionary) && check_name(run, pdf_get(dictionary, "Name")) &&
        check_date(run, pdf_get(dictionary, "M"), &signature->signing_time_s) &&
        check_byterange(run, pdf_get(dictionary, "ByteRange"), file->bytes.size, signature) &&
        check_contents(run, pdf_get(dictionary, "Contents"), signature);
    return holds ? 0 : PDF_STOP;
}
