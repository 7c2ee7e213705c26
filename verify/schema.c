/*
 * Choosing the processor, and asking it. What is validated is what was signed: the tree that was
 * canonicalized, or, for another process, its canonical form.
 */
#include "verify/schema.h"

#include "verify/schema_xsd10.h"
#include "verify/xml_scan.h"
#include "verify/xml_tree.h"

#include <stdio.h>

#define XSI_NS "http://www.w3.org/2001/XMLSchema-instance"
#define XSD_NS "http://www.w3.org/2001/XMLSchema"

/* Prepared once per trust. */
struct schema_set {
    struct schema_inspection inspection;
    xmlSchema *compiled;  /* XSD 1.0 */
    struct buffer bundle; /* XSD 1.1 */
    char name[64];
};

static void schema_set_free(void *cache)
{
    struct schema_set *set = cache;

    if (!set)
        return;
    xmlSchemaFree(set->compiled);
    buffer_done(&set->bundle);
    free(set);
}

void verify_trust_set_schema_hook(struct verify_trust *trust, const struct schema_hook *hook)
{
    trust->schema_hook = hook;
}

int schema_bundle_add(struct buffer *out, const struct trust_schema *schema)
{
    size_t label_size = strnlen(schema->label, sizeof schema->label);
    int r = buffer_append_be32(out, (uint32_t)label_size);

    if (r == 0)
        r = buffer_append(out, schema->label, label_size);
    if (r == 0)
        r = buffer_append_be32(out, (uint32_t)schema->content.size);
    if (r == 0)
        r = buffer_append(out, schema->content.data, schema->content.size);
    return r;
}

static bool imports_signature(const xmlNode *root)
{
    for (const xmlNode *node = root->children; node; node = node->next) {
        const char *uri =
            xml_is_element(node, XSD_NS, "import") ? xml_attribute(node, "namespace") : NULL;
        if (uri && strcmp(uri, DSIG_NS) == 0)
            return true;
    }
    return false;
}

static void refuse(struct schema_inspection *inspection, const struct trust_schema *schema,
                   const char *why)
{
    inspection->processor = SCHEMA_BY_NONE;
    snprintf(inspection->text, sizeof inspection->text, "%.80s: %.140s", schema->label, why);
}

/* One schema document. */
static int inspect_one(const struct trust_schema *schema, struct schema_inspection *inspection)
{
    _cleanup_buffer_ struct buffer converted = {0};
    _cleanup_xml_document_ xmlDoc *document = NULL;
    struct xml_scan scan;
    struct bytes utf8;
    char text[VERDICT_TEXT_MAX];
    int r = xml_scan(schema->content, &scan, &converted, &utf8);

    if (r < 0)
        return r;
    if (scan.result != XML_SCAN_GOOD) {
        refuse(inspection, schema, scan.text);
        return 0;
    }
    r = xml_parse(utf8, text, &document);
    if (r < 0)
        return r;
    if (r == XML_MALFORMED) {
        refuse(inspection, schema, text);
        return 0;
    }
    const xmlNode *root = xmlDocGetRootElement(document);
    if (!xml_is_element(root, XSD_NS, "schema")) {
        refuse(inspection, schema, "not a schema document");
        return 0;
    }
    inspection->knows_signature |= imports_signature(root);
    if (inspection->processor == SCHEMA_BY_XSD_1_0 && schema_uses_xsd11(document, text)) {
        inspection->processor = SCHEMA_BY_XSD_1_1;
        snprintf(inspection->text, sizeof inspection->text, "%.80s: %.140s", schema->label, text);
    }
    return 0;
}

