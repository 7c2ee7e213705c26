/*
 * One walk for all four algorithms; c14n_render.c knows where they differ. The walk is a loop, not
 * a recursion; depth is bounded by C14N_DEPTH_MAX besides.
 */
#include "verify/c14n_writer.h"

#include <stdio.h>

/* "p:", or "n3:" when prefixes are rewritten; nothing for the default namespace. */
static int write_prefix(struct c14n_writer *writer, const char *prefix, const char *uri)
{
    char rewritten[16];
    if (writer->parameters->rewrite_prefixes && strcmp(prefix, "xml") != 0) {
        unsigned number;
        int r = c14n_scope_number(&writer->scope, uri, &number);
        if (r < 0)
            return r;
        snprintf(rewritten, sizeof rewritten, "n%u", number);
        prefix = rewritten;
    }
    if (prefix[0]) {
        c14n_output_text(&writer->output, prefix);
        c14n_output_octets(&writer->output, ":", 1);
    }
    return 0;
}

static int write_renders(struct c14n_writer *writer)
{
    for (size_t i = 0; i < writer->render_count; i++) {
        const struct c14n_render *render = &writer->renders[i];
        if (writer->parameters->rewrite_prefixes) {
            unsigned number;
            int r = c14n_scope_number(&writer->scope, render->uri, &number);
            if (r < 0)
                return r;
            char name[32];
            snprintf(name, sizeof name, " xmlns:n%u=\"", number);
            c14n_output_text(&writer->output, name);
        } else {
            c14n_output_text(&writer->output, render->prefix[0] ? " xmlns:" : " xmlns");
            c14n_output_text(&writer->output, render->prefix);
            c14n_output_text(&writer->output, "=\"");
        }
        c14n_output_escaped_value(&writer->output, render->uri, strlen(render->uri));
        c14n_output_octets(&writer->output, "\"", 1);
    }
    return 0;
}

typedef void output_escaped(struct c14n_output *output, const char *data, size_t size);

/* A value that holds QNames, with its prefixes exchanged. */
static int write_rewritten(struct c14n_writer *writer, enum c14n_qname_kind kind, const char *text,
                           output_escaped *escaped)
{
    size_t written = 0;
    struct c14n_span span;
    bool xpath = kind == C14N_QNAME_XPATH_ELEMENT;
    size_t offset = 0;
    while (xpath ? c14n_xpath_prefix(text, &offset, &span)
                 : written == 0 && c14n_qname_prefix(text, &span)) {
        char prefix[C14N_PREFIX_SIZE];
        if (!c14n_prefix_copy(text, span, prefix))
            return -EBADMSG;
        const char *uri = c14n_scope_uri(&writer->scope, prefix);
        escaped(&writer->output, text + written, span.offset - written);
        written = span.offset;
        if (uri[0]) {
            int r = write_prefix(writer, prefix, uri);
            if (r < 0)
                return r;
            written += span.size > 0 ? span.size + 1 : 0;
        }
        if (!xpath)
            break;
    }
    escaped(&writer->output, text + written, strlen(text + written));
    return 0;
}

static int write_attributes(struct c14n_writer *writer)
{
    for (size_t i = 0; i < writer->attribute_count; i++) {
        const xmlAttr *attribute = writer->attributes[i];
        const char *value = c14n_attribute_value(attribute);
        if (!value)
            return -EBADMSG;
        c14n_output_octets(&writer->output, " ", 1);
        int r = attribute->ns ? write_prefix(writer, c14n_ns_prefix(attribute->ns),
                                             c14n_ns_uri(attribute->ns))
                              : 0;
        if (r < 0)
            return r;
        c14n_output_text(&writer->output, (const char *)attribute->name);
        c14n_output_octets(&writer->output, "=\"", 2);
        const struct c14n_qname_rule *rule = c14n_attribute_rule(writer->parameters, attribute);
        if (rule && writer->parameters->rewrite_prefixes) {
            r = write_rewritten(writer, rule->kind, value, c14n_output_escaped_value);
            if (r < 0)
                return r;
        } else {
            c14n_output_escaped_value(&writer->output, value, strlen(value));
        }
        c14n_output_octets(&writer->output, "\"", 1);
    }
    return 0;
}

static int open_element(struct c14n_writer *writer, const xmlNode *element)
{
    if (writer->depth > C14N_DEPTH_MAX)
        return -EBADMSG;
    int r = c14n_scope_declare(&writer->scope, element, writer->depth);
    if (r == 0)
        r = c14n_collect_attributes(writer, element);
    if (r == 0)
        r = c14n_collect_renders(writer, element);
    if (r < 0)
        return r;
    c14n_output_octets(&writer->output, "<", 1);
    r = write_prefix(writer, c14n_ns_prefix(element->ns), c14n_ns_uri(element->ns));
    if (r < 0)
        return r;
    c14n_output_text(&writer->output, (const char *)element->name);
    r = write_renders(writer);
    if (r == 0)
        r = write_attributes(writer);
    if (r < 0)
        return r;
    c14n_output_octets(&writer->output, ">", 1);
    if (writer->coverage)
        c14n_cover_attributes(writer, element);
    return 0;
}

static int close_element(struct c14n_writer *writer, const xmlNode *element)
{
    c14n_output_octets(&writer->output, "</", 2);
    int r = write_prefix(writer, c14n_ns_prefix(element->ns), c14n_ns_uri(element->ns));
    if (r < 0)
        return r;
    c14n_output_text(&writer->output, (const char *)element->name);
    c14n_output_octets(&writer->output, ">", 1);
    c14n_scope_leave(&writer->scope, writer->depth, writer->coverage);
    return 0;
}

