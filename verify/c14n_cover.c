/*
 * What exclusive canonicalization and C14N 2.0 leave unsigned: bindings of prefixes that occur in
 * values, not in names.
 */
#include "verify/c14n_writer.h"

/* True if a name with this prefix means, to a reader of the canonical form alone, what it means in
 * the document. Rewritten prefixes are numbers there, so the document's own mean nothing. */
static bool prefix_is_signed(const struct c14n_writer *writer, const char *text,
                             struct c14n_span span)
{
    char prefix[C14N_PREFIX_SIZE];
    if (!c14n_prefix_copy(text, span, prefix))
        return false;
    if (strcmp(prefix, "xml") == 0)
        return true;
    if (writer->parameters->rewrite_prefixes)
        return false;
    return strcmp(c14n_scope_uri(&writer->scope, prefix),
                  c14n_scope_rendered(&writer->scope, prefix)) == 0;
}

static void note_uncovered(long *line, char out[C14N_PREFIX_SIZE], const xmlNode *element,
                           const char *text, struct c14n_span span)
{
    if (*line != 0)
        return;
    long number = xmlGetLineNo(element);
    *line = number > 0 ? number : 1;
    if (!c14n_prefix_copy(text, span, out))
        out[0] = '\0';
}

/* A text or attribute value that no rule of C14N 2.0 covers. */
void c14n_cover_value(struct c14n_writer *writer, const xmlNode *element, const char *value)
{
    struct c14n_coverage *coverage = writer->coverage;
    struct c14n_span span;
    char prefix[C14N_PREFIX_SIZE];
    if (coverage->unsigned_value_line != 0 || !strchr(value, ':') ||
        !c14n_looks_qualified(value, &span))
        return;
    if (!c14n_prefix_copy(value, span, prefix) || !c14n_scope_find(&writer->scope, prefix))
        return; /* bound to nothing: no QName */
    if (!prefix_is_signed(writer, value, span))
        note_uncovered(&coverage->unsigned_value_line, coverage->unsigned_value_prefix, element,
                       value, span);
}

void c14n_cover_attributes(struct c14n_writer *writer, const xmlNode *element)
{
    struct c14n_coverage *coverage = writer->coverage;
    for (size_t i = 0; i < writer->attribute_count; i++) {
        const xmlAttr *attribute = writer->attributes[i];
        const char *value = c14n_attribute_value(attribute);
        if (!value || c14n_attribute_rule(writer->parameters, attribute))
            continue;
        bool is_type =
            strcmp((const char *)attribute->name, "type") == 0 &&
            strcmp(c14n_ns_uri(attribute->ns), "http://www.w3.org/2001/XMLSchema-instance") == 0;
        struct c14n_span span = {0};
        if (!is_type)
            c14n_cover_value(writer, element, value);
        else if (c14n_qname_prefix(value, &span) && !prefix_is_signed(writer, value, span))
            note_uncovered(&coverage->unsigned_type_line, coverage->unsigned_type_prefix, element,
                           value, span);
    }
}

/* What the excluded subtree uses is used, though not rendered: the Signature's own names are signed
 * through SignedInfo. Declarations inside it are not entered, so they can't be missed here. */
void c14n_cover_excluded(struct c14n_writer *writer, const xmlNode *excluded)
{
    const xmlNode *node = excluded;
    while (node) {
        if (node->type == XML_ELEMENT_NODE) {
            struct c14n_binding *binding =
                c14n_scope_find(&writer->scope, c14n_ns_prefix(node->ns));
            if (binding && strcmp(binding->uri, c14n_ns_uri(node->ns)) == 0)
                binding->used = true;
        }
        if (node->type == XML_ELEMENT_NODE && node->children) {
            node = node->children;
            continue;
        }
        while (node != excluded && !node->next)
            node = node->parent;
        node = node == excluded ? NULL : node->next;
    }
}
