/*
 * Errors of the parser and of namespaces end the parse. Its warnings do not: they concern what XML
 * 1.0 leaves open, such as namespace names that are not URIs, and those are checked elsewhere.
 */
#include "verify/xml_tree.h"

#include "verify/xml_encoding.h"
#include "verify/xml_scan.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>
#include <pthread.h>
#include <stdio.h>

static _Thread_local const struct xml_entity_offer *entity_offer;

void xml_offer_entities(const struct xml_entity_offer *offer)
{
    entity_offer = offer;
}

static xmlParserInput *load_entity(const char *url, const char *id, xmlParserCtxt *context)
{
    struct bytes content;

    (void)id;
    if (!entity_offer || !url || !entity_offer->find(entity_offer->context, url, &content))
        return NULL;
    xmlParserInputBuffer *buffer = xmlParserInputBufferCreateMem(
        (const char *)content.data, (int)content.size, XML_CHAR_ENCODING_NONE);
    if (!buffer)
        return NULL;
    xmlParserInput *input = xmlNewIOInputStream(context, buffer, XML_CHAR_ENCODING_NONE);
    if (!input) {
        xmlFreeParserInputBuffer(buffer);
        return NULL;
    }
    input->filename = (char *)xmlStrdup((const xmlChar *)url);
    return input;
}

static void ignore_error(void *context, const char *format, ...) _printf_(2, 3);

static void ignore_error(void *context, const char *format, ...)
{
    (void)context;
    (void)format;
}

static void library_init_once(void)
{
    xmlInitParser();
    xmlSetExternalEntityLoader(load_entity);
    xmlSetGenericErrorFunc(NULL, ignore_error);
    xml_charsets_load();
}

void xml_library_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, library_init_once);
}

struct parse_errors {
    bool failed;
    bool memory;
    char *message;
};

static void note_error(void *context, const xmlError *error)
{
    struct parse_errors *errors = context;

    if (error->code == XML_ERR_NO_MEMORY)
        errors->memory = true;
    if ((error->domain != XML_FROM_PARSER && error->domain != XML_FROM_NAMESPACE) ||
        error->level < XML_ERR_ERROR || errors->failed)
        return;
    errors->failed = true;
    snprintf(errors->message, VERDICT_TEXT_MAX, "line %d: %s", error->line,
             error->message ? error->message : "not well-formed");
    errors->message[strcspn(errors->message, "\n")] = '\0';
}

static void structured_error(void *context, xmlError *error)
{
    note_error(context, error);
}

int xml_parse(struct bytes utf8, char *ret_message, xmlDoc **ret_document)
{
    char message[VERDICT_TEXT_MAX] = "not well-formed";
    struct parse_errors errors = {.message = message};

    xml_library_init();
    if (utf8.size > XML_DOCUMENT_MAX)
        return XML_MALFORMED;
    xmlParserCtxt *context = xmlCreateMemoryParserCtxt((const char *)utf8.data, (int)utf8.size);
    if (!context)
        return -ENOMEM;
    /* NOENT: the five predefined entities become text; xml_scan() has seen that there are no
     * others. IGNORE_ENC: the bytes are UTF-8, whatever was declared before they were converted. */
    xmlCtxtUseOptions(context, XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOCDATA |
                                   XML_PARSE_COMPACT | XML_PARSE_BIG_LINES | XML_PARSE_IGNORE_ENC);
    xmlSetStructuredErrorFunc(&errors, structured_error);
    /* libxml2 does not look whether there was memory for its input. */
    if (context->input)
        xmlParseDocument(context);
    xmlSetStructuredErrorFunc(NULL, NULL);
    xmlDoc *document = context->myDoc;
    context->myDoc = NULL;
    bool good = document && context->wellFormed && context->nsWellFormed && !errors.failed;
    bool memory = !context->input || errors.memory || context->errNo == XML_ERR_NO_MEMORY;
    xmlFreeParserCtxt(context);
    if (good && !memory) {
        *ret_document = document;
        return 0;
    }
    xmlFreeDoc(document);
    if (memory)
        return -ENOMEM;
    snprintf(ret_message, VERDICT_TEXT_MAX, "%s", message);
    return XML_MALFORMED;
}

const xmlNode *xml_next_node(const xmlNode *node, const xmlNode *top)
{
    if (node->type == XML_ELEMENT_NODE && node->children)
        return node->children;
    while (node != top && !node->next)
        node = node->parent;
    return node == top ? NULL : node->next;
}

bool xml_is_element(const xmlNode *node, const char *uri, const char *name)
{
    return node && node->type == XML_ELEMENT_NODE && node->ns && node->ns->href &&
           strcmp((const char *)node->ns->href, uri) == 0 &&
           strcmp((const char *)node->name, name) == 0;
}

bool xml_is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

const xmlNode *xml_skip_blank(const xmlNode *node)
{
    while (node && node->type == XML_TEXT_NODE && xml_is_blank((const char *)node->content))
        node = node->next;
    return node;
}

const char *xml_attribute(const xmlNode *element, const char *name)
{
    for (const xmlAttr *attribute = element->properties; attribute; attribute = attribute->next) {
        if (attribute->ns || strcmp((const char *)attribute->name, name) != 0)
            continue;
        const xmlNode *value = attribute->children;
        return value && value->content ? (const char *)value->content : "";
    }
    return NULL;
}

const char *xml_text(const xmlNode *element)
{
    const xmlNode *child = element->children;

    if (!child)
        return "";
    return child->type == XML_TEXT_NODE && !child->next ? (const char *)child->content : NULL;
}

long xml_line(const xmlNode *node)
{
    return xmlGetLineNo(node);
}