static int write_text(struct c14n_writer *writer, const xmlNode *node)
{
    const char *text = node->content ? (const char *)node->content : "";
    const xmlNode *element = node->parent;
    const struct c14n_qname_rule *rule = c14n_element_rule(writer->parameters, element);
    if (rule && writer->parameters->rewrite_prefixes)
        return write_rewritten(writer, rule->kind, text, c14n_output_escaped_text);
    if (!rule && writer->coverage)
        c14n_cover_value(writer, element, text);
    size_t size = strlen(text);
    if (writer->parameters->trim_text && !writer->preserve_space[writer->depth - 1]) {
        while (size > 0 && c14n_is_space(text[size - 1]))
            size--;
        while (size > 0 && c14n_is_space(text[0])) {
            text++;
            size--;
        }
    }
    c14n_output_escaped_text(&writer->output, text, size);
    return 0;
}

static void write_instruction(struct c14n_writer *writer, const xmlNode *node)
{
    c14n_output_octets(&writer->output, "<?", 2);
    c14n_output_text(&writer->output, (const char *)node->name);
    if (node->content && node->content[0]) {
        const char *content = (const char *)node->content;
        c14n_output_octets(&writer->output, " ", 1);
        c14n_output_escaped_return(&writer->output, content, strlen(content));
    }
    c14n_output_octets(&writer->output, "?>", 2);
}

static void write_comment(struct c14n_writer *writer, const xmlNode *node)
{
    const char *content = node->content ? (const char *)node->content : "";
    c14n_output_octets(&writer->output, "<!--", 4);
    c14n_output_escaped_return(&writer->output, content, strlen(content));
    c14n_output_octets(&writer->output, "-->", 3);
}

static int write_leaf(struct c14n_writer *writer, const xmlNode *node)
{
    switch (node->type) {
    case XML_TEXT_NODE:
    case XML_CDATA_SECTION_NODE:
        return write_text(writer, node);
    case XML_PI_NODE:
        write_instruction(writer, node);
        return 0;
    case XML_COMMENT_NODE:
        if (writer->parameters->with_comments)
            write_comment(writer, node);
        return 0;
    default:
        return -EBADMSG;
    }
}

static int write_subtree(struct c14n_writer *writer, const xmlNode *top)
{
    const xmlNode *node = top;
    writer->depth = 1;
    for (;;) {
        int r = 0;
        if (node == writer->selection->excluded) {
            if (writer->coverage)
                c14n_cover_excluded(writer, node);
        } else if (node->type == XML_ELEMENT_NODE) {
            r = open_element(writer, node);
            if (r == 0 && node->children) {
                writer->depth++;
                node = node->children;
                continue;
            }
            if (r == 0)
                r = close_element(writer, node);
        } else {
            r = write_leaf(writer, node);
        }
        while (r == 0 && node != top && !node->next) {
            node = node->parent;
            writer->depth--;
            r = close_element(writer, node);
        }
        if (r < 0 || writer->output.error != 0 || node == top)
            return r;
        node = node->next;
    }
}

/* Outside the document element each comment and instruction stands on a line of its own. */
static int write_document(struct c14n_writer *writer)
{
    bool root_seen = false;
    int r = 0;
    for (const xmlNode *node = writer->selection->document->children; node && r == 0;
         node = node->next) {
        if (node->type == XML_ELEMENT_NODE) {
            r = write_subtree(writer, node);
            root_seen = true;
        } else if (node->type == XML_PI_NODE ||
                   (node->type == XML_COMMENT_NODE && writer->parameters->with_comments)) {
            c14n_output_octets(&writer->output, "\n", root_seen ? 1 : 0);
            r = write_leaf(writer, node);
            c14n_output_octets(&writer->output, "\n", root_seen ? 0 : 1);
        } else if (node->type != XML_COMMENT_NODE && node->type != XML_DTD_NODE) {
            r = -EBADMSG;
        }
    }
    return r;
}

/* What the ancestors of an inner apex declare, outermost first. */
static int declare_ancestors(struct c14n_writer *writer, const xmlNode *apex)
{
    const xmlNode *ancestors[C14N_DEPTH_MAX];
    size_t count = 0;
    for (const xmlNode *node = apex->parent; node && node->type == XML_ELEMENT_NODE;
         node = node->parent) {
        if (count == C14N_DEPTH_MAX)
            return -EBADMSG;
        ancestors[count++] = node;
    }
    int r = 0;
    while (r == 0 && count > 0)
        r = c14n_scope_declare(&writer->scope, ancestors[--count], 0);
    return r;
}

int c14n_write(const struct c14n_selection *selection, const struct c14n_parameters *parameters,
               c14n_sink *sink, void *context, struct c14n_coverage *ret_coverage)
{
    struct c14n_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return -ENOMEM;
    struct c14n_coverage coverage = {0};
    writer->selection = selection;
    writer->parameters = parameters;
    writer->coverage = ret_coverage ? &coverage : NULL;
    c14n_output_init(&writer->output, sink, context);
    int r;
    if (selection->apex) {
        r = declare_ancestors(writer, selection->apex);
        if (r == 0)
            r = write_subtree(writer, selection->apex);
    } else {
        r = write_document(writer);
    }
    if (r == 0)
        r = c14n_output_finish(&writer->output);
    if (r == 0 && ret_coverage)
        *ret_coverage = coverage;
    c14n_scope_done(&writer->scope);
    free(writer->renders);
    free(writer->attributes);
    free(writer);
    return r;
}
