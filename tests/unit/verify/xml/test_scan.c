/*
 * The byte scan: what it lets through, and what it calls each thing it does not.
 */
#include "verify/xml_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DECLARATION "<?xml version='1.0' encoding='UTF-8'?>"

struct scan_case {
    const char *text;
    size_t size;
    enum xml_scan_result result;
};
#define CASE(text, result)                                                                         \
    {                                                                                              \
        text, sizeof(text) - 1, result                                                             \
    }

static const struct scan_case cases[] = {
    CASE("<a/>", XML_SCAN_GOOD),
    CASE(" \r\n\t<a/>", XML_SCAN_GOOD),
    CASE(DECLARATION "<a b='1' c=\"2\"> x <b></b ><![CDATA[<&>]]>&lt;&#x9;</a > <?x?><!-- - -->",
         XML_SCAN_GOOD),
    CASE("<?xml version=\"1.0\" standalone='yes' ?><a/>", XML_SCAN_GOOD),
    CASE("<?xml version='1.0' encoding='utf-8' standalone=\"no\"?><a/>", XML_SCAN_GOOD),
    CASE("\xef\xbb\xbf<?xml version='1.0'?><a/>", XML_SCAN_GOOD),
    CASE("\xff\xfe<\0a\0/\0>\0", XML_SCAN_GOOD),
    CASE("\xfe\xff\0<\0a\0/\0>", XML_SCAN_GOOD),
    CASE("\xfe\xff\0<\0a\0>\xd8\x42\xdf\xb7\0<\0/\0a\0>", XML_SCAN_GOOD),
    CASE("<a>]]&gt;]]]</a>", XML_SCAN_GOOD),
    CASE("<a b='>'/>", XML_SCAN_GOOD),
    CASE("<?xml-stylesheet href='x'?><a/>", XML_SCAN_GOOD),
    CASE("<\xe6\x88\xb8 \xe7\xb1\x8d='1'/>", XML_SCAN_GOOD),

    CASE("", XML_SCAN_SIZE),
    CASE("<?xml version='1.1'?><a/>", XML_SCAN_VERSION),
    CASE("<?xml version='1.00'?><a/>", XML_SCAN_VERSION),
    CASE("<?xml version=''?><a/>", XML_SCAN_VERSION),
    CASE("<?xml encoding='UTF-8'?><a/>", XML_SCAN_VERSION),
    CASE("<?xml ?><a/>", XML_SCAN_VERSION),
    CASE("<?xml version='1.0' encoding='UTF-7'?><a/>", XML_SCAN_ENCODING),
    CASE("<?xml version='1.0' encoding='UTF-16'?><a/>", XML_SCAN_ENCODING),
    CASE("<?xml version='1.0' encoding='EBCDIC-JP'?><a/>", XML_SCAN_ENCODING),
    CASE("<?xml version='1.0' encoding=''?><a/>", XML_SCAN_ENCODING),
    CASE("\xef\xbb\xbf<?xml version='1.0' encoding='Shift_JIS'?><a/>", XML_SCAN_ENCODING),
    CASE("<\0a\0/\0>\0", XML_SCAN_ENCODING),
    CASE("\0<\0a\0/\0>", XML_SCAN_ENCODING),
    CASE("\xff\xfe<\0a\0/\0>", XML_SCAN_ENCODING),
    CASE("\xfe\xff\0<\0a\0>\xd8\x42\0<\0/\0a\0>", XML_SCAN_ENCODING),
    CASE("\xfe\xff\0<\0a\0>\xdf\xb7\xd8\x42\0<\0/\0a\0>", XML_SCAN_ENCODING),
    CASE("\xfe\xff\0<\0?\0x\0m\0l\0 \0v\0e\0r\0s\0i\0o\0n\0=\0'\0001\0.\0000\0'\0 \0e\0n\0c\0o\0d"
         "\0i\0n\0g\0=\0'\0U\0T\0F\0-\0008\0'\0?\0>\0<\0a\0/\0>",
         XML_SCAN_ENCODING),
    CASE("<a>\xc0\xbc</a>", XML_SCAN_ENCODING), /* overlong '<' */
    CASE("<a>\xe0\x80\xbc</a>", XML_SCAN_ENCODING),
    CASE("<a>\xed\xa1\x82\xed\xbe\xb7</a>", XML_SCAN_ENCODING), /* CESU-8 */
    CASE("<a>\xf4\x90\x80\x80</a>", XML_SCAN_ENCODING),         /* beyond U+10FFFF */
    CASE("<a>\xef\xbf\xbe</a>", XML_SCAN_ENCODING),             /* U+FFFE */
    CASE("<a>\xe6\x88</a>", XML_SCAN_ENCODING),
    CASE("<a>\xe6\x88", XML_SCAN_ENCODING),
    CASE("<a>\x80</a>", XML_SCAN_ENCODING),
    CASE("<a>\0</a>", XML_SCAN_ENCODING),
    CASE("<a>\x0b</a>", XML_SCAN_ENCODING),
    CASE("<a>\xef\xbb\xbf</a>", XML_SCAN_GOOD), /* elsewhere a character like others */
    CASE("<?xml version='1.0' encoding='Shift_JIS'?><a/>", XML_SCAN_OTHER_CHARSET),
    CASE("<?xml version='1.0' encoding='euc-jp'?><a/>", XML_SCAN_OTHER_CHARSET),
    CASE("\xff\xfe\0\0<\0\0\0a\0\0\0/\0\0\0>\0\0\0", XML_SCAN_OTHER_CHARSET),
    CASE("\0\0\0<\0\0\0a\0\0\0/\0\0\0>", XML_SCAN_OTHER_CHARSET),

    CASE("<!DOCTYPE a><a/>", XML_SCAN_DOCTYPE),
    CASE(DECLARATION "\n<!-- x --><!DOCTYPE a []><a/>", XML_SCAN_DOCTYPE),
    CASE("<a><!DOCTYPE a></a>", XML_SCAN_DOCTYPE),
    CASE("<!doctype a><a/>", XML_SCAN_FORM),
    CASE("<!ENTITY a 'b'><a/>", XML_SCAN_FORM),

    CASE("x<a/>", XML_SCAN_FORM),
    CASE("<a/>x", XML_SCAN_FORM),
    CASE("<a/><a/>", XML_SCAN_FORM),
    CASE("<a/><![CDATA[]]>", XML_SCAN_FORM),
    CASE("<a/>&#32;", XML_SCAN_FORM),
    CASE("<a>", XML_SCAN_FORM),
    CASE("</a>", XML_SCAN_FORM),
    CASE("<a></a></a>", XML_SCAN_FORM),
    CASE("<a", XML_SCAN_FORM),
    CASE("<a b", XML_SCAN_FORM),
    CASE("<a b=", XML_SCAN_FORM),
    CASE("<a b='", XML_SCAN_FORM),
    CASE("<a b='1'c='2'/>", XML_SCAN_FORM),
    CASE("<a b=1/>", XML_SCAN_FORM),
    CASE("<a b='<'/>", XML_SCAN_FORM),
    CASE("<a b='&x;'/>", XML_SCAN_FORM),
    CASE("<a/ >", XML_SCAN_FORM),
    CASE("< a/>", XML_SCAN_FORM),
    CASE("<1/>", XML_SCAN_FORM),
    CASE("<a>]]></a>", XML_SCAN_FORM),
    CASE("<a>&</a>", XML_SCAN_FORM),
    CASE("<a>&amp</a>", XML_SCAN_FORM),
    CASE("<a>&nbsp;</a>", XML_SCAN_FORM),
    CASE("<a>&#0;</a>", XML_SCAN_FORM),
    CASE("<a>&#xD800;</a>", XML_SCAN_FORM),
    CASE("<a>&#x110000;</a>", XML_SCAN_FORM),
    CASE("<a>&#4294967328;</a>", XML_SCAN_FORM), /* 2^32 + 32 */
    CASE("<a>&#x;</a>", XML_SCAN_FORM),
    CASE("<a>&#-1;</a>", XML_SCAN_FORM),
    CASE("<a><!-- -- --></a>", XML_SCAN_FORM),
    CASE("<a><!-- --->", XML_SCAN_FORM),
    CASE("<a><!--</a>", XML_SCAN_FORM),
    CASE("<a><?</a>", XML_SCAN_FORM),
    CASE("<a><?x</a>", XML_SCAN_FORM),
    CASE("<a><?xml version='1.0'?></a>", XML_SCAN_FORM),
    CASE(" <?xml version='1.0'?><a/>", XML_SCAN_FORM),
    CASE("<a><?XML x?></a>", XML_SCAN_FORM),
    CASE("<a><![CDATA[</a>", XML_SCAN_FORM),
    CASE("<a><![cdata[]]></a>", XML_SCAN_FORM),
    CASE("<?xml version='1.0' standalone='maybe'?><a/>", XML_SCAN_FORM),
    CASE("<?xml version='1.0' standalone='yes' encoding='UTF-8'?><a/>", XML_SCAN_FORM),
    CASE("<?xml version='1.0' version='1.0'?><a/>", XML_SCAN_FORM),
    CASE("<?xml version='1.0'encoding='UTF-8'?><a/>", XML_SCAN_FORM),
    CASE("<?xml version='1.0'><a/>", XML_SCAN_FORM),
    CASE("\xff\xfe", XML_SCAN_FORM),
    CASE("\xef\xbb\xbf", XML_SCAN_FORM),
    CASE("   ", XML_SCAN_FORM),
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer converted;
        struct xml_scan scan;
        struct bytes utf8 = {0};
        assert_int_equal(xml_scan(bytes_of(cases[i].text, cases[i].size), &scan, &converted, &utf8),
                         0);
        if (scan.result != cases[i].result)
            fail_msg("case %zu \"%s\": %d %s instead of %d", i, cases[i].text, (int)scan.result,
                     scan.text, (int)cases[i].result);
        assert_int_equal(scan.result == XML_SCAN_GOOD, scan.text[0] == '\0');
        assert_int_equal(scan.result == XML_SCAN_GOOD, utf8.data != NULL);
        buffer_done(&converted);
    }
}

