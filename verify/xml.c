/*
 * The path of an XML document: bytes, tree, shape of the signature, cryptography, signer, schema.
 * Each step needs the one before; a fixed check that fails ends the path.
 */
#include "verify/xml.h"

#include "verify/dsig.h"
#include "verify/schema.h"
#include "verify/xml_content.h"
#include "verify/xml_encoding.h"
#include "verify/xml_scan.h"
#include "verify/xml_tree.h"

void verify_xml_init(void)
{
    xml_library_init();
    (void)dsig_second_opinion_init(); /* said again, as a check, with each document */
}

static void note_scan(struct check_run *run, const struct xml_scan *scan)
{
    static const enum check_id checks[] = {
        [XML_SCAN_SIZE] = CHECK_XML_SIZE,
        [XML_SCAN_ENCODING] = CHECK_XML_ENCODING,
        [XML_SCAN_OTHER_CHARSET] = CHECK_XML_CHARSET,
        [XML_SCAN_VERSION] = CHECK_XML_VERSION,
        [XML_SCAN_DOCTYPE] = CHECK_XML_DOCTYPE,
        [XML_SCAN_LIMIT] = CHECK_XML_LIMITS,
        [XML_SCAN_FORM] = CHECK_XML_WELL_FORMED,
    };
    static const enum check_id passed[] = {CHECK_XML_SIZE,    CHECK_XML_ENCODING, CHECK_XML_CHARSET,
                                           CHECK_XML_VERSION, CHECK_XML_DOCTYPE,  CHECK_XML_LIMITS};

    if (scan->result != XML_SCAN_GOOD) {
        checks_fail(run, checks[scan->result], "%s", scan->text);
        return;
    }
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        checks_pass(run, passed[i]);
}

/* A charset that every reader knows but not every reader decodes alike: policy. The run goes on
 * with our own conversion, so that a relaxed check still meets all others. */
static int convert_charset(struct check_run *run, struct bytes document, struct xml_scan *scan,
                           struct buffer *converted, struct bytes *ret_utf8)
{
    struct bytes text = document;
    size_t mark_size = 0;

    (void)xml_family_of(document, &mark_size);
    text.data += mark_size;
    text.size -= mark_size;
    int r = xml_charset_convert(text, scan->charset, converted);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        checks_fail(run, r == -EMSGSIZE ? CHECK_XML_SIZE : CHECK_XML_ENCODING,
                    "the bytes cannot be converted from %s", scan->charset);
        return 0;
    }
    char charset[sizeof scan->charset];
    memcpy(charset, scan->charset, sizeof charset);
    *ret_utf8 = bytes_of(converted->data, converted->size);
    xml_scan_converted(*ret_utf8, charset, scan);
    note_scan(run, scan);
    return 0;
}

static int read_bytes(struct check_run *run, struct bytes document, struct buffer *converted,
                      struct bytes *ret_utf8)
{
    struct xml_scan scan;
    int r = xml_scan(document, &scan, converted, ret_utf8);

    if (r < 0)
        return r;
    note_scan(run, &scan);
    if (scan.result == XML_SCAN_OTHER_CHARSET)
        return convert_charset(run, document, &scan, converted, ret_utf8);
    return 0;
}

static int read_tree(struct check_run *run, struct bytes utf8, xmlDoc **ret_document)
{
    char message[VERDICT_TEXT_MAX];
    int r = xml_parse(utf8, message, ret_document);

    if (r < 0)
        return r;
    if (checks_that(run, CHECK_XML_WELL_FORMED, r == 0, "%s", message))
        xml_check_namespace_names(run, *ret_document);
    return 0;
}

static int check_signer(struct check_run *run, struct verify_trust *trust,
                        const struct verify_request *request,
                        const struct dsig_signature *signature, xmlDoc *document,
                        struct verdict *verdict)
{
    struct bytes others[PATH_CERTIFICATE_MAX], own = {0};
    size_t other_count = 0;
    const struct path_signer *signer;

    for (size_t i = 0; i < signature->certificate_count; i++) {
        struct bytes der =
            bytes_of(signature->certificates[i].data, signature->certificates[i].size);
        if (i == signature->signer)
            own = der;
        else
            others[other_count++] = der;
    }
    int r = path_signer_get(trust, own, others, other_count, &signer);
    if (r < 0)
        return r;
    if (r == PATH_UNDECODABLE) {
        checks_fail(run, CHECK_XML_KEYINFO, "the certificate cannot be decoded");
        return 0;
    }
    r = dsig_check_value(run, signature, signer);
    if (r == 0 && checks_going(run) && signature->mode == DSIG_COMPATIBILITY)
        r = dsig_check_second_opinion(run, signature, document, signer);
    if (r == 0 && checks_going(run))
        r = path_check(run, trust, request, verdict);
    return r;
}

