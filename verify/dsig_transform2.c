/*
 * The Transform of 2.0 mode (XMLDSIG 10): a Selection, a canonicalization, and what the signer asks
 * to be verified. Only the selection of the whole document as XML is accepted; selecting it leaves
 * out the Signature itself, without any transform that says so.
 */
#include "verify/dsig_parts.h"
#include "verify/xml_tree.h"

#define SELECTION_XML "http://www.w3.org/2010/xmldsig2#xml"
#define LENGTH_TYPE "http://www.w3.org/2010/xmldsig2#DigestDataLength"
#define POSITION_TYPE "http://www.w3.org/2010/xmldsig2#PositionAssertion"
#define ID_ATTRIBUTES_TYPE "http://www.w3.org/2010/xmldsig2#IDAttributes"

static const char *selection_read(struct check_run *run, const xmlNode *element)
{
    static const char *const attributes[] = {"Algorithm", "URI", NULL};
    const char *algorithm = xml_attribute(element, "Algorithm");
    const char *uri = xml_attribute(element, "URI");

    if (!algorithm || strcmp(algorithm, SELECTION_XML) != 0) {
        checks_fail(run, CHECK_XML_SELECTION, "line %ld: the selection is %.120s",
                    xml_line(element), algorithm ? algorithm : "not named");
        return NULL;
    }
    /* IncludedXPath, ExcludedXPath and ByteRange would pick parts. */
    if (!dsig_enter_empty(run, CHECK_XML_SELECTION, element, attributes))
        return NULL;
    if (!uri)
        checks_fail(run, CHECK_XML_SELECTION, "line %ld: the selection has no URI",
                    xml_line(element));
    return uri;
}

static bool number_read(const char *text, uint64_t *ret_number)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 18 || text[digits])
        return false;
    *ret_number = strtoull(text, NULL, 10);
    return true;
}

static bool length_read(struct check_run *run, const xmlNode *element,
                        struct dsig_verifications *verifications)
{
    const char *text;

    if (!dsig_enter_text(run, CHECK_XML_VERIFICATIONS, element, dsig_no_attributes, &text))
        return false;
    if (verifications->has_length || !number_read(text, &verifications->length))
        return checks_fail(run, CHECK_XML_VERIFICATIONS,
                           "line %ld: DigestDataLength is no number, or stands there twice",
                           xml_line(element));
    verifications->has_length = true;
    return true;
}

static bool position_read(struct check_run *run, const xmlNode *element,
                          struct dsig_verifications *verifications)
{
    const char *text;

    if (!dsig_enter_text(run, CHECK_XML_VERIFICATIONS, element, dsig_no_attributes, &text))
        return false;
    if (verifications->position_count == DSIG_POSITION_MAX)
        return checks_fail(run, CHECK_XML_VERIFICATIONS, "more than %d position assertions",
                           DSIG_POSITION_MAX);
    verifications->positions[verifications->position_count++] = element;
    return true;
}

static bool is_id_rule(const xmlNode *node)
{
    return xml_is_element(node, DSIG2_NS, "QualifiedAttr") ||
           xml_is_element(node, DSIG2_NS, "UnqualifiedAttr");
}

/* `list` holds the rules: IDAttributes, or a Verification that holds them directly. */
static bool id_attributes_read(struct check_run *run, const xmlNode *list,
                               const char *const *attributes,
                               struct dsig_verifications *verifications)
{
    static const char *const qualified[] = {"Name", "NS", NULL};
    static const char *const unqualified[] = {"Name", "ParentName", "ParentNS", NULL};
    struct dsig_cursor cursor;

    if (!dsig_enter(&cursor, run, CHECK_XML_VERIFICATIONS, list, attributes))
        return false;
    while (cursor.next) {
        bool is_qualified = xml_is_element(cursor.next, DSIG2_NS, "QualifiedAttr");
        if (!is_id_rule(cursor.next) || verifications->id_attributes ||
            !xml_attribute(cursor.next, "Name"))
            return checks_fail(run, CHECK_XML_VERIFICATIONS,
                               "line %ld: IDAttributes holds what is not understood",
                               xml_line(cursor.next));
        if (!dsig_enter_empty(run, CHECK_XML_VERIFICATIONS, cursor.next,
                              is_qualified ? qualified : unqualified) ||
            !dsig_advance(&cursor))
            return false;
    }
    verifications->id_attributes = list;
    return true;
}

static bool verification_read(struct check_run *run, const xmlNode *element,
                              struct dsig_verifications *verifications)
{
    static const char *const only_type[] = {"Type", NULL};
    static const struct {
        const char *type, *name;
    } types[] = {
        {LENGTH_TYPE, "DigestDataLength"},
        {POSITION_TYPE, "PositionAssertion"},
        {ID_ATTRIBUTES_TYPE, "IDAttributes"},
    };
    const char *type = xml_attribute(element, "Type");
    struct dsig_cursor cursor;
    const xmlNode *content;
    unsigned which = 0;

    while (which < 3 && (!type || strcmp(type, types[which].type) != 0))
        which++;
    if (which == 3)
        return checks_fail(run, CHECK_XML_VERIFICATIONS,
                           "line %ld: verification of the type %.120s is not understood",
                           xml_line(element), type ? type : "(none)");
    if (!dsig_enter(&cursor, run, CHECK_XML_VERIFICATIONS, element, only_type))
        return false;
    if (which == 2 && is_id_rule(cursor.next))
        return id_attributes_read(run, element, only_type, verifications);
    if (!dsig_take(&cursor, DSIG2_NS, types[which].name, &content) || !dsig_leave(&cursor))
        return false;
    return which == 0   ? length_read(run, content, verifications)
           : which == 1 ? position_read(run, content, verifications)
                        : id_attributes_read(run, content, dsig_no_attributes, verifications);
}

