/*
 * The one Reference: what its URI selects, and, in compatibility mode, its transforms.
 *
 * Allowed are the enveloped signature transform and then at most one canonicalization. An XPath
 * transform is known in the one wording that says the same as the enveloped one (a document has
 * only one Signature here), and is a policy matter.
 */
#include "verify/dsig_parts.h"
#include "verify/xml_tree.h"

#define ENVELOPED_TRANSFORM "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
#define XPATH_TRANSFORM "http://www.w3.org/TR/1999/REC-xpath-19991116"
#define TRANSFORM2 "http://www.w3.org/2010/xmldsig2#transform"

/* Without a DTD nothing declares IDs: these are the attributes that producers and verifiers treat
 * so. */
static bool is_id_attribute(const xmlAttr *attribute)
{
    const char *name = (const char *)attribute->name;

    if (attribute->ns)
        return strcmp(name, "id") == 0 && xmlStrEqual(attribute->ns->href, XML_XML_NAMESPACE);
    return strcasecmp(name, "id") == 0;
}

static bool attribute_value_is(const xmlAttr *attribute, const char *wanted)
{
    const xmlNode *value = attribute->children;

    return strcmp(value && value->content ? (const char *)value->content : "", wanted) == 0;
}

/* How many attributes of the document could be meant by `id`; the last of them in *ret_attribute.
 */
static unsigned count_ids(const xmlDoc *document, const struct dsig_verifications *verifications,
                          const char *id, const xmlAttr **ret_attribute)
{
    const xmlNode *root = xmlDocGetRootElement(document);
    unsigned count = 0;

    for (const xmlNode *node = root; node; node = xml_next_node(node, root)) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        for (const xmlAttr *attribute = node->properties; attribute; attribute = attribute->next) {
            if ((is_id_attribute(attribute) || dsig_id_listed(verifications, attribute)) &&
                attribute_value_is(attribute, id)) {
                *ret_attribute = attribute;
                count++;
            }
        }
    }
    return count;
}

static bool has_outer_instruction(const xmlDoc *document)
{
    for (const xmlNode *node = document->children; node; node = node->next)
        if (node->type == XML_PI_NODE)
            return true;
    return false;
}

bool dsig_resolve(struct check_run *run, enum check_id check, const char *uri,
                  struct dsig_signature *signature)
{
    const xmlDoc *document = signature->selection.document;
    const xmlNode *root = xmlDocGetRootElement(document);
    const xmlAttr *attribute = NULL;

    signature->selection.excluded = signature->element;
    if (!uri)
        return checks_fail(run, check, "no URI says what is signed");
    if (uri[0] == '\0') {
        checks_pass(run, check);
        return true;
    }
    if (uri[0] != '#' || xmlValidateNCName((const xmlChar *)uri + 1, 0) != 0)
        return checks_fail(run, check, "URI \"%.100s\" is not the whole document", uri);
    unsigned count = count_ids(document, &signature->verifications, uri + 1, &attribute);
    if (count != 1)
        return checks_fail(run, check, "%u elements have the identifier \"%.100s\"", count,
                           uri + 1);
    if (attribute->parent != root)
        return checks_fail(run, check, "\"%.100s\" is only a part of the document", uri);
    if (has_outer_instruction(document))
        return checks_fail(run, check,
                           "a processing instruction outside the document element is not signed");
    signature->selection.apex = root;
    signature->id = attribute;
    checks_pass(run, check);
    return true;
}