static int inspect_all(const struct trust_schema *schemas, size_t schema_count,
                       struct schema_inspection *inspection)
{
    *inspection = (struct schema_inspection){.processor = SCHEMA_BY_XSD_1_0};
    if (schema_count > SCHEMA_DOCUMENT_MAX) {
        refuse(inspection, &schemas[0], "too many schema documents");
        return 0;
    }
    for (size_t i = 0; i < schema_count && inspection->processor != SCHEMA_BY_NONE; i++) {
        int r = inspect_one(&schemas[i], inspection);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ret_compiled is set if libxml2 is the processor. */
static int inspect_and_compile(const struct trust_schema *schemas, size_t schema_count,
                               struct schema_inspection *inspection, xmlSchema **ret_compiled)
{
    char text[VERDICT_TEXT_MAX];
    int r = inspect_all(schemas, schema_count, inspection);

    if (r < 0 || inspection->processor != SCHEMA_BY_XSD_1_0)
        return r;
    r = schema_xsd10_compile(schemas, schema_count, text, ret_compiled);
    if (r < 0)
        return r;
    if (r == SCHEMA_NOT_COMPILED) {
        /* A 1.0 processor cannot honour it: perhaps for 1.1's wider rules, perhaps it is wrong. The
         * other processor tells. */
        inspection->processor = SCHEMA_BY_XSD_1_1;
        snprintf(inspection->text, sizeof inspection->text, "not XSD 1.0: %.200s", text);
    }
    return 0;
}

int schema_inspect(const struct trust_schema *schemas, size_t schema_count,
                   struct schema_inspection *ret_inspection)
{
    xmlSchema *compiled = NULL;
    int r = inspect_and_compile(schemas, schema_count, ret_inspection, &compiled);

    xmlSchemaFree(compiled);
    return r;
}

/* The supervisor labels a file "NAME VERSION/FILE", kosekictl with its path. */
static void name_of(const char *label, const char *hex, char *out, size_t size)
{
    const char *slash = strrchr(label, '/'), *space = strchr(label, ' ');
    bool managed = slash && space && space < slash && strchr(label, '/') == slash;

    if (managed)
        snprintf(out, size, "%.*s %s", (int)(slash - label < 40 ? slash - label : 40), label, hex);
    else
        snprintf(out, size, "%.40s %s", slash ? slash + 1 : label, hex);
}

static int schema_set_new(const struct verify_trust *trust, struct schema_set **ret_set)
{
    struct schema_set *set = calloc(1, sizeof *set);
    uint8_t digest[SHA256_SIZE];
    char hex[2 * 8 + 1];

    if (!set)
        return -ENOMEM;
    buffer_init(&set->bundle, TRUST_BUNDLE_MAX);
    int r =
        inspect_and_compile(trust->schemas, trust->schema_count, &set->inspection, &set->compiled);
    for (size_t i = 0; r == 0 && i < trust->schema_count; i++)
        r = schema_bundle_add(&set->bundle, &trust->schemas[i]);
    if (r == 0)
        r = sha256(set->bundle.data, set->bundle.size, digest);
    if (r < 0) {
        schema_set_free(set);
        return r;
    }
    hex_encode(digest, 8, hex);
    name_of(trust->schemas[0].label, hex, set->name, sizeof set->name);
    *ret_set = set;
    return 0;
}

static int schema_set_get(struct verify_trust *trust, struct schema_set **ret_set)
{
    if (!trust->schema_cache) {
        struct schema_set *set;
        int r = schema_set_new(trust, &set);
        if (r < 0)
            return r;
        trust->schema_cache = set;
        trust->free_schema_cache = schema_set_free;
    }
    *ret_set = trust->schema_cache;
    return 0;
}

int schema_prepare(struct verify_trust *trust)
{
    struct schema_set *set;

    return trust->schema_count > 0 ? schema_set_get(trust, &set) : 0;
}

/* libxml2 and others follow hints in a document to schemas elsewhere. */
static void remove_hints(xmlDoc *document)
{
    xmlNode *root = xmlDocGetRootElement(document);

    for (const xmlNode *node = root; node; node = xml_next_node(node, root)) {
        xmlAttr *attribute = node->type == XML_ELEMENT_NODE ? node->properties : NULL;
        while (attribute) {
            xmlAttr *next = attribute->next;
            if (attribute->ns && xmlStrEqual(attribute->ns->href, (const xmlChar *)XSI_NS) &&
                (xmlStrEqual(attribute->name, (const xmlChar *)"schemaLocation") ||
                 xmlStrEqual(attribute->name, (const xmlChar *)"noNamespaceSchemaLocation")))
                xmlRemoveProp(attribute);
            attribute = next;
        }
    }
}

static int collect(void *context, const void *data, size_t size)
{
    return buffer_append(context, data, size);
}

/* The answer of the process for XSD 1.1. */
static int ask_hook(struct check_run *run, const struct verify_trust *trust,
                    const struct schema_set *set, const xmlDoc *document)
{
    static const struct c14n_parameters parameters = {.version = C14N_1_0};
    const struct schema_hook *hook = trust->schema_hook;
    _cleanup_buffer_ struct buffer canonical;
    struct c14n_selection selection = {.document = document};
    struct schema_answer answer = {0};

    buffer_init(&canonical, 2 * (size_t)XML_DOCUMENT_MAX);
    if (!hook) {
        checks_undecided(run, CHECK_SCHEMA_HONOURED,
                         "XSD 1.1 is needed (%.140s), but its processor is not running here",
                         set->inspection.text);
        return 0;
    }
    int r = c14n_write(&selection, &parameters, collect, &canonical, NULL);
    if (r == -ENOMEM)
        return r;
    if (r == 0)
        r = hook->validate(hook->context, bytes_of(set->bundle.data, set->bundle.size),
                           bytes_of(canonical.data, canonical.size), &answer);
    if (r < 0) {
        checks_undecided(run, CHECK_SCHEMA_HONOURED, "the processor of XSD 1.1 gave no answer: %s",
                         strerror(-r));
        return 0;
    }
    if (answer.outcome == SCHEMA_REFUSED) {
        checks_undecided(run, CHECK_SCHEMA_HONOURED, "%s", answer.text);
        return 0;
    }
    checks_pass(run, CHECK_SCHEMA_HONOURED);
    checks_that(run, CHECK_SCHEMA_VALID, answer.outcome == SCHEMA_VALID, "%s", answer.text);
    return 0;
}

static int ask_libxml2(struct check_run *run, const struct schema_set *set, xmlDoc *document)
{
    char text[VERDICT_TEXT_MAX];
    int r = schema_xsd10_validate(set->compiled, document, text);

    if (r < 0)
        return r;
    checks_pass(run, CHECK_SCHEMA_HONOURED);
    checks_that(run, CHECK_SCHEMA_VALID, r == 0, "%s", text);
    return 0;
}

int schema_check(struct check_run *run, struct verify_trust *trust,
                 const struct dsig_signature *signature, xmlDoc *document, struct verdict *verdict)
{
    struct schema_set *set;

    if (!checks_that(run, CHECK_SCHEMA_CONFIGURED, trust->schema_count > 0,
                     "no schema is configured, so the content was not validated") ||
        trust->schema_count == 0)
        return 0;
    int r = schema_set_get(trust, &set);
    if (r < 0)
        return r;
    snprintf(verdict->schema, sizeof verdict->schema, "%s", set->name);
    if (set->inspection.processor == SCHEMA_BY_NONE) {
        checks_undecided(run, CHECK_SCHEMA_HONOURED, "%s", set->inspection.text);
        return 0;
    }
    remove_hints(document);
    if (!set->inspection.knows_signature) {
        /* The schema is that of the document before it was signed. */
        xmlNode *element = (xmlNode *)(uintptr_t)signature->element;
        xmlUnlinkNode(element);
        xmlFreeNode(element);
    }
    return set->inspection.processor == SCHEMA_BY_XSD_1_0 ? ask_libxml2(run, set, document)
                                                          : ask_hook(run, trust, set, document);
}
