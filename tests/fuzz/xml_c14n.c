/*
 * Canonicalization. The first byte chooses parameters, the second an element as apex, the rest is
 * the document. 1.0 and Exclusive must agree with libxml2, but for namespace names that it does not
 * escape or refuses.
 */
#include "fuzz_trust.h"

#include "verify/c14n.h"
#include "verify/xml_scan.h"
#include "verify/xml_tree.h"

#include <libxml/c14n.h>
#include <stdlib.h>

static int collect(void *context, const void *data, size_t size)
{
    return buffer_append(context, data, size);
}

static bool is_comparable(const xmlDoc *document)
{
    const xmlNode *root = xmlDocGetRootElement(document);

    for (const xmlNode *node = root; node; node = xml_next_node(node, root))
        for (const xmlNs *ns = node->type == XML_ELEMENT_NODE ? node->nsDef : NULL; ns;
             ns = ns->next)
            for (const xmlChar *c = ns->href; c && *c; c++)
                if (*c == '&' || *c == '"' || *c < 0x20 || *c == '<')
                    return false;
    return true;
}

static void compare(xmlDoc *document, int mode, const struct buffer *ours)
{
    xmlOutputBuffer *out = xmlAllocOutputBuffer(NULL);

    if (!out)
        return;
    if (xmlC14NExecute(document, NULL, NULL, mode, NULL, 0, out) >= 0 &&
        !bytes_equal(bytes_of(ours->data, ours->size),
                     bytes_of(xmlOutputBufferGetContent(out), xmlOutputBufferGetSize(out))))
        abort();
    xmlOutputBufferClose(out);
}

static void canonicalize(xmlDoc *document, uint8_t choice, uint8_t apex)
{
    static const struct c14n_qname_rule rules[] = {
        {.kind = C14N_QNAME_ELEMENT, .name = "q", .uri = ""},
        {.kind = C14N_QNAME_XPATH_ELEMENT, .name = "x", .uri = ""},
        {.kind = C14N_QNAME_QUALIFIED_ATTR,
         .name = "type",
         .uri = "http://www.w3.org/2001/XMLSchema-instance"},
        {.kind = C14N_QNAME_UNQUALIFIED_ATTR,
         .name = "u",
         .uri = "",
         .parent_name = "a",
         .parent_uri = ""},
    };
    struct c14n_parameters parameters = {
        .version = (enum c14n_version)(choice & 3),
        .with_comments = choice & 4,
        .trim_text = choice & 8,
        .rewrite_prefixes = (choice & 3) == C14N_2_0 && (choice & 16),
        .inclusive_prefixes = {"p", ""},
        .inclusive_count = choice & 32 ? 2 : 0,
        .rule_count = (choice & 3) == C14N_2_0 && (choice & 64) ? 4 : 0,
    };
    struct c14n_selection selection = {.document = document};
    struct c14n_coverage coverage;
    struct buffer out;

    parameters.trim_text = parameters.trim_text && parameters.version == C14N_2_0;
    memcpy(parameters.rules, rules, sizeof rules);
    const xmlNode *root = xmlDocGetRootElement(document), *node = root;
    for (uint8_t i = 0; node && i < apex; i++)
        node = xml_next_node(node, root);
    if (apex > 0 && node && node->type == XML_ELEMENT_NODE)
        selection.apex = node;
    buffer_init(&out, 64 * 1024 * 1024);
    int r = c14n_write(&selection, &parameters, collect, &out, &coverage);
    if (r != 0 && r != -EBADMSG && r != -ENOMEM)
        abort();
    if (r == 0 && !selection.apex && !parameters.with_comments && is_comparable(document)) {
        if (parameters.version == C14N_1_0)
            compare(document, XML_C14N_1_0, &out);
        if (parameters.version == C14N_EXCLUSIVE && parameters.inclusive_count == 0)
            compare(document, XML_C14N_EXCLUSIVE_1_0, &out);
    }
    buffer_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer converted;
    struct xml_scan scan;
    struct bytes utf8;
    char message[VERDICT_TEXT_MAX];
    xmlDoc *document = NULL;

    if (size < 2)
        return 0;
    /* A file of the corpus begins with '<' or a byte order mark: take it whole, with every choice.
     */
    bool whole = data[0] == '<' || data[0] >= 0xef;
    size_t skip = whole ? 0 : 2;
    if (xml_scan(bytes_of(data + skip, size - skip), &scan, &converted, &utf8) == 0 &&
        scan.result == XML_SCAN_GOOD && xml_parse(utf8, message, &document) == 0) {
        if (!whole)
            canonicalize(document, data[0], data[1]);
        for (unsigned choice = 0; whole && choice < 128; choice++)
            canonicalize(document, (uint8_t)choice, 0);
        xmlFreeDoc(document);
    }
    buffer_done(&converted);
    return 0;
}
