/*
 * Canonical XML 1.0, 1.1 and Exclusive 1.0 against libxml2's own, on documents made at random: for
 * the whole document and for each element as an apex, with and without comments. And what the
 * coverage report says about declarations that exclusive canonicalization leaves out.
 *
 * Kept out of the comparison, since libxml2 2.9.14 is wrong there: namespace names with '&' or '"'
 * (not escaped) and with characters beyond ASCII (refused).
 */
#include "verify/c14n.h"

#include "base/bytes.h"

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { DOCUMENTS = 400 };

static uint32_t random_state = 20260101;

static unsigned pick(unsigned count)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 16) % count;
}

static void put(struct buffer *out, const char *text)
{
    assert_int_equal(buffer_append(out, text, strlen(text)), 0);
}

static const char *const prefixes[] = {"", "a", "b", "c"};

static void put_declarations(struct buffer *out, bool bound[4])
{
    static const char *const uris[] = {"urn:a", "urn:b", "http://c/?x=1"};

    for (unsigned i = 0; i < 4; i++) {
        if (pick(3) > 0)
            continue;
        put(out, i == 0 ? " xmlns" : " xmlns:");
        put(out, prefixes[i]);
        put(out, "='");
        bool none = i == 0 && pick(3) == 0;
        put(out, none ? "" : uris[pick(3)]);
        put(out, "'");
        bound[i] = true;
    }
}

static void put_attributes(struct buffer *out, const bool bound[4])
{
    static const char *const values[] = {"='1'", "='&lt;\"&#9;&#10;&#13; \t&amp;'", "=''",
                                         "='\xe8\xbe\xbb\xf3\xa0\x84\x81'"};

    if (pick(4) == 0)
        put(out, pick(2) ? " xml:lang='ja'" : " xml:space='preserve'");
    if (pick(2) == 0) {
        put(out, " z");
        put(out, values[pick(4)]);
    }
    if (pick(2) == 0) {
        put(out, " \xe7\xb6\x9a\xe6\x9f\x84");
        put(out, values[pick(4)]);
    }
    /* Only one prefixed attribute: two prefixes may mean the same namespace. */
    unsigned i = 1 + pick(3);
    if (bound[i]) {
        put(out, " ");
        put(out, prefixes[i]);
        put(out, ":n");
        put(out, values[pick(4)]);
    }
}

static void put_element(struct buffer *out, unsigned depth, const bool outer[4])
{
    bool bound[4];
    char name[16];

    memcpy(bound, outer, sizeof bound);
    struct buffer declarations;
    buffer_init(&declarations, 4096);
    put_declarations(&declarations, bound);
    unsigned prefix = pick(4);
    if (!bound[prefix])
        prefix = 0;
    snprintf(name, sizeof name, "%s%se%u", prefixes[prefix], prefix ? ":" : "", pick(9));
    put(out, "<");
    put(out, name);
    assert_int_equal(buffer_append(out, declarations.data, declarations.size), 0);
    buffer_done(&declarations);
    put_attributes(out, bound);
    put(out, ">");
    for (unsigned i = pick(5); i > 0 && depth < 5; i--) {
        static const char *const leaves[] = {
            "text & more", "<!-- note \r\n -->", "<?target data?>", "<?bare?>",
            "\n  ",        "&gt;&#13;]]&gt;"};
        unsigned kind = pick(9);
        if (kind == 0)
            put(out, "text &amp; more");
        else if (kind < 6)
            put(out, leaves[kind]);
        else
            put_element(out, depth + 1, bound);
    }
    put(out, "</");
    put(out, name);
    put(out, ">");
}

static xmlDoc *document_parse(const void *data, size_t size)
{
    return xmlReadMemory(data, (int)size, NULL, "UTF-8",
                         XML_PARSE_NOENT | XML_PARSE_NOCDATA | XML_PARSE_NONET | XML_PARSE_NOERROR |
                             XML_PARSE_NOWARNING);
}

static xmlDoc *document_random(struct buffer *text)
{
    static const bool nothing[4] = {true, false, false, false};

    buffer_init(text, 1024 * 1024);
    put(text, "<?xml version='1.0'?>");
    if (pick(2))
        put(text, "<!-- before --><?before it?>\n");
    put_element(text, 0, nothing);
    if (pick(2))
        put(text, "\n<?after?><!-- after -->");
    return document_parse(text->data, text->size);
}

static int collect(void *context, const void *data, size_t size)
{
    return buffer_append(context, data, size);
}

static int visible_below(void *context, xmlNode *node, xmlNode *parent)
{
    const xmlNode *apex = context;

    for (const xmlNode *at = node->type == XML_NAMESPACE_DECL ? parent : node; at; at = at->parent)
        if (at == apex)
            return 1;
    return 0;
}