static bool verifications_read(struct check_run *run, const xmlNode *element,
                               struct dsig_verifications *verifications)
{
    struct dsig_cursor cursor;

    if (!dsig_enter(&cursor, run, CHECK_XML_VERIFICATIONS, element, dsig_no_attributes))
        return false;
    if (!cursor.next)
        return checks_fail(run, CHECK_XML_VERIFICATIONS, "line %ld: Verifications is empty",
                           xml_line(element));
    while (cursor.next) {
        if (!xml_is_element(cursor.next, DSIG2_NS, "Verification"))
            return checks_fail(run, CHECK_XML_VERIFICATIONS, "line %ld: %.60s in Verifications",
                               xml_line(cursor.next), (const char *)cursor.next->name);
        if (!verification_read(run, cursor.next, verifications) || !dsig_advance(&cursor))
            return false;
    }
    return true;
}

bool dsig_read_transform2(struct check_run *run, struct dsig_signature *signature)
{
    struct dsig_cursor cursor;
    const xmlNode *selection, *method = NULL, *verifications = NULL;

    if (!dsig_enter(&cursor, run, CHECK_XML_SIGNATURE_SHAPE, signature->transform,
                    dsig_only_algorithm))
        return false;
    if (!xml_is_element(cursor.next, DSIG2_NS, "Selection"))
        return checks_fail(run, CHECK_XML_SELECTION, "line %ld: there is no Selection",
                           xml_line(signature->transform));
    if (!dsig_take(&cursor, DSIG2_NS, "Selection", &selection))
        return false;
    const char *uri = selection_read(run, selection);
    if (!uri)
        return false;
    /* A deployed generator writes the canonicalization in the namespace of 2.0. */
    if (xml_is_element(cursor.next, DSIG2_NS, "Canonicalization")
            ? !dsig_take(&cursor, DSIG2_NS, "Canonicalization", &method)
            : !dsig_take(&cursor, DSIG_NS, "CanonicalizationMethod", &method))
        return false;
    if (cursor.next && !dsig_take(&cursor, DSIG2_NS, "Verifications", &verifications))
        return false;
    if (!dsig_leave(&cursor) || !dsig_read_c14n_method(run, method, &signature->reference_method))
        return false;
    if (signature->reference_method.parameters.version != C14N_2_0)
        return checks_fail(run, CHECK_XML_SIGNATURE_MODE,
                           "line %ld: a canonicalization of compatibility mode", xml_line(method));
    if (verifications && !verifications_read(run, verifications, &signature->verifications))
        return false;
    return dsig_resolve(run, CHECK_XML_SELECTION, uri, signature);
}

static bool names_match(const xmlNode *rule, const char *attribute, const char *wanted)
{
    const char *value = xml_attribute(rule, attribute);

    return strcmp(value ? value : "", wanted) == 0;
}

static const char *uri_of(const xmlNs *ns)
{
    return ns && ns->href ? (const char *)ns->href : "";
}

bool dsig_id_listed(const struct dsig_verifications *verifications, const xmlAttr *attribute)
{
    const xmlNode *list = verifications->id_attributes;

    for (const xmlNode *rule = list ? list->children : NULL; rule; rule = rule->next) {
        if (!is_id_rule(rule) || !names_match(rule, "Name", (const char *)attribute->name))
            continue;
        if (attribute->ns
                ? xml_is_element(rule, DSIG2_NS, "QualifiedAttr") &&
                      names_match(rule, "NS", uri_of(attribute->ns))
                : xml_is_element(rule, DSIG2_NS, "UnqualifiedAttr") &&
                      names_match(rule, "ParentName", (const char *)attribute->parent->name) &&
                      names_match(rule, "ParentNS", uri_of(attribute->parent->ns)))
            return true;
    }
    return false;
}

/*
 * Accepts a slash, a name or an asterisk, and perhaps "[1]": the paths of XMLDSIG's streamable
 * XPath that can select a document element. Any longer path selects something else.
 */
bool dsig_position_holds(const xmlNode *assertion, const xmlNode *root)
{
    const char *text = xml_text(assertion);

    text = text ? text + strspn(text, " \t\r\n") : "";
    if (*text++ != '/')
        return false;
    size_t size = strcspn(text, "[ \t\r\n");
    const char *colon = memchr(text, ':', size);
    const char *local = colon ? colon + 1 : text;
    size_t local_size = size - (size_t)(local - text);
    _cleanup_free_ char *prefix = colon ? strndup(text, (size_t)(colon - text)) : NULL;
    if (colon && !prefix)
        return false;
    const char *rest = text + size;
    rest += strncmp(rest, "[1]", 3) == 0 ? 3 : 0;
    if (!xml_is_blank(rest))
        return false;
    bool any = local_size == 1 && *local == '*';
    if (any && !colon)
        return true;
    /* XPath 1.0 2.3: a name without prefix is in no namespace, whatever the default. */
    const xmlNs *ns = colon ? xmlSearchNs(assertion->doc, (xmlNode *)(uintptr_t)assertion,
                                          (const xmlChar *)prefix)
                            : NULL;
    if ((colon && !ns) || strcmp(uri_of(ns), uri_of(root->ns)) != 0)
        return false;
    return any || (strlen((const char *)root->name) == local_size &&
                   memcmp(root->name, local, local_size) == 0);
}
