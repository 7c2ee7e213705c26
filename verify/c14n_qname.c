/*
 * The scanners take any octet above 127 for a letter: the parser has checked names already, and a
 * prefix that is none is not bound to anything.
 */
#include "verify/c14n_qname.h"

#include <string.h>

bool c14n_is_space(char octet)
{
    return octet == ' ' || octet == '\t' || octet == '\n' || octet == '\r';
}

static bool is_name_start(char octet)
{
    return (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z') || octet == '_' ||
           (unsigned char)octet >= 128;
}

static bool is_name(char octet)
{
    return is_name_start(octet) || (octet >= '0' && octet <= '9') || octet == '-' || octet == '.';
}

static size_t name_end(const char *text, size_t offset)
{
    while (is_name(text[offset]))
        offset++;
    return offset;
}

bool c14n_qname_prefix(const char *text, struct c14n_span *ret_span)
{
    size_t start = 0;
    while (c14n_is_space(text[start]))
        start++;
    size_t end = name_end(text, start);
    if (end == start)
        return false;
    *ret_span = (struct c14n_span){.offset = start, .size = text[end] == ':' ? end - start : 0};
    return true;
}

bool c14n_xpath_prefix(const char *text, size_t *offset, struct c14n_span *ret_span)
{
    size_t i = *offset;
    while (text[i]) {
        if (text[i] == '"' || text[i] == '\'') {
            const char *close = strchr(text + i + 1, text[i]);
            if (!close)
                break;
            i = (size_t)(close - text) + 1;
        } else if (is_name_start(text[i])) {
            size_t end = name_end(text, i);
            if (text[end] == ':' && text[end + 1] != ':') {
                *ret_span = (struct c14n_span){.offset = i, .size = end - i};
                *offset = name_end(text, end + 1);
                return true;
            }
            i = text[end] == ':' ? end + 2 : end;
        } else if (is_name(text[i])) {
            i = name_end(text, i); /* a number */
        } else {
            i++;
        }
    }
    *offset = i;
    return false;
}

bool c14n_looks_qualified(const char *text, struct c14n_span *ret_prefix)
{
    struct c14n_span span;
    if (!c14n_qname_prefix(text, &span) || span.size == 0 || !is_name_start(text[span.offset]))
        return false;
    size_t local = span.offset + span.size + 1;
    if (!is_name_start(text[local]))
        return false;
    size_t end = name_end(text, local);
    while (c14n_is_space(text[end]))
        end++;
    if (text[end])
        return false;
    *ret_prefix = span;
    return true;
}

static bool name_is(const xmlChar *name, const xmlNs *ns, const char *wanted_name,
                    const char *wanted_uri)
{
    const char *uri = ns && ns->href ? (const char *)ns->href : "";
    return strcmp((const char *)name, wanted_name) == 0 && strcmp(uri, wanted_uri) == 0;
}

const struct c14n_qname_rule *c14n_element_rule(const struct c14n_parameters *parameters,
                                                const xmlNode *element)
{
    for (size_t i = 0; i < parameters->rule_count; i++) {
        const struct c14n_qname_rule *rule = &parameters->rules[i];
        if ((rule->kind == C14N_QNAME_ELEMENT || rule->kind == C14N_QNAME_XPATH_ELEMENT) &&
            name_is(element->name, element->ns, rule->name, rule->uri))
            return rule;
    }
    return NULL;
}

const struct c14n_qname_rule *c14n_attribute_rule(const struct c14n_parameters *parameters,
                                                  const xmlAttr *attribute)
{
    for (size_t i = 0; i < parameters->rule_count; i++) {
        const struct c14n_qname_rule *rule = &parameters->rules[i];
        if (attribute->ns && rule->kind == C14N_QNAME_QUALIFIED_ATTR &&
            name_is(attribute->name, attribute->ns, rule->name, rule->uri))
            return rule;
        if (!attribute->ns && rule->kind == C14N_QNAME_UNQUALIFIED_ATTR &&
            name_is(attribute->name, NULL, rule->name, "") &&
            name_is(attribute->parent->name, attribute->parent->ns, rule->parent_name,
                    rule->parent_uri))
            return rule;
    }
    return NULL;
}

bool c14n_prefix_copy(const char *text, struct c14n_span span, char out[C14N_PREFIX_SIZE])
{
    if (span.size >= C14N_PREFIX_SIZE)
        return false;
    memcpy(out, text + span.offset, span.size);
    out[span.size] = '\0';
    return true;
}
