/*
 * The parsed document: libxml2 with everything switched off that could reach outside the bytes or
 * multiply them, and the few questions about nodes that the XML checks share.
 *
 * Thread rule: a document belongs to one thread. xml_library_init() runs once, before any sandbox.
 */
#ifndef VERIFY_XML_TREE_H
#define VERIFY_XML_TREE_H

#include "base/bytes.h"
#include "base/verdict.h"

#include <libxml/tree.h>
#include <stdbool.h>

/* Initialises libxml2, refuses every external entity for the whole process, silences its messages,
 * and loads the character sets of xml_encoding.h that an operator may allow. Idempotent. */
void xml_library_init(void);

/* What this thread offers, for the time being, to a library that asks for an external entity: only
 * a schema being compiled does. NULL offers nothing, as at the start. */
struct xml_entity_offer {
    bool (*find)(void *context, const char *url, struct bytes *ret_content);
    void *context;
};
void xml_offer_entities(const struct xml_entity_offer *offer);

/*
 * Parses a document that xml_scan() found good. XML_MALFORMED: it is not well-formed or not
 * namespace-well-formed; ret_message (VERDICT_TEXT_MAX bytes) says why. -ENOMEM.
 */
enum { XML_MALFORMED = 1 };
_must_use_ int xml_parse(struct bytes utf8, char *ret_message, xmlDoc **ret_document);

static inline void cleanup_xml_document(xmlDoc **slot)
{
    if (*slot)
        xmlFreeDoc(*slot);
}
#define _cleanup_xml_document_ _cleanup_(cleanup_xml_document)

/* Document order within the subtree of `top`, elements and all other nodes; NULL after the last. */
const xmlNode *xml_next_node(const xmlNode *node, const xmlNode *top);

/* An element of this name in this namespace. */
bool xml_is_element(const xmlNode *node, const char *uri, const char *name);

/* The next sibling, the node itself included, that is not white space; NULL at the end. */
const xmlNode *xml_skip_blank(const xmlNode *node);
bool xml_is_blank(const char *text);

/* An attribute without namespace; NULL if there is none. The empty string is a value. */
const char *xml_attribute(const xmlNode *element, const char *name);

/* The text of an element that holds nothing else; "" if it is empty, NULL otherwise. */
const char *xml_text(const xmlNode *element);

long xml_line(const xmlNode *node);

#endif