/* Every check that this mode demands was reached. The code above sees to that; this is the second
 * look, since a check that was skipped by mistake would otherwise count as one that held. */
static bool all_reached(const struct check_run *run, enum dsig_mode mode)
{
    static const enum check_id of_both[] = {
        CHECK_XML_SIZE,           CHECK_XML_ENCODING,        CHECK_XML_VERSION,
        CHECK_XML_DOCTYPE,        CHECK_XML_LIMITS,          CHECK_XML_WELL_FORMED,
        CHECK_XML_SIGNATURE_ONE,  CHECK_XML_SIGNATURE_PLACE, CHECK_XML_SIGNATURE_ENVELOPED,
        CHECK_XML_SIGNATURE_MODE, CHECK_XML_SIGNATURE_SHAPE, CHECK_XML_SIGNATURE_METHOD,
        CHECK_XML_DIGEST_METHOD,  CHECK_XML_KEYINFO,         CHECK_XML_CERTIFICATES,
        CHECK_XML_DIGEST,         CHECK_XML_SIGNATURE_VALUE, CHECK_XML_COMMENT_IN_TEXT,
        CHECK_XML_COMMENTS,       CHECK_XML_TYPE_SIGNED,     CHECK_XML_NAMESPACES_SIGNED,
        CHECK_SCHEMA_CONFIGURED,
    };
    static const enum check_id of_compatibility[] = {CHECK_XML_REFERENCE, CHECK_XML_TRANSFORMS,
                                                     CHECK_XML_SECOND_OPINION};
    static const enum check_id of_2_0[] = {CHECK_XML_SELECTION, CHECK_XML_VERIFICATIONS};
    bool compatibility = mode == DSIG_COMPATIBILITY;
    const enum check_id *of_mode = compatibility ? of_compatibility : of_2_0;
    size_t mode_count = compatibility ? sizeof of_compatibility / sizeof of_compatibility[0]
                                      : sizeof of_2_0 / sizeof of_2_0[0];

    for (size_t i = 0; i < sizeof of_both / sizeof of_both[0]; i++)
        if (!run->notes[of_both[i]].noted)
            return false;
    for (size_t i = 0; i < mode_count; i++)
        if (!run->notes[of_mode[i]].noted)
            return false;
    return checks_all_noted(run, CHECK_PATH_FIRST, CHECK_PATH_LAST);
}

static int check_document(struct check_run *run, struct verify_trust *trust,
                          const struct verify_request *request, struct dsig_signature *signature,
                          xmlDoc *document, struct verdict *verdict, bool *ret_complete)
{
    int r = dsig_read(run, document, signature);
    if (r == 0 && checks_going(run))
        xml_check_comments(run, signature);
    if (r == 0 && checks_going(run))
        r = dsig_check_reference(run, signature);
    if (r == 0 && checks_going(run))
        r = check_signer(run, trust, request, signature, document, verdict);
    if (r == 0 && checks_going(run))
        r = schema_check(run, trust, signature, document, verdict);
    if (r == 0)
        *ret_complete = checks_going(run) && all_reached(run, signature->mode);
    return r;
}

int verify_xml(struct check_run *run, struct verify_trust *trust,
               const struct verify_request *request, struct bytes document, struct verdict *verdict,
               bool *ret_complete)
{
    _cleanup_buffer_ struct buffer converted = {0};
    _cleanup_xml_document_ xmlDoc *tree = NULL;
    struct bytes utf8 = {0};
    bool complete = false;
    int r = sha256(document.data, document.size, verdict->document_sha256);

    if (r == 0)
        r = read_bytes(run, document, &converted, &utf8);
    if (r == 0 && checks_going(run))
        r = read_tree(run, utf8, &tree);
    if (r == 0 && checks_going(run)) {
        _cleanup_free_ struct dsig_signature *signature = calloc(1, sizeof *signature);
        if (!signature)
            return -ENOMEM;
        r = check_document(run, trust, request, signature, tree, verdict, &complete);
        dsig_signature_done(signature);
    }
    if (r == 0)
        *ret_complete = complete;
    return r;
}
