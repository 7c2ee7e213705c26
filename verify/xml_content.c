/*
 * Comments are never signed in compatibility mode, and in 2.0 mode only if the signer says so.
 */
#include "verify/xml_content.h"

#include "verify/xml_tree.h"

/* RFC 3986 3: a scheme and a colon, or it is a relative reference. */
static bool is_absolute(const char *uri)
{
    size_t i = 0;

    if (!((uri[0] >= 'A' && uri[0] <= 'Z') || (uri[0] >= 'a' && uri[0] <= 'z')))
        return false;
    while ((uri[i] >= 'A' && uri[i] <= 'Z') || (uri[i] >= 'a' && uri[i] <= 'z') ||
           (uri[i] >= '0' && uri[i] <= '9') || uri[i] == '+' || uri[i] == '-' || uri[i] == '.')
        i++;
    return uri[i] == ':';
}

void xml_check_namespace_names(struct check_run *run, const xmlDoc *document)
{
    const xmlNode *root = xmlDocGetRootElement(document);

    for (const xmlNode *node = root; node; node = xml_next_node(node, root)) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        for (const xmlNs *ns = node->nsDef; ns; ns = ns->next) {
            const char *uri = ns->href ? (const char *)ns->href : "";
            if (uri[0] && !is_absolute(uri)) {
                checks_fail(run, CHECK_XML_NAMESPACE_NAMES,
                            "line %ld: namespace name \"%.100s\" is relative", xml_line(node), uri);
                return;
            }
        }
    }
    checks_pass(run, CHECK_XML_NAMESPACE_NAMES);
}

static bool is_written_text(const xmlNode *node)
{
    return node && node->type == XML_TEXT_NODE && !xml_is_blank((const char *)node->content);
}

static bool check_comment(struct check_run *run, const xmlNode *comment)
{
    if (is_written_text(comment->prev) || is_written_text(comment->next))
        return checks_fail(run, CHECK_XML_COMMENT_IN_TEXT,
                           "line %ld: an unsigned comment in a text", xml_line(comment));
    return checks_fail(run, CHECK_XML_COMMENTS, "line %ld: a comment, which is not signed",
                       xml_line(comment));
}

static bool check_comments_within(struct check_run *run, const xmlNode *top,
                                  const xmlNode *excluded)
{
    const xmlNode *node = top;

    while (node) {
        if (node == excluded) {
            /* Its own shape admits no comment. Continue behind it. */
            while (node != top && !node->next)
                node = node->parent;
            node = node == top ? NULL : node->next;
            continue;
        }
        if (node->type == XML_COMMENT_NODE && !check_comment(run, node))
            return false;
        node = xml_next_node(node, top);
    }
    return true;
}

void xml_check_comments(struct check_run *run, const struct dsig_signature *signature)
{
    const xmlNode *node = signature->selection.document->children;
    bool is_signed = signature->reference_method.parameters.with_comments;

    for (; node && !is_signed; node = node->next)
        if (!check_comments_within(run, node, signature->element))
            return;
    checks_pass(run, CHECK_XML_COMMENT_IN_TEXT);
    checks_pass(run, CHECK_XML_COMMENTS);
}
