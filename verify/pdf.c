/*
 * The way of one PDF document, in the order of the tables of checks: structure, signature, CMS,
 * certificate path, content. Every step either comes to its end or ends the run.
 */
#include "verify/pdf.h"

#include "verify/cms.h"
#include "verify/pdf_content.h"
#include "verify/pdf_signature.h"

enum { CLOCK_SLACK_S = 24 * 3600 };

static void cleanup_file(struct pdf_file **slot)
{
    if (*slot)
        pdf_file_done(*slot);
    free(*slot);
}

static int read_header(struct pdf_file *file)
{
    const uint8_t *data = file->bytes.data;
    size_t size = file->bytes.size, end = 8;

    if (!checks_that(file->run, CHECK_PDF_HEADER,
                     size > end && memcmp(data, "%PDF-1.", 7) == 0 && data[7] >= '0' &&
                         data[7] <= '7' && pdf_is_white(data[8]),
                     "the file does not begin with %%PDF-1.0 to %%PDF-1.7"))
        return PDF_STOP;
    while (end < size && pdf_is_white(data[end]))
        end++;
    /* The comment of binary characters (7.5.2). */
    if (end < size && data[end] == '%') {
        while (end < size && data[end] != '\n' && data[end] != '\r')
            end++;
    }
    return pdf_add_extent(file, 0, end);
}

static int read_structure(struct pdf_file *file)
{
    if (file->bytes.size > PDF_FILE_SIZE_MAX)
        return pdf_over_limit(file, "size of the file");
    int r = read_header(file);
    if (r == 0)
        r = pdf_read_tail(file);
    if (r == 0)
        r = pdf_read_chain(file);
    if (r != 0)
        return r;
    checks_that(file->run, CHECK_PDF_ENCRYPTION, !file->encrypted, "the file is encrypted");
    if (file->encrypted) {
        checks_undecided(file->run, CHECK_PDF_READABLE,
                         "the file is encrypted, so nothing in it can be judged");
        return PDF_STOP;
    }
    checks_pass(file->run, CHECK_PDF_READABLE);
    r = pdf_sweep(file);
    if (r == 0)
        r = pdf_connect(file);
    if (r == 0)
        checks_pass(file->run, CHECK_PDF_XREF);
    return r;
}

/* The digest of the signed ranges and that of the whole file share their beginning. */
static int hash_document(struct bytes document, const struct pdf_signature *signature,
                         uint8_t ret_signed[SHA256_SIZE], uint8_t ret_whole[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *whole = sha256_stream_new(), *part = NULL;
    size_t rest = document.size - signature->gap_end;
    const uint8_t *behind = document.data + signature->gap_end;

    int r = whole ? sha256_stream_update(whole, document.data, signature->gap_start) : -ENOMEM;
    if (r == 0)
        part = sha256_stream_copy(whole);
    if (r == 0)
        r = part ? sha256_stream_update(part, behind, rest) : -ENOMEM;
    if (r == 0)
        r = sha256_stream_update(whole, document.data + signature->gap_start,
                                 document.size - signature->gap_start);
    if (r == 0)
        r = sha256_stream_finish(part, ret_signed);
    return r < 0 ? r : sha256_stream_finish(whole, ret_whole);
}

static uint8_t *decode_contents(struct bytes digits, size_t *ret_size)
{
    uint8_t *token = malloc(digits.size / 2 + 1);

    if (!token)
        return NULL;
    for (size_t i = 0; i < digits.size; i += 2) {
        /* Of an odd number of digits the last is followed by a zero (7.3.4.3). */
        int low = i + 1 < digits.size ? pdf_hex_value(digits.data[i + 1]) : 0;
        token[i / 2] = (uint8_t)(pdf_hex_value(digits.data[i]) << 4 | low);
    }
    *ret_size = (digits.size + 1) / 2;
    return token;
}

static void note_date(struct check_run *run, const struct path_signer *signer, int64_t signing_s,
                      int64_t time_s)
{
    bool in_validity = signer->not_before_s <= signing_s && signing_s <= signer->not_after_s;
    bool in_past = signing_s <= time_s + CLOCK_SLACK_S;

    checks_that(run, CHECK_SIG_DATE_PLAUSIBLE, in_validity && in_past, "/M lies %s",
                in_validity ? "in the future" : "outside the validity of the signer's certificate");
}

static int check_cms(struct pdf_file *file, struct verify_trust *trust,
                     const struct pdf_signature *signature, const struct verify_request *request,
                     struct verdict *verdict)
{
    struct check_run *run = file->run;
    uint8_t digest[SHA256_SIZE];
    const struct path_signer *signer;
    struct cms cms;
    size_t size;

    int r = hash_document(file->bytes, signature, digest, verdict->document_sha256);
    if (r < 0)
        return r;
    _cleanup_free_ uint8_t *token = decode_contents(signature->contents, &size);
    if (!token)
        return -ENOMEM;
    if (!cms_parse(run, bytes_of(token, size), &cms))
        return PDF_STOP;
    r = cms_verify(run, trust, &cms, digest, &signer);
    if (r < 0)
        return r;
    if (!signer)
        return PDF_STOP;
    note_date(run, signer, signature->signing_time_s, verify_received_s(request));
    verdict->signing_time_s = signature->signing_time_s;
    r = path_check(run, trust, request, verdict);
    if (r < 0)
        return r;
    return checks_going(run) ? 0 : PDF_STOP;
}

static int check_file(struct pdf_file *file, struct verify_trust *trust,
                      const struct verify_request *request, struct verdict *verdict)
{
    struct pdf_signature signature = {0};

    int r = read_structure(file);
    if (r == 0)
        r = pdf_find_signature(file, &signature);
    if (r == 0)
        r = pdf_check_signature(file, &signature);
    if (r == 0)
        r = check_cms(file, trust, &signature, request, verdict);
    if (r == 0)
        r = pdf_check_content(file, signature.number);
    if (r == 0)
        checks_pass(file->run, CHECK_PDF_LIMITS);
    return r;
}

int verify_pdf(struct check_run *run, struct verify_trust *trust,
               const struct verify_request *request, struct bytes document, struct verdict *verdict,
               bool *ret_complete)
{
    _cleanup_(cleanup_file) struct pdf_file *file = calloc(1, sizeof *file);
    static const uint8_t none[SHA256_SIZE];

    if (!file)
        return -ENOMEM;
    file->bytes = document;
    file->run = run;
    pdf_keys_init(&file->keys);
    int r = check_file(file, trust, request, verdict);
    if (r < 0)
        return r;
    /* The run ended before the document was hashed. */
    if (memcmp(verdict->document_sha256, none, sizeof none) == 0 &&
        sha256(document.data, document.size, verdict->document_sha256) < 0)
        return -ENOMEM;
    *ret_complete = r == 0 && checks_all_noted(run, CHECK_PDF_FIRST, CHECK_PDF_LAST) &&
                    checks_all_noted(run, CHECK_PATH_FIRST, CHECK_PATH_LAST) &&
                    checks_all_noted(run, CHECK_CONTENT_FIRST, CHECK_CONTENT_LAST);
    return 0;
}
