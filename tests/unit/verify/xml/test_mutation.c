/*
 * Every byte of a signed document is changed. A changed document is rejected, or what was signed is
 * still the same: the inclusive canonical form of the document without its Signature, that of
 * SignedInfo, the signature's value and the certificate. Of SignedInfo it is the exclusive form
 * where the signer asks for that or for 2.0, which renders the same names: a declaration on the
 * Signature that no name uses has no part in it.
 *
 * For comparison the canonical forms are libxml2's, and everything else is taken from the tree here
 * by hand: nothing of verify is used but the verdict.
 */
#include "xml_fixture.h"

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DSIG "http://www.w3.org/2000/09/xmldsig#"

static void silent(void *context, const char *format, ...)
{
    (void)context;
    (void)format;
}

static xmlNode *find(xmlNode *node, const char *name)
{
    for (; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (node->ns && xmlStrEqual(node->ns->href, (const xmlChar *)DSIG) &&
            xmlStrEqual(node->name, (const xmlChar *)name))
            return node;
        xmlNode *below = find(node->children, name);
        if (below)
            return below;
    }
    return NULL;
}

static int visible_below(void *context, xmlNode *node, xmlNode *parent)
{
    const xmlNode *apex = context;

    for (const xmlNode *at = node->type == XML_NAMESPACE_DECL ? parent : node; at; at = at->parent)
        if (at == apex)
            return 1;
    return 0;
}

static int visible_outside(void *context, xmlNode *node, xmlNode *parent)
{
    return !visible_below(context, node, parent);
}

static int signed_info_mode(xmlNode *info)
{
    xmlChar *algorithm =
        xmlGetProp(find(info, "CanonicalizationMethod"), (const xmlChar *)"Algorithm");
    bool inclusive =
        xmlStrEqual(algorithm, (const xmlChar *)"http://www.w3.org/TR/2001/REC-xml-c14n-20010315");

    xmlFree(algorithm);
    return inclusive ? XML_C14N_1_0 : XML_C14N_EXCLUSIVE_1_0;
}

static void append_canonical(struct buffer *out, xmlDoc *document, xmlNode *node, bool outside,
                             int mode)
{
    xmlOutputBuffer *octets = xmlAllocOutputBuffer(NULL);

    assert_non_null(octets);
    if (xmlC14NExecute(document, outside ? visible_outside : visible_below, node, mode, NULL, 1,
                       octets) >= 0)
        assert_int_equal(
            buffer_append(out, xmlOutputBufferGetContent(octets), xmlOutputBufferGetSize(octets)),
            0);
    xmlOutputBufferClose(octets);
}

/* Without the white space that base64 may have anywhere. */
static void append_base64(struct buffer *out, xmlNode *node)
{
    xmlChar *text = xmlNodeGetContent(node);

    for (const xmlChar *c = text; c && *c; c++)
        if (!strchr(" \t\r\n", *c))
            assert_int_equal(buffer_append_u8(out, *c), 0);
    xmlFree(text);
}

/* What was signed, and by whom; false if there is no such document. */
static bool signed_form(const void *data, size_t size, struct buffer *out)
{
    xmlDoc *document = xmlReadMemory(data, (int)size, NULL, NULL,
                                     XML_PARSE_NOENT | XML_PARSE_NOCDATA | XML_PARSE_NONET);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    xmlNode *signature = find(root, "Signature"), *info = find(root, "SignedInfo"),
            *value = find(root, "SignatureValue"), *certificate = find(root, "X509Certificate");
    bool complete = signature && info && value && certificate;

    buffer_init(out, 16 * 1024 * 1024);
    if (complete) {
        append_canonical(out, document, signature, true, XML_C14N_1_0);
        append_canonical(out, document, info, false, signed_info_mode(info));
        append_base64(out, value);
        append_base64(out, certificate);
    }
    xmlFreeDoc(document);
    return complete;
}

struct mutation {
    struct buffer content;
    struct buffer original; /* signed form */
    unsigned tried, accepted;
};

static void try_content(struct mutation *mutation, struct verify_trust *trust, const char *name,
                        size_t offset)
{
    static struct verdict verdict;
    struct buffer form;

    mutation->tried++;
    vector_verify(trust, mutation->content.data, mutation->content.size, &verdict);
    if (verdict.indication != VERDICT_TOTAL_PASSED)
        return;
    mutation->accepted++;
    bool same = signed_form(mutation->content.data, mutation->content.size, &form) &&
                bytes_equal(bytes_of(form.data, form.size),
                            bytes_of(mutation->original.data, mutation->original.size));
    buffer_done(&form);
    if (!same)
        fail_msg("%s: a change at offset %zu to 0x%02x was accepted", name, offset,
                 mutation->content.data[offset]);
}

/* Densely: each bit, and eight other bytes; else one bit a byte. */
static void mutate(struct verify_trust *trust, const char *name, bool dense)
{
    static const uint8_t others[] = {'A', '=', ' ', '"', '<', ':', '\n', 0};
    struct mutation mutation = {.content = vector_read(name)};

    assert_true(signed_form(mutation.content.data, mutation.content.size, &mutation.original));
    for (size_t i = 0; i < mutation.content.size; i++) {
        uint8_t byte = mutation.content.data[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            if (!dense && bit != i % 8)
                continue;
            mutation.content.data[i] = (uint8_t)(byte ^ (1U << bit));
            try_content(&mutation, trust, name, i);
        }
        for (unsigned k = 0; dense && k < sizeof others; k++) {
            mutation.content.data[i] = others[k];
            if (others[k] != byte)
                try_content(&mutation, trust, name, i);
        }
        mutation.content.data[i] = byte;
    }
    printf("  %s: %u changes, %u accepted, all with the same signed form\n", name, mutation.tried,
           mutation.accepted);
    buffer_done(&mutation.content);
    buffer_done(&mutation.original);
}

static void test_every_byte(void **state)
{
    static const char *const names[] = {"a31_java_exc_ds.xml", "a54_d2_position.xml",
                                        "a09_cdata.xml", "a51_d2_prefixrewrite.xml",
                                        "a07_utf16be.xml"};
    struct verify_trust *trust = vector_trust("pki/sub.crt", "pki/sub.crl", NULL, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        mutate(trust, names[i], i < 2 && !is_sanitized());
    verify_trust_free(trust);
}

/* Cut short anywhere but in the white space at its end, a document is rejected. */
static void test_every_length(void **state)
{
    static struct verdict verdict;
    struct verify_trust *trust = vector_trust("pki/sub.crt", "pki/sub.crl", NULL, NULL);
    struct buffer content = vector_read("a31_java_exc_ds.xml");

    (void)state;
    size_t size = content.size;
    while (size > 0 && strchr(" \r\n", content.data[size - 1]))
        size--;
    while (size-- > 0) {
        vector_verify(trust, content.data, size, &verdict);
        assert_int_not_equal(verdict.indication, VERDICT_TOTAL_PASSED);
    }
    buffer_done(&content);
    verify_trust_free(trust);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_every_length),
    };

    xmlSetGenericErrorFunc(NULL, silent);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