/* <XPath xmlns:p="…xmldsig#">not(ancestor-or-self::p:Signature)</XPath>, white space aside. */
static bool is_enveloped_xpath(struct check_run *run, const xmlNode *transform)
{
    struct dsig_cursor cursor;
    const xmlNode *xpath;
    const char *text;
    char compact[128], wanted[128];
    size_t size = 0;

    if (!dsig_enter(&cursor, run, CHECK_XML_TRANSFORMS, transform, dsig_only_algorithm) ||
        !dsig_take(&cursor, DSIG_NS, "XPath", &xpath) || !dsig_leave(&cursor) ||
        !dsig_enter_text(run, CHECK_XML_TRANSFORMS, xpath, dsig_no_attributes, &text))
        return false;
    for (; *text && size < sizeof compact - 1; text++)
        if (!strchr(" \t\r\n", *text))
            compact[size++] = *text;
    compact[size] = '\0';
    xmlNs **namespaces = xmlGetNsList(transform->doc, (xmlNode *)(uintptr_t)xpath);
    bool found = false;
    for (size_t i = 0; namespaces && namespaces[i] && !*text && !found; i++) {
        snprintf(wanted, sizeof wanted, "not(ancestor-or-self::%.60s:Signature)",
                 namespaces[i]->prefix ? (const char *)namespaces[i]->prefix : "");
        found =
            strcmp((const char *)namespaces[i]->href, DSIG_NS) == 0 && strcmp(compact, wanted) == 0;
    }
    xmlFree(namespaces);
    return found;
}

/* The transform that leaves out the Signature. */
static bool read_enveloped(struct check_run *run, const xmlNode *transform,
                           struct dsig_signature *signature)
{
    const char *algorithm = xml_attribute(transform, "Algorithm");

    if (algorithm && strcmp(algorithm, ENVELOPED_TRANSFORM) == 0) {
        checks_pass(run, CHECK_XML_XPATH_ENVELOPED);
        return dsig_enter_empty(run, CHECK_XML_TRANSFORMS, transform, dsig_only_algorithm);
    }
    if (algorithm && strcmp(algorithm, XPATH_TRANSFORM) == 0 &&
        is_enveloped_xpath(run, transform)) {
        signature->xpath_enveloped = true;
        return checks_fail(run, CHECK_XML_XPATH_ENVELOPED,
                           "line %ld: an XPath expression leaves out the Signature",
                           xml_line(transform));
    }
    return checks_fail(run, CHECK_XML_TRANSFORMS,
                       "line %ld: the first transform is %.120s, not the enveloped signature",
                       xml_line(transform), algorithm ? algorithm : "not named");
}

static bool read_transforms(struct check_run *run, const xmlNode *transforms,
                            struct dsig_signature *signature)
{
    struct dsig_cursor cursor;
    const xmlNode *transform;
    struct dsig_method *method = &signature->reference_method;

    method->parameters.version = C14N_1_0; /* XMLDSIG 4.5.3.2: the default */
    if (!dsig_enter(&cursor, run, CHECK_XML_TRANSFORMS, transforms, dsig_no_attributes) ||
        !dsig_take(&cursor, DSIG_NS, "Transform", &transform) ||
        !read_enveloped(run, transform, signature))
        return false;
    if (cursor.next) {
        if (!dsig_take(&cursor, DSIG_NS, "Transform", &transform) || !dsig_leave(&cursor))
            return false;
        const char *algorithm = xml_attribute(transform, "Algorithm");
        if (!algorithm || strstr(algorithm, "c14n") == NULL)
            return checks_fail(run, CHECK_XML_TRANSFORMS, "line %ld: transform %.120s",
                               xml_line(transform), algorithm ? algorithm : "without a name");
        if (!dsig_read_c14n_method(run, transform, method))
            return false;
        if (method->parameters.version == C14N_2_0)
            return checks_fail(run, CHECK_XML_SIGNATURE_MODE,
                               "line %ld: Canonical XML 2.0 as a transform of compatibility mode",
                               xml_line(transform));
        /* A same-document reference has no comments to begin with (XMLDSIG 4.5.3.3). */
        method->parameters.with_comments = false;
    }
    checks_pass(run, CHECK_XML_TRANSFORMS);
    return true;
}

/* The number of Transform elements, and how many of them are that of 2.0 mode. */
static unsigned count_transforms(const xmlNode *transforms, unsigned *ret_of_2_0,
                                 const xmlNode **ret_last)
{
    unsigned count = 0;

    *ret_of_2_0 = 0;
    for (const xmlNode *node = transforms->children; node; node = node->next) {
        if (!xml_is_element(node, DSIG_NS, "Transform"))
            continue;
        const char *algorithm = xml_attribute(node, "Algorithm");
        count++;
        *ret_of_2_0 += algorithm && strcmp(algorithm, TRANSFORM2) == 0;
        *ret_last = node;
    }
    return count;
}

