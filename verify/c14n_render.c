/*
 * Which attributes and which namespace declarations an element shows. Here Canonical XML 1.0, 1.1,
 * Exclusive and 2.0 differ.
 */
#include "verify/c14n_writer.h"

static int add_attribute(struct c14n_writer *writer, const xmlAttr *attribute)
{
    if (writer->attribute_count == writer->attribute_capacity) {
        size_t capacity = writer->attribute_capacity > 0 ? 2 * writer->attribute_capacity : 32;
        void *attributes = reallocarray(writer->attributes, capacity, sizeof *writer->attributes);
        if (!attributes)
            return -ENOMEM;
        writer->attributes = attributes;
        writer->attribute_capacity = capacity;
    }
    writer->attributes[writer->attribute_count++] = attribute;
    return 0;
}

static bool has_xml_attribute(const struct c14n_writer *writer, const xmlChar *name)
{
    for (size_t i = 0; i < writer->attribute_count; i++)
        if (c14n_is_xml_attribute(writer->attributes[i]) &&
            xmlStrEqual(writer->attributes[i]->name, name))
            return true;
    return false;
}

/* Canonical XML 1.0 2.4 and 1.1 2.4: an inner apex takes over xml: attributes of its ancestors;
 * under 1.1 only those that are inheritable by nature, and xml:base in a joined form. */