static struct buffer libxml2_form(xmlDoc *document, xmlNode *apex, int mode, bool with_comments)
{
    struct buffer result;
    xmlOutputBuffer *out = xmlAllocOutputBuffer(NULL);

    buffer_init(&result, 1024 * 1024);
    assert_non_null(out);
    assert_true(xmlC14NExecute(document, apex ? visible_below : NULL, apex, mode, NULL,
                               with_comments, out) >= 0);
    assert_int_equal(
        buffer_append(&result, xmlOutputBufferGetContent(out), xmlOutputBufferGetSize(out)), 0);
    xmlOutputBufferClose(out);
    return result;
}

static void compare(xmlDoc *document, xmlNode *apex, const struct buffer *text)
{
    static const struct {
        enum c14n_version version;
        int mode;
    } methods[] = {{C14N_1_0, XML_C14N_1_0},
                   {C14N_1_1, XML_C14N_1_1},
                   {C14N_EXCLUSIVE, XML_C14N_EXCLUSIVE_1_0}};

    for (unsigned i = 0; i < 6; i++) {
        struct c14n_parameters parameters = {.version = methods[i / 2].version,
                                             .with_comments = i % 2 == 1};
        struct c14n_selection selection = {.document = document, .apex = apex};
        struct buffer ours, theirs = libxml2_form(document, apex, methods[i / 2].mode, i % 2 == 1);
        buffer_init(&ours, 1024 * 1024);
        assert_int_equal(c14n_write(&selection, &parameters, collect, &ours, NULL), 0);
        if (!bytes_equal(bytes_of(ours.data, ours.size), bytes_of(theirs.data, theirs.size))) {
            /* fail_msg() would cut them. */
            fprintf(stderr, "method %u of\n%.*s\napex %s\n%.*s\ninstead of\n%.*s\n", i,
                    (int)text->size, (const char *)text->data,
                    apex ? (const char *)apex->name : "-", (int)ours.size, (const char *)ours.data,
                    (int)theirs.size, (const char *)theirs.data);
            fail();
        }
        buffer_done(&ours);
        buffer_done(&theirs);
    }
}

static void compare_subtrees(xmlDoc *document, xmlNode *node, const struct buffer *text)
{
    for (; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        compare(document, node, text);
        compare_subtrees(document, node->children, text);
    }
}

static void test_against_libxml2(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        struct buffer text;
        xmlDoc *document = document_random(&text);
        if (!document)
            fail_msg("%.*s", (int)text.size, (const char *)text.data);
        compare(document, NULL, &text);
        compare_subtrees(document, xmlDocGetRootElement(document), &text);
        xmlFreeDoc(document);
        buffer_done(&text);
    }
}

static struct c14n_coverage coverage_of(const char *text, const struct c14n_parameters *parameters)
{
    struct c14n_coverage coverage;
    struct buffer out;
    xmlDoc *document = document_parse(text, strlen(text));

    assert_non_null(document);
    buffer_init(&out, 1024 * 1024);
    struct c14n_selection selection = {.document = document};
    assert_int_equal(c14n_write(&selection, parameters, collect, &out, &coverage), 0);
    buffer_done(&out);
    xmlFreeDoc(document);
    return coverage;
}

#define XSI "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' "