/* XMLDSIG 1.3: 2.0 mode is where there is exactly one Transform, that of 2.0. */
static bool read_mode(struct check_run *run, const xmlNode *reference, const xmlNode *transforms,
                      struct dsig_signature *signature)
{
    unsigned of_2_0, count = count_transforms(transforms, &of_2_0, &signature->transform);
    bool c14n2 = signature->signed_info_method.parameters.version == C14N_2_0;

    signature->mode = of_2_0 > 0 ? DSIG_2_0 : DSIG_COMPATIBILITY;
    if (of_2_0 > 0 && count > 1)
        return checks_fail(run, CHECK_XML_SIGNATURE_MODE,
                           "line %ld: the transform of 2.0 mode beside another",
                           xml_line(transforms));
    if (of_2_0 > 0 && xml_attribute(reference, "URI"))
        return checks_fail(run, CHECK_XML_SIGNATURE_MODE,
                           "line %ld: a Reference of 2.0 mode with a URI", xml_line(reference));
    if (c14n2 != (of_2_0 > 0))
        return checks_fail(run, CHECK_XML_SIGNATURE_MODE,
                           "line %ld: SignedInfo is canonicalized by the other mode's method",
                           xml_line(signature->signed_info));
    checks_pass(run, CHECK_XML_SIGNATURE_MODE);
    return true;
}

static bool read_digest(struct check_run *run, const xmlNode *element,
                        struct dsig_signature *signature)
{
    _cleanup_buffer_ struct buffer digest;
    const char *text;

    buffer_init(&digest, SHA256_SIZE);
    if (!dsig_enter_text(run, CHECK_XML_SIGNATURE_SHAPE, element, dsig_no_attributes, &text))
        return false;
    int r = dsig_base64(text, &digest);
    signature->memory_short = r == -ENOMEM;
    if (signature->memory_short)
        return false;
    if (r < 0 || digest.size != SHA256_SIZE)
        return checks_fail(run, CHECK_XML_SIGNATURE_SHAPE,
                           "line %ld: DigestValue is not the base64 form of 32 bytes",
                           xml_line(element));
    memcpy(signature->digest, digest.data, SHA256_SIZE);
    return true;
}

bool dsig_read_reference(struct check_run *run, const xmlNode *element,
                         struct dsig_signature *signature)
{
    static const char *const attributes[] = {"Id", "URI", NULL};
    struct dsig_cursor cursor;
    const xmlNode *transforms, *method, *value;

    if (!dsig_enter(&cursor, run, CHECK_XML_SIGNATURE_SHAPE, element, attributes))
        return false;
    if (!xml_is_element(cursor.next, DSIG_NS, "Transforms"))
        return checks_fail(
            run, CHECK_XML_TRANSFORMS,
            "line %ld: the Reference has no transforms, so it does not leave out the "
            "Signature",
            xml_line(element));
    if (!dsig_take(&cursor, DSIG_NS, "Transforms", &transforms) ||
        !dsig_take(&cursor, DSIG_NS, "DigestMethod", &method) ||
        !dsig_take(&cursor, DSIG_NS, "DigestValue", &value) || !dsig_leave(&cursor) ||
        !read_mode(run, element, transforms, signature) || !dsig_read_digest_method(run, method) ||
        !read_digest(run, value, signature))
        return false;
    if (signature->mode == DSIG_2_0)
        return dsig_enter(&cursor, run, CHECK_XML_SIGNATURE_SHAPE, transforms,
                          dsig_no_attributes) &&
               dsig_read_transform2(run, signature);
    return dsig_resolve(run, CHECK_XML_REFERENCE, xml_attribute(element, "URI"), signature) &&
           read_transforms(run, transforms, signature);
}