static enum xml_scan_result scan_buffer(const struct buffer *text)
{
    struct buffer converted;
    struct xml_scan scan;
    struct bytes utf8;

    assert_int_equal(xml_scan(bytes_of(text->data, text->size), &scan, &converted, &utf8), 0);
    buffer_done(&converted);
    return scan.result;
}

static void put(struct buffer *out, const char *text, unsigned times)
{
    while (times-- > 0)
        assert_int_equal(buffer_append(out, text, strlen(text)), 0);
}

/* `times` of `middle` between `start` and `end`, exactly at a ceiling and one beyond. */
static void at_ceiling(const char *start, const char *middle, unsigned times, const char *end,
                       enum xml_scan_result beyond)
{
    for (unsigned more = 0; more <= 1; more++) {
        struct buffer text;
        buffer_init(&text, 64 * 1024 * 1024);
        put(&text, start, 1);
        put(&text, middle, times + more);
        put(&text, end, 1);
        assert_int_equal(scan_buffer(&text), more ? beyond : XML_SCAN_GOOD);
        buffer_done(&text);
    }
}

static void test_ceilings(void **state)
{
    (void)state;
    at_ceiling("<", "a", XML_NAME_MAX, "/>", XML_SCAN_LIMIT);
    at_ceiling("<a", " b='1'", XML_ATTRIBUTE_MAX, "/>", XML_SCAN_LIMIT);
    at_ceiling("<a", " xmlns:b='1'", XML_NAMESPACE_MAX, "/>", XML_SCAN_LIMIT);
    /* Closed elements give back what they declared. */
    at_ceiling("<a>", "<b xmlns='1'/>", XML_NAMESPACE_TOTAL_MAX, "</a>", XML_SCAN_LIMIT);
    at_ceiling("<a>", "<b/>", XML_NODE_MAX - 1, "</a>", XML_SCAN_LIMIT);
    at_ceiling("<a>", "b", XML_VALUE_MAX, "</a>", XML_SCAN_LIMIT);
    at_ceiling("<a b='", "b", XML_VALUE_MAX, "'/>", XML_SCAN_LIMIT);
}

