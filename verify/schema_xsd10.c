/*
 * libxml2 asks for included schema documents through the process-wide entity loader, which refuses
 * everything (xml_tree.c) but what the thread at hand offers while it compiles a schema.
 */
#include "verify/schema_xsd10.h"

#include "verify/xml_tree.h"

#include <libxml/xmlerror.h>
#include <stdio.h>

struct first_error {
    bool any;
    bool memory;
    char *text;
};

static void note_error(void *context, xmlError *error)
{
    struct first_error *first = context;

    if (error->code == XML_ERR_NO_MEMORY)
        first->memory = true;
    if (first->any)
        return;
    first->any = true;
    snprintf(first->text, VERDICT_TEXT_MAX, "line %d: %s", error->line,
             error->message ? error->message : "not valid");
    first->text[strcspn(first->text, "\n")] = '\0';
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

struct offer {
    const struct trust_schema *schemas;
    size_t count;
};

static bool offer_schema(void *context, const char *url, struct bytes *ret_content)
{
    const struct offer *offer = context;

    for (size_t i = 0; i < offer->count; i++) {
        if (strcmp(base_name(offer->schemas[i].label), base_name(url)) == 0) {
            *ret_content = offer->schemas[i].content;
            return true;
        }
    }
    return false;
}

int schema_xsd10_compile(const struct trust_schema *schemas, size_t schema_count, char *ret_text,
                         xmlSchema **ret_schema)
{
    char text[VERDICT_TEXT_MAX] = "libxml2 does not accept the schema";
    struct first_error first = {.text = text};
    struct offer offer = {.schemas = schemas, .count = schema_count};
    struct xml_entity_offer entities = {.find = offer_schema, .context = &offer};

    xml_library_init();
    xmlSchemaParserCtxt *context = xmlSchemaNewMemParserCtxt((const char *)schemas[0].content.data,
                                                             (int)schemas[0].content.size);
    if (!context)
        return -ENOMEM;
    /* The parser of schema documents does not pass its errors on to the schema's own channel. */
    xmlSetStructuredErrorFunc(&first, note_error);
    xmlSchemaSetParserStructuredErrors(context, note_error, &first);
    xml_offer_entities(&entities);
    xmlSchema *schema = xmlSchemaParse(context);
    xml_offer_entities(NULL);
    xmlSetStructuredErrorFunc(NULL, NULL);
    xmlSchemaFreeParserCtxt(context);
    /* Warnings count: an include that was not found is one. */
    if (schema && !first.any) {
        *ret_schema = schema;
        return 0;
    }
    xmlSchemaFree(schema);
    if (first.memory)
        return -ENOMEM;
    snprintf(ret_text, VERDICT_TEXT_MAX, "%s", text);
    return SCHEMA_NOT_COMPILED;
}

int schema_xsd10_validate(xmlSchema *schema, xmlDoc *document, char *ret_text)
{
    char text[VERDICT_TEXT_MAX] = "not valid";
    struct first_error first = {.text = text};
    xmlSchemaValidCtxt *context = xmlSchemaNewValidCtxt(schema);

    if (!context)
        return -ENOMEM;
    xmlSchemaSetValidStructuredErrors(context, note_error, &first);
    int r = xmlSchemaValidateDoc(context, document);
    xmlSchemaFreeValidCtxt(context);
    if (first.memory)
        return -ENOMEM;
    if (r == 0 && !first.any)
        return 0;
    snprintf(ret_text, VERDICT_TEXT_MAX, "%s", text);
    return SCHEMA_NOT_VALID;
}
