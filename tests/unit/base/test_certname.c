/* The grammar of names. */
#include "base/certname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ID_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void names_are_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t id_size;
        enum certformat format;
    } names[] = {
        {"a.pdf", 1, CERTFORMAT_PDF},       {"0.xml", 1, CERTFORMAT_XML},
        {"A_-z9.pdf", 5, CERTFORMAT_PDF},   {"pdf.xml", 3, CERTFORMAT_XML},
        {ID_64 ".xml", 64, CERTFORMAT_XML},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct certname name;
        memset(&name, 0xff, sizeof name);
        assert_true(certname_parse(names[i].text, &name));
        assert_string_equal(name.text, names[i].text);
        assert_true(certname_valid(&name));
        assert_int_equal(certname_id_size(&name), names[i].id_size);
        assert_int_equal(certname_format(&name), names[i].format);
    }
}

static void all_else_does_not_exist(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        ".pdf",
        "a",
        "a.",
        "a.pd",
        "a.pdff",
        "a.PDF",
        "a.Xml",
        "a.txt",
        "_a.pdf",
        "-a.pdf",
        "a b.pdf",
        "a.pdf ",
        " a.pdf",
        "a/b.pdf",
        "../a.pdf",
        "a.b.pdf",
        "a..pdf",
        "a.pdf.pdf",
        "a.pdf.xml",
        "a\n.pdf",
        "a.pdf\n",
        "\xe6\x88\xb8.pdf",
        "a\x80.pdf",
        "a+.pdf",
        "a%2e.pdf",
        ".kosekifs",
        ".a.pdf",
        "a.pdf~",
        ID_64 "0.pdf",
        ID_64 ID_64 ".pdf",
        "a.xm",
        "a,pdf",
        "a~.xml",
        "[a].xml",
    };
    struct certname name = {.text = "keep.pdf"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(certname_parse(texts[i], &name));
    assert_string_equal(name.text, "keep.pdf");
}

static void every_byte_is_judged(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char text[] = {'a', (char)c, '.', 'p', 'd', 'f', '\0'};
        struct certname name;
        bool expected =
            strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", c) != NULL;
        assert_int_equal(certname_parse(text, &name), expected);
    }
}

static void names_out_of_messages_are_checked_whole(void **state)
{
    (void)state;
    struct certname name;
    memset(&name, 'a', sizeof name);
    assert_false(certname_valid(&name));
    assert_true(certname_parse("a.pdf", &name));
    name.text[20] = 'x';
    assert_false(certname_valid(&name));
    name.text[20] = '\0';
    assert_true(certname_valid(&name));
    name.text[CERTNAME_MAX] = 'x';
    assert_false(certname_valid(&name));
    memset(&name, 0, sizeof name);
    assert_false(certname_valid(&name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_accepted),
        cmocka_unit_test(all_else_does_not_exist),
        cmocka_unit_test(every_byte_is_judged),
        cmocka_unit_test(names_out_of_messages_are_checked_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
