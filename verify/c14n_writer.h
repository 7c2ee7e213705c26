/*
 * The state of one canonicalization, shared by its parts: c14n.c walks and writes, c14n_render.c
 * decides which namespaces and attributes an element shows, c14n_cover.c what stays unsigned.
 */
#ifndef VERIFY_C14N_WRITER_H
#define VERIFY_C14N_WRITER_H

#include "verify/c14n.h"
#include "verify/c14n_output.h"
#include "verify/c14n_qname.h"
#include "verify/c14n_scope.h"

#include <string.h>

enum {
    C14N_DEPTH_MAX = 512,
    C14N_NAMESPACE_MAX = 1024, /* that get a number: the list is searched for each name */
};

struct c14n_render {
    const char *prefix, *uri;
};

struct c14n_writer {
    const struct c14n_selection *selection;
    const struct c14n_parameters *parameters;
    struct c14n_output output;
    struct c14n_scope scope;
    struct c14n_coverage *coverage; /* NULL = not wanted */
    unsigned depth;                 /* of the element at hand; the apex has 1 */
    struct c14n_render *renders;    /* of the element at hand */
    size_t render_count, render_capacity;
    const xmlAttr **attributes; /* of the element at hand, in canonical order */
    size_t attribute_count, attribute_capacity;
    bool preserve_space[C14N_DEPTH_MAX + 1]; /* xml:space, by depth */
};

static inline const char *c14n_ns_uri(const xmlNs *ns)
{
    return ns && ns->href ? (const char *)ns->href : "";
}

static inline const char *c14n_ns_prefix(const xmlNs *ns)
{
    return ns && ns->prefix ? (const char *)ns->prefix : "";
}

static inline bool c14n_is_xml_attribute(const xmlAttr *attribute)
{
    return attribute->ns &&
           strcmp(c14n_ns_uri(attribute->ns), (const char *)XML_XML_NAMESPACE) == 0;
}

/* "" for an empty value; NULL if it holds anything but one text. */
static inline const char *c14n_attribute_value(const xmlAttr *attribute)
{
    const xmlNode *child = attribute->children;
    if (!child)
        return "";
    if (child->type != XML_TEXT_NODE || child->next)
        return NULL;
    return child->content ? (const char *)child->content : "";
}

/* The only text of an element; "" if it is empty, NULL if there is more. */
static inline const char *c14n_element_text(const xmlNode *element)
{
    const xmlNode *child = element->children;
    if (!child)
        return "";
    if ((child->type != XML_TEXT_NODE && child->type != XML_CDATA_SECTION_NODE) || child->next)
        return NULL;
    return child->content ? (const char *)child->content : "";
}

/* Fills writer->attributes for this element, in canonical order. */
_must_use_ int c14n_collect_attributes(struct c14n_writer *writer, const xmlNode *element);
/* Fills writer->renders for this element, in canonical order, and enters them as rendered. */
_must_use_ int c14n_collect_renders(struct c14n_writer *writer, const xmlNode *element);

/* Notes what the attributes, a text, an excluded subtree mean for writer->coverage. */
void c14n_cover_attributes(struct c14n_writer *writer, const xmlNode *element);
void c14n_cover_value(struct c14n_writer *writer, const xmlNode *element, const char *value);
void c14n_cover_excluded(struct c14n_writer *writer, const xmlNode *excluded);

#endif