static int inherit_attributes(struct c14n_writer *writer, const xmlNode *apex)
{
    enum c14n_version version = writer->parameters->version;
    if (version != C14N_1_0 && version != C14N_1_1)
        return 0;
    for (const xmlNode *node = apex->parent; node && node->type == XML_ELEMENT_NODE;
         node = node->parent) {
        for (const xmlAttr *attribute = node->properties; attribute; attribute = attribute->next) {
            if (!c14n_is_xml_attribute(attribute) || has_xml_attribute(writer, attribute->name))
                continue;
            const char *name = (const char *)attribute->name;
            if (version == C14N_1_1 && strcmp(name, "base") == 0)
                return -EBADMSG;
            if (version == C14N_1_1 && strcmp(name, "lang") != 0 && strcmp(name, "space") != 0)
                continue;
            int r = add_attribute(writer, attribute);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int compare_attributes(const void *left, const void *right)
{
    const xmlAttr *a = *(const xmlAttr *const *)left, *b = *(const xmlAttr *const *)right;
    int order = strcmp(c14n_ns_uri(a->ns), c14n_ns_uri(b->ns));
    return order != 0 ? order : strcmp((const char *)a->name, (const char *)b->name);
}

int c14n_collect_attributes(struct c14n_writer *writer, const xmlNode *element)
{
    writer->attribute_count = 0;
    bool preserve = writer->preserve_space[writer->depth - 1];
    for (const xmlAttr *attribute = element->properties; attribute; attribute = attribute->next) {
        const char *value = c14n_attribute_value(attribute);
        if (!value)
            return -EBADMSG;
        if (c14n_is_xml_attribute(attribute) && strcmp((const char *)attribute->name, "space") == 0)
            preserve = strcmp(value, "preserve") == 0;
        int r = add_attribute(writer, attribute);
        if (r < 0)
            return r;
    }
    writer->preserve_space[writer->depth] = preserve;
    if (element == writer->selection->apex) {
        int r = inherit_attributes(writer, element);
        if (r < 0)
            return r;
    }
    if (writer->attribute_count > 1)
        qsort(writer->attributes, writer->attribute_count, sizeof *writer->attributes,
              compare_attributes);
    return 0;
}

/* Namespaces to render */

static int add_render(struct c14n_writer *writer, const char *prefix, const char *uri)
{
    bool rewrite = writer->parameters->rewrite_prefixes;
    if (rewrite ? c14n_scope_rendered_uri(&writer->scope, uri)
                : strcmp(c14n_scope_rendered(&writer->scope, prefix), uri) == 0)
        return 0;
    for (size_t i = 0; i < writer->render_count; i++)
        if (rewrite ? strcmp(writer->renders[i].uri, uri) == 0
                    : strcmp(writer->renders[i].prefix, prefix) == 0)
            return 0;
    if (writer->render_count == writer->render_capacity) {
        size_t capacity = writer->render_capacity > 0 ? 2 * writer->render_capacity : 32;
        void *renders = reallocarray(writer->renders, capacity, sizeof *writer->renders);
        if (!renders)
            return -ENOMEM;
        writer->renders = renders;
        writer->render_capacity = capacity;
    }
    writer->renders[writer->render_count++] = (struct c14n_render){.prefix = prefix, .uri = uri};
    return 0;
}

/* Inclusive: whatever came into scope here; for an inner apex, whatever is in scope. */
static int render_in_scope(struct c14n_writer *writer)
{
    struct c14n_bindings *in_scope = &writer->scope.in_scope;
    for (size_t i = in_scope->count; i > 0; i--) {
        struct c14n_binding *binding = &in_scope->entries[i - 1];
        if (binding->depth < writer->depth && writer->depth > 1)
            break;
        binding->used = true;
        if (c14n_scope_find(&writer->scope, binding->prefix) != binding)
            continue;
        int r = add_render(writer, binding->prefix, binding->uri);
        if (r < 0)
            return r;
    }
    return 0;
}

static int render_name(struct c14n_writer *writer, const xmlNs *ns)
{
    const char *prefix = c14n_ns_prefix(ns);
    if (strcmp(prefix, "xml") == 0)
        return 0;
    struct c14n_binding *binding = c14n_scope_find(&writer->scope, prefix);
    if (binding)
        binding->used = true;
    return add_render(writer, binding ? binding->prefix : prefix, c14n_ns_uri(ns));
}

/* The prefix at `span` of a value that C14N 2.0 was told to understand. */
static int render_value_prefix(struct c14n_writer *writer, const char *text, struct c14n_span span)
{
    char prefix[C14N_PREFIX_SIZE];
    if (!c14n_prefix_copy(text, span, prefix))
        return -EBADMSG;
    if (strcmp(prefix, "xml") == 0)
        return 0;
    struct c14n_binding *binding = c14n_scope_find(&writer->scope, prefix);
    if (!binding || !binding->uri[0])
        return span.size > 0 ? -EBADMSG : 0;
    binding->used = true;
    return add_render(writer, binding->prefix, binding->uri);
}

static int render_value(struct c14n_writer *writer, enum c14n_qname_kind kind, const char *text)
{
    struct c14n_span span;
    if (kind != C14N_QNAME_XPATH_ELEMENT)
        return c14n_qname_prefix(text, &span) ? render_value_prefix(writer, text, span) : 0;
    for (size_t offset = 0; c14n_xpath_prefix(text, &offset, &span);) {
        int r = render_value_prefix(writer, text, span);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Exclusive C14N 3 and C14N 2.0: what the names and known values of this element use. */
static int render_utilized(struct c14n_writer *writer, const xmlNode *element)
{
    const struct c14n_parameters *parameters = writer->parameters;
    int r = render_name(writer, element->ns);
    for (size_t i = 0; r == 0 && i < writer->attribute_count; i++) {
        const xmlAttr *attribute = writer->attributes[i];
        if (attribute->ns)
            r = render_name(writer, attribute->ns);
        const struct c14n_qname_rule *rule = c14n_attribute_rule(parameters, attribute);
        if (r == 0 && rule)
            r = render_value(writer, rule->kind, c14n_attribute_value(attribute));
    }
    const struct c14n_qname_rule *rule = c14n_element_rule(parameters, element);
    if (r == 0 && rule) {
        const char *text = c14n_element_text(element);
        r = text ? render_value(writer, rule->kind, text) : -EBADMSG;
    }
    for (size_t i = 0; r == 0 && i < parameters->inclusive_count; i++) {
        const char *prefix = parameters->inclusive_prefixes[i];
        struct c14n_binding *binding = c14n_scope_find(&writer->scope, prefix);
        if (binding)
            binding->used = true;
        if (binding || !prefix[0])
            r = add_render(writer, prefix, binding ? binding->uri : "");
    }
    return r;
}

static int compare_prefixes(const void *left, const void *right)
{
    const struct c14n_render *a = left, *b = right;
    return strcmp(a->prefix, b->prefix);
}

static int compare_uris(const void *left, const void *right)
{
    const struct c14n_render *a = left, *b = right;
    return strcmp(a->uri, b->uri);
}

int c14n_collect_renders(struct c14n_writer *writer, const xmlNode *element)
{
    enum c14n_version version = writer->parameters->version;
    bool rewrite = writer->parameters->rewrite_prefixes;
    writer->render_count = 0;
    int r = version == C14N_EXCLUSIVE || version == C14N_2_0 ? render_utilized(writer, element)
                                                             : render_in_scope(writer);
    if (r < 0)
        return r;
    if (writer->render_count > 1)
        qsort(writer->renders, writer->render_count, sizeof *writer->renders,
              rewrite ? compare_uris : compare_prefixes);
    for (size_t i = 0; r == 0 && i < writer->render_count; i++) {
        const struct c14n_render *render = &writer->renders[i];
        unsigned number;
        r = c14n_scope_render(&writer->scope, render->prefix, render->uri, writer->depth);
        if (r == 0 && rewrite)
            r = c14n_scope_number(&writer->scope, render->uri, &number);
    }
    return r < 0 ? r : writer->scope.numbered.count > C14N_NAMESPACE_MAX ? -EBADMSG : 0;
}