static void test_coverage(void **state)
{
    static const struct c14n_parameters exclusive = {.version = C14N_EXCLUSIVE};
    static const struct c14n_parameters inclusive = {.version = C14N_1_0};
    static const struct c14n_parameters with_t = {
        .version = C14N_EXCLUSIVE, .inclusive_prefixes = {"t"}, .inclusive_count = 1};
    static const struct c14n_parameters rewriting = {.version = C14N_2_0, .rewrite_prefixes = true};
    static const struct c14n_parameters aware = {
        .version = C14N_2_0,
        .rewrite_prefixes = true,
        .rules = {{.kind = C14N_QNAME_QUALIFIED_ATTR,
                   .name = "type",
                   .uri = "http://www.w3.org/2001/XMLSchema-instance"}},
        .rule_count = 1};
    static const struct {
        const char *text;
        const struct c14n_parameters *parameters;
        bool declaration, type, value;
    } cases[] = {
        {"<a/>", &exclusive, false, false, false},
        {"<a xmlns='urn:a'/>", &exclusive, false, false, false},
        {"<a xmlns:t='urn:t'><t:b/></a>", &exclusive, false, false, false},
        {"<a xmlns:t='urn:t'/>", &exclusive, true, false, false},
        {"<a xmlns:t='urn:t'/>", &inclusive, false, false, false},
        {"<a xmlns:t='urn:t'/>", &with_t, false, false, false},
        /* A repetition of what is in force adds nothing. */
        {"<a xmlns='urn:a'><b xmlns='urn:a'/></a>", &exclusive, false, false, false},
        /* The inner default is overridden before any name uses it. */
        {"<p:a xmlns:p='urn:p' xmlns='urn:x'><b xmlns='urn:y'/></p:a>", &exclusive, true, false,
         false},
        {"<a " XSI "xmlns:t='urn:t' xsi:type='t:T'/>", &exclusive, true, true, false},
        {"<a " XSI "xmlns:t='urn:t' xsi:type='t:T'/>", &with_t, false, false, false},
        {"<a " XSI "xmlns:t='urn:t' xsi:type='t:T'/>", &inclusive, false, false, false},
        {"<t:a " XSI "xmlns:t='urn:t' xsi:type='t:T'/>", &exclusive, false, false, false},
        /* t is rendered on the sibling, not here. */
        {"<a " XSI "xmlns:t='urn:t'><t:b/><c xsi:type='t:T'/></a>", &exclusive, false, true, false},
        /* An unprefixed type is in the default namespace. */
        {"<p:a xmlns:p='urn:p' xmlns='urn:d' " XSI "xsi:type='T'/>", &exclusive, true, true, false},
        {"<a xmlns='urn:d' " XSI "xsi:type='T'/>", &exclusive, false, false, false},
        {"<a " XSI "xsi:type='T'/>", &exclusive, false, false, false},
        {"<a xmlns:t='urn:t'><t:b/><c>t:name</c></a>", &exclusive, false, false, true},
        {"<a xmlns:t='urn:t'><t:b/><c d=' t:name '/></a>", &exclusive, false, false, true},
        {"<a xmlns:t='urn:t'><t:b>t:name</t:b></a>", &exclusive, false, false, false},
        {"<a>t:name</a>", &exclusive, false, false, false},
        {"<a xmlns:t='urn:t'><t:b/><c>t:name and more</c></a>", &exclusive, false, false, false},
        {"<t:a " XSI "xmlns:t='urn:t' xsi:type='t:T'/>", &rewriting, false, true, false},
        {"<t:a " XSI "xmlns:t='urn:t' xsi:type='t:T'/>", &aware, false, false, false},
        {"<a " XSI "xmlns:t='urn:t' xsi:type='t:T'/>", &aware, false, false, false},
        {"<t:a xmlns:t='urn:t'>t:name</t:a>", &rewriting, false, false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct c14n_coverage coverage = coverage_of(cases[i].text, cases[i].parameters);
        if ((coverage.unsigned_declaration_line != 0) != cases[i].declaration ||
            (coverage.unsigned_type_line != 0) != cases[i].type ||
            (coverage.unsigned_value_line != 0) != cases[i].value)
            fail_msg("case %zu: %s: %ld %ld %ld", i, cases[i].text,
                     coverage.unsigned_declaration_line, coverage.unsigned_type_line,
                     coverage.unsigned_value_line);
    }
}

static int refuse(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return -ENOSPC;
}

static void test_failures(void **state)
{
    static const struct c14n_parameters c14n11 = {.version = C14N_1_1};
    static const struct c14n_parameters aware = {
        .version = C14N_2_0,
        .rules = {{.kind = C14N_QNAME_ELEMENT, .name = "q", .uri = ""}},
        .rule_count = 1};
    static const char based[] = "<a xml:base='x/'><b/></a>", unbound[] = "<q>p:name</q>",
                      mixed[] = "<q>p<b/></q>";
    struct buffer out;

    (void)state;
    buffer_init(&out, 1024);
    xmlDoc *document = document_parse(based, strlen(based));
    struct c14n_selection inner = {.document = document,
                                   .apex = xmlDocGetRootElement(document)->children};
    assert_int_equal(c14n_write(&inner, &c14n11, collect, &out, NULL), -EBADMSG);
    struct c14n_selection whole = {.document = document};
    assert_int_equal(c14n_write(&whole, &c14n11, refuse, NULL, NULL), -ENOSPC);
    assert_int_equal(c14n_write(&whole, &c14n11, collect, &out, NULL), 0);
    xmlFreeDoc(document);
    for (unsigned i = 0; i < 2; i++) {
        document = document_parse(i ? mixed : unbound, strlen(i ? mixed : unbound));
        whole.document = document;
        assert_int_equal(c14n_write(&whole, &aware, collect, &out, NULL), -EBADMSG);
        xmlFreeDoc(document);
    }
    buffer_done(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_libxml2),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
