/*
 * What XSD 1.1 (Structures appendix G, Datatypes appendix I) added to the syntax of schema
 * documents. A document with none of this means the same in 1.0 and 1.1, or is refused by a 1.0
 * processor.
 */
#include "verify/schema.h"
#include "verify/xml_tree.h"

#include <stdio.h>

#define XSD_NS "http://www.w3.org/2001/XMLSchema"
#define VERSIONING_NS "http://www.w3.org/2007/XMLSchema-versioning"

static const char *const new_elements[] = {
    "assert",   "assertion",        "alternative", "openContent", "defaultOpenContent",
    "override", "explicitTimezone",
};

static const struct {
    const char *element, *attribute;
} new_attributes[] = {
    {"schema", "defaultAttributes"},
    {"schema", "xpathDefaultNamespace"},
    {"complexType", "defaultAttributesApply"},
    {"element", "targetNamespace"},
    {"attribute", "targetNamespace"},
    {"attribute", "inheritable"},
    {"any", "notNamespace"},
    {"any", "notQName"},
    {"anyAttribute", "notNamespace"},
    {"anyAttribute", "notQName"},
    {"key", "ref"},
    {"keyref", "ref"},
    {"unique", "ref"},
    {"selector", "xpathDefaultNamespace"},
    {"field", "xpathDefaultNamespace"},
};

static const char *const new_types[] = {
    "yearMonthDuration", "dayTimeDuration", "dateTimeStamp", "anyAtomicType", "error",
};

static const char *const type_attributes[] = {"type", "base", "itemType", "memberTypes"};

static bool found(const xmlNode *node, const char *what, const char *detail, char *ret_text)
{
    snprintf(ret_text, VERDICT_TEXT_MAX, "line %ld: %s%.100s", xml_line(node), what, detail);
    return true;
}

static bool is_one_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

/* One QName in an attribute that names types. */
static bool is_new_type(const xmlNode *node, const char *qname, size_t size)
{
    const char *colon = memchr(qname, ':', size);
    const char *local = colon ? colon + 1 : qname;
    char prefix[128] = "", name[64];
    size_t prefix_size = colon ? (size_t)(colon - qname) : 0;
    size_t local_size = size - (size_t)(local - qname);

    if (prefix_size >= sizeof prefix || local_size >= sizeof name)
        return false;
    memcpy(prefix, qname, prefix_size);
    memcpy(name, local, local_size);
    name[local_size] = '\0';
    if (!is_one_of(name, new_types, sizeof new_types / sizeof new_types[0]))
        return false;
    const xmlNs *ns =
        xmlSearchNs(node->doc, (xmlNode *)(uintptr_t)node, colon ? (const xmlChar *)prefix : NULL);
    return ns && strcmp((const char *)ns->href, XSD_NS) == 0;
}

static bool names_new_type(const xmlNode *node, char *ret_text)
{
    for (size_t i = 0; i < sizeof type_attributes / sizeof type_attributes[0]; i++) {
        const char *value = xml_attribute(node, type_attributes[i]);
        while (value && *value) {
            value += strspn(value, " \t\r\n");
            size_t size = strcspn(value, " \t\r\n");
            if (is_new_type(node, value, size)) {
                char name[64];
                snprintf(name, sizeof name, "%.*s", (int)(size < 60 ? size : 60), value);
                return found(node, "type ", name, ret_text);
            }
            value += size;
        }
    }
    return false;
}

/* xs:all in 1.0 holds elements that occur at most once, and extends nothing. */
static bool is_new_all(const xmlNode *all, char *ret_text)
{
    if (xml_is_element(all->parent, XSD_NS, "extension"))
        return found(all, "all in an extension", "", ret_text);
    for (const xmlNode *child = all->children; child; child = child->next) {
        if (child->type != XML_ELEMENT_NODE || xml_is_element(child, XSD_NS, "annotation"))
            continue;
        const char *most = xml_attribute(child, "maxOccurs");
        if (!xml_is_element(child, XSD_NS, "element"))
            return found(child, (const char *)child->name, " in all", ret_text);
        if (most && strcmp(most, "0") != 0 && strcmp(most, "1") != 0)
            return found(child, "maxOccurs in all: ", most, ret_text);
    }
    return false;
}

/*
 * 1.0 forbids a wildcard that competes with an element (unique particle attribution); 1.1 lets the
 * element win. libxml2 does not notice, so a wildcard that may compete counts as 1.1: one that does
 * not keep to other namespaces and stands in a model with elements, or extends some.
 */
static bool may_compete(const xmlNode *any, char *ret_text)
{
    const char *namespaces = xml_attribute(any, "namespace");
    const xmlNode *model = any->parent;

    if (namespaces && strcmp(namespaces, "##other") == 0)
        return false;
    while (model->parent && !xml_is_element(model, XSD_NS, "complexType") &&
           !xml_is_element(model, XSD_NS, "extension") &&
           !(xml_is_element(model, XSD_NS, "group") && xml_attribute(model, "name")))
        model = model->parent;
    bool beside = xml_is_element(model, XSD_NS, "extension");
    for (const xmlNode *node = model; node && !beside; node = xml_next_node(node, model))
        beside = xml_is_element(node, XSD_NS, "element") ||
                 (xml_is_element(node, XSD_NS, "group") && xml_attribute(node, "ref"));
    return beside && found(any, "a wildcard that may compete with elements", "", ret_text);
}

static bool has_new_attribute(const xmlNode *node, char *ret_text)
{
    const char *name = (const char *)node->name;

    for (size_t i = 0; i < sizeof new_attributes / sizeof new_attributes[0]; i++)
        if (strcmp(name, new_attributes[i].element) == 0 &&
            xml_attribute(node, new_attributes[i].attribute))
            return found(node, "attribute ", new_attributes[i].attribute, ret_text);
    for (const xmlAttr *attribute = node->properties; attribute; attribute = attribute->next)
        if (attribute->ns && strcmp((const char *)attribute->ns->href, VERSIONING_NS) == 0)
            return found(node, "conditional inclusion: ", (const char *)attribute->name, ret_text);
    /* A list of heads; 1.0 knows one. */
    const char *heads = xml_attribute(node, "substitutionGroup");
    if (heads && strcmp(name, "element") == 0) {
        heads += strspn(heads, " \t\r\n");
        heads += strcspn(heads, " \t\r\n");
        if (!xml_is_blank(heads))
            return found(node, "several substitution groups", "", ret_text);
    }
    return false;
}

bool schema_uses_xsd11(const xmlDoc *schema, char *ret_text)
{
    const xmlNode *root = xmlDocGetRootElement(schema);

    for (const xmlNode *node = root; node; node = xml_next_node(node, root)) {
        if (node->type != XML_ELEMENT_NODE || !node->ns ||
            strcmp((const char *)node->ns->href, XSD_NS) != 0)
            continue;
        const char *name = (const char *)node->name;
        if (is_one_of(name, new_elements, sizeof new_elements / sizeof new_elements[0]))
            return found(node, "element ", name, ret_text);
        if (has_new_attribute(node, ret_text) || names_new_type(node, ret_text) ||
            (strcmp(name, "all") == 0 && is_new_all(node, ret_text)) ||
            (strcmp(name, "any") == 0 && may_compete(node, ret_text)))
            return true;
    }
    return false;
}
