/*
 * Finds the Signature and reads its outer shape; the parts are read by the files beside this one.
 */
#include "verify/dsig_parts.h"
#include "verify/xml_tree.h"

void dsig_signature_done(struct dsig_signature *signature)
{
    buffer_done(&signature->value);
    for (size_t i = 0; i < signature->certificate_count; i++)
        buffer_done(&signature->certificates[i]);
}

/* One Signature in the whole document, however deep: a second one is what wrapping attacks need. */
static bool find_signature(struct check_run *run, const xmlDoc *document,
                           struct dsig_signature *signature)
{
    const xmlNode *root = xmlDocGetRootElement(document);
    unsigned count = 0;

    for (const xmlNode *node = root; node; node = xml_next_node(node, root)) {
        if (xml_is_element(node, DSIG_NS, "Signature")) {
            signature->element = node;
            count++;
        }
    }
    if (!checks_that(run, CHECK_XML_SIGNATURE_ONE, count == 1, "%u Signature elements", count) ||
        !checks_that(run, CHECK_XML_SIGNATURE_ENVELOPED, signature->element != root,
                     "the Signature is the document element"))
        return false;
    return checks_that(run, CHECK_XML_SIGNATURE_PLACE, signature->element->parent == root,
                       "line %ld: the Signature is inside %.100s", xml_line(signature->element),
                       (const char *)signature->element->parent->name);
}

static bool read_signed_info(struct check_run *run, struct dsig_signature *signature)
{
    struct dsig_cursor cursor;
    const xmlNode *c14n, *method, *reference;

    if (!dsig_enter(&cursor, run, CHECK_XML_SIGNATURE_SHAPE, signature->signed_info,
                    dsig_only_id) ||
        !dsig_take(&cursor, DSIG_NS, "CanonicalizationMethod", &c14n) ||
        !dsig_take(&cursor, DSIG_NS, "SignatureMethod", &method) ||
        !dsig_take(&cursor, DSIG_NS, "Reference", &reference))
        return false;
    if (cursor.next)
        return checks_fail(run, CHECK_XML_REFERENCE, "line %ld: more than one Reference",
                           xml_line(cursor.next));
    return dsig_read_c14n_method(run, c14n, &signature->signed_info_method) &&
           dsig_read_signature_method(run, method) &&
           dsig_read_reference(run, reference, signature);
}

static int read_value(struct check_run *run, const xmlNode *element,
                      struct dsig_signature *signature)
{
    const char *text;

    buffer_init(&signature->value, DSIG_SIGNATURE_VALUE_MAX);
    if (!dsig_enter_text(run, CHECK_XML_SIGNATURE_SHAPE, element, dsig_only_id, &text))
        return 0;
    int r = dsig_base64(text, &signature->value);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || signature->value.size == 0)
        checks_fail(run, CHECK_XML_SIGNATURE_VALUE,
                    "line %ld: SignatureValue is not the base64 form of a signature",
                    xml_line(element));
    return 0;
}

int dsig_read(struct check_run *run, const xmlDoc *document, struct dsig_signature *signature)
{
    struct dsig_cursor cursor;
    const xmlNode *value;

    signature->selection.document = document;
    if (!find_signature(run, document, signature) ||
        !dsig_enter(&cursor, run, CHECK_XML_SIGNATURE_SHAPE, signature->element, dsig_only_id) ||
        !dsig_take(&cursor, DSIG_NS, "SignedInfo", &signature->signed_info) ||
        !dsig_take(&cursor, DSIG_NS, "SignatureValue", &value))
        return 0;
    if (!cursor.next) {
        checks_fail(run, CHECK_XML_KEYINFO, "there is no KeyInfo");
        return 0;
    }
    if (!dsig_take(&cursor, DSIG_NS, "KeyInfo", &signature->key_info) || !dsig_leave(&cursor) ||
        !read_signed_info(run, signature))
        return signature->memory_short ? -ENOMEM : 0;
    int r = read_value(run, value, signature);
    if (r == 0 && checks_going(run))
        r = dsig_read_keyinfo(run, signature);
    if (r == 0 && checks_going(run))
        checks_pass(run, CHECK_XML_SIGNATURE_SHAPE);
    return r;
}
