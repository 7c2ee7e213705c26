/*
 * The allow-list's machinery: children in order, attributes by name, nothing in between.
 */
#include "verify/dsig_parts.h"
#include "verify/xml_tree.h"

const char *const dsig_no_attributes[] = {NULL};
const char *const dsig_only_id[] = {"Id", NULL};
const char *const dsig_only_algorithm[] = {"Algorithm", NULL};

static bool attribute_allowed(const xmlAttr *attribute, const char *const *allowed)
{
    for (; !attribute->ns && *allowed; allowed++)
        if (strcmp((const char *)attribute->name, *allowed) == 0)
            return true;
    return false;
}

/* Stops at the next element, or at the end. */
static bool cursor_settle(struct dsig_cursor *cursor, const xmlNode *node)
{
    node = xml_skip_blank(node);
    cursor->next = node;
    if (!node || node->type == XML_ELEMENT_NODE)
        return true;
    return checks_fail(cursor->run, cursor->check, "line %ld: a stray %s inside %s",
                       xml_line(cursor->parent),
                       node->type == XML_COMMENT_NODE ? "comment"
                       : node->type == XML_PI_NODE    ? "processing instruction"
                                                      : "text",
                       (const char *)cursor->parent->name);
}

static bool attributes_allowed(struct check_run *run, enum check_id check, const xmlNode *element,
                               const char *const *allowed)
{
    for (const xmlAttr *attribute = element->properties; attribute; attribute = attribute->next)
        if (!attribute_allowed(attribute, allowed))
            return checks_fail(run, check, "line %ld: attribute %.60s does not belong on %s",
                               xml_line(element), (const char *)attribute->name,
                               (const char *)element->name);
    return true;
}

bool dsig_enter(struct dsig_cursor *cursor, struct check_run *run, enum check_id check,
                const xmlNode *parent, const char *const *attributes)
{
    *cursor = (struct dsig_cursor){.run = run, .check = check, .parent = parent};
    return attributes_allowed(run, check, parent, attributes) &&
           cursor_settle(cursor, parent->children);
}

bool dsig_enter_text(struct check_run *run, enum check_id check, const xmlNode *element,
                     const char *const *attributes, const char **ret_text)
{
    const char *text = xml_text(element);

    if (!attributes_allowed(run, check, element, attributes))
        return false;
    if (!text)
        return checks_fail(run, check, "line %ld: %s holds more than text", xml_line(element),
                           (const char *)element->name);
    *ret_text = text;
    return true;
}

bool dsig_advance(struct dsig_cursor *cursor)
{
    return cursor_settle(cursor, cursor->next->next);
}

bool dsig_take(struct dsig_cursor *cursor, const char *uri, const char *name,
               const xmlNode **ret_element)
{
    const xmlNode *element = cursor->next;

    if (!xml_is_element(element, uri, name))
        return checks_fail(
            cursor->run, cursor->check, "line %ld: %s is expected in %s here, not %.60s",
            xml_line(element ? element : cursor->parent), name, (const char *)cursor->parent->name,
            element ? (const char *)element->name : "its end");
    *ret_element = element;
    return dsig_advance(cursor);
}

bool dsig_leave(struct dsig_cursor *cursor)
{
    if (!cursor->next)
        return true;
    return checks_fail(cursor->run, cursor->check, "line %ld: %.60s does not belong in %s here",
                       xml_line(cursor->next), (const char *)cursor->next->name,
                       (const char *)cursor->parent->name);
}

bool dsig_enter_empty(struct check_run *run, enum check_id check, const xmlNode *element,
                      const char *const *attributes)
{
    struct dsig_cursor cursor;

    return dsig_enter(&cursor, run, check, element, attributes) && dsig_leave(&cursor);
}