static void test_depth(void **state)
{
    (void)state;
    for (unsigned more = 0; more <= 1; more++) {
        struct buffer text;
        buffer_init(&text, 1024 * 1024);
        put(&text, "<a>", XML_DEPTH_MAX + more);
        put(&text, "</a>", XML_DEPTH_MAX + more);
        assert_int_equal(scan_buffer(&text), more ? XML_SCAN_LIMIT : XML_SCAN_GOOD);
        buffer_done(&text);
    }
}

static void test_size(void **state)
{
    struct buffer text;

    (void)state;
    buffer_init(&text, 64 * 1024 * 1024);
    put(&text, "<a>", 1);
    put(&text, "<b>0123456789</b>\n", (XML_DOCUMENT_MAX - 64) / 18);
    put(&text, "</a>", 1);
    put(&text, " ", (unsigned)(XML_DOCUMENT_MAX - text.size));
    assert_int_equal(scan_buffer(&text), XML_SCAN_LIMIT); /* nodes, not size */
    put(&text, " ", 1);
    assert_int_equal(scan_buffer(&text), XML_SCAN_SIZE);
    buffer_done(&text);
}

/* UTF-16 of half the size may be too large in UTF-8. */
static void test_converted_size(void **state)
{
    struct buffer text;

    (void)state;
    buffer_init(&text, 64 * 1024 * 1024);
    assert_int_equal(buffer_append(&text, "\xfe\xff\0<\0a\0>", 8), 0);
    for (unsigned i = 0; i < 3 * 1024 * 1024; i++)
        assert_int_equal(buffer_append(&text, "\x62\x38", 2), 0);
    assert_int_equal(buffer_append(&text, "\0<\0/\0a\0>", 8), 0);
    assert_int_equal(scan_buffer(&text), XML_SCAN_SIZE);
    buffer_done(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),          cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_depth),          cmocka_unit_test(test_size),
        cmocka_unit_test(test_converted_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
