/*
 * Tokens, trees, strings, dates and inline images of PDF, each on its own.
 */
#include "verify/pdf_date.h"
#include "verify/pdf_inline.h"
#include "verify/pdf_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

static struct bytes text_of(const char *text)
{
    return bytes_of(text, strlen(text));
}

static struct pdf_token first_token(const char *text)
{
    struct pdf_lexer lexer = pdf_lexer_at(text_of(text), 0);
    struct pdf_token token;

    pdf_lex(&lexer, &token);
    return token;
}

static void test_tokens(void **state)
{
    static const struct {
        const char *text;
        enum pdf_token_type type;
    } cases[] = {
        {"12", PDF_TOKEN_INTEGER},
        {"-12 ", PDF_TOKEN_INTEGER},
        {"+5", PDF_TOKEN_INTEGER},
        {"1.5", PDF_TOKEN_REAL},
        {".5", PDF_TOKEN_REAL},
        {"-.5", PDF_TOKEN_REAL},
        {"1234567890123456789", PDF_TOKEN_REAL}, /* too long to be used as a number */
        {"1.2.3", PDF_TOKEN_KEYWORD},
        {"--5", PDF_TOKEN_KEYWORD},
        {"obj", PDF_TOKEN_KEYWORD},
        {"/Name", PDF_TOKEN_NAME},
        {"/", PDF_TOKEN_NAME},
        {"/A#20B", PDF_TOKEN_NAME},
        {"/A#2", PDF_TOKEN_ERROR},
        {"/A#zz", PDF_TOKEN_ERROR},
        {"/A#00", PDF_TOKEN_ERROR},
        {"(a(b)c\\)d)", PDF_TOKEN_STRING},
        {"(a(b)c", PDF_TOKEN_ERROR},
        {"<41 42>", PDF_TOKEN_HEX},
        {"<4142", PDF_TOKEN_ERROR},
        {"<4x>", PDF_TOKEN_ERROR},
        {"<<", PDF_TOKEN_DICTIONARY_OPEN},
        {">", PDF_TOKEN_ERROR},
        {")", PDF_TOKEN_ERROR},
        {"{", PDF_TOKEN_ERROR},
        {" % only a comment\r", PDF_TOKEN_END},
        {"", PDF_TOKEN_END},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (first_token(cases[i].text).type != cases[i].type)
            print_message("%s\n", cases[i].text);
        assert_int_equal(first_token(cases[i].text).type, cases[i].type);
    }
    assert_int_equal(first_token("-12").integer, -12);
    assert_false(first_token("+5").digits_only);
    assert_true(first_token("/Byte#52ange").hash == pdf_name_hash("ByteRange"));
    assert_true(pdf_name_equals(text_of("/Byte#52ange"), "ByteRange"));
    assert_false(pdf_name_equals(text_of("/ByteRang"), "ByteRange"));
    assert_false(pdf_name_equals(text_of("/ByteRanges"), "ByteRange"));
}

static int parse(struct pdf_tree *tree, const char *text, struct pdf_value *ret_value)
{
    struct pdf_lexer lexer = pdf_lexer_at(text_of(text), 0);
    struct pdf_token next;
    uint32_t root = 0;

    int r = pdf_tree_parse(tree, &lexer, &root, &next);
    *ret_value = (struct pdf_value){tree, root};
    return r;
}

static void test_trees(void **state)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value value;
    int64_t number;

    (void)state;
    assert_int_equal(
        parse(&tree, "<< /A [1 2 0 R (x)] /B << /C true >> /D 5 0 R /E null >> endobj", &value),
        PDF_PARSED);
    assert_int_equal(pdf_count(pdf_get(value, "A")), 3);
    assert_true(pdf_integer(pdf_at(pdf_get(value, "A"), 0), 0, 9, &number));
    assert_int_equal(number, 1);
    assert_true(pdf_is(pdf_at(pdf_get(value, "A"), 1), PDF_REFERENCE));
    assert_int_equal(pdf_node(pdf_at(pdf_get(value, "A"), 1))->reference.number, 2);
    assert_true(pdf_is(pdf_at(pdf_get(value, "A"), 3), PDF_NULL));
    assert_true(pdf_is(pdf_get(pdf_get(value, "B"), "C"), PDF_BOOLEAN));
    assert_int_equal(pdf_node(pdf_get(value, "D"))->reference.number, 5);
    assert_true(pdf_is(pdf_get(value, "E"), PDF_NULL));
    assert_true(pdf_is(pdf_get(value, "Z"), PDF_NULL));
    assert_false(pdf_integer(pdf_get(value, "D"), 0, 9, &number));
}

static void test_bad_trees(void **state)
{
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"<< /A 1 /A 2 >>", PDF_DUPLICATE_KEY},
        {"<< /Byte#52ange 1 /ByteRange 2 >>", PDF_DUPLICATE_KEY},
        {"<< /A >>", PDF_MALFORMED},
        {"<< 1 2 >>", PDF_MALFORMED},
        {"<< /A 1 ]", PDF_MALFORMED},
        {"[ 1 >>", PDF_MALFORMED},
        {"[ 1", PDF_MALFORMED},
        {"]", PDF_MALFORMED},
        {"[ 1 R ]", PDF_MALFORMED},
        {"[ 0 0 R ]", PDF_MALFORMED},
        {"[ 1 -1 R ]", PDF_MALFORMED},
        {"[ 1 70000 R ]", PDF_MALFORMED},
        {"[ 1 0 R R ]", PDF_MALFORMED},
        {"[ [1] 0 R ]", PDF_MALFORMED},
        {"[ unknown ]", PDF_MALFORMED},
        {"1 2", PDF_MALFORMED},
        {"endobj", PDF_MALFORMED},
        {"", PDF_MALFORMED},
    };
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value value;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (parse(&tree, cases[i].text, &value) != cases[i].result)
            print_message("%s\n", cases[i].text);
        assert_int_equal(parse(&tree, cases[i].text, &value), cases[i].result);
    }
}

static void test_limits(void **state)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value value;
    char *text = calloc(1, 4 * PDF_NODE_MAX);

    (void)state;
    assert_non_null(text);
    memset(text, '[', PDF_DEPTH_MAX + 1);
    assert_int_equal(parse(&tree, text, &value), PDF_TOO_LARGE);
    memset(text, 0, 2 * PDF_DEPTH_MAX);
    memset(text, '[', PDF_DEPTH_MAX);
    memset(text + PDF_DEPTH_MAX, ']', PDF_DEPTH_MAX);
    assert_int_equal(parse(&tree, text, &value), PDF_PARSED);
    memset(text, ' ', 2 * PDF_DEPTH_MAX);
    text[0] = '[';
    for (size_t i = 0; i < PDF_NODE_MAX; i++)
        memcpy(text + 1 + 2 * i, "0 ", 2);
    assert_int_equal(parse(&tree, text, &value), PDF_TOO_LARGE);
    free(text);
}

static void check_string(const char *text, const char *expected, size_t size)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value value;
    uint8_t out[64];
    size_t out_size = 0;

    assert_int_equal(parse(&tree, text, &value), PDF_PARSED);
    assert_true(pdf_string(value, out, sizeof out, &out_size));
    assert_int_equal(out_size, size);
    assert_memory_equal(out, expected, size);
}

static void test_strings(void **state)
{
    _cleanup_pdf_tree_ struct pdf_tree tree = {0};
    struct pdf_value value;
    uint8_t out[2];
    size_t size;

    (void)state;
    check_string("(plain)", "plain", 5);
    check_string("(a\\(b\\)\\\\)", "a(b)\\", 5);
    check_string("(a(b)c)", "a(b)c", 5);
    check_string("(\\115\\5\\0533)", "M\005+3", 4);
    check_string("(\\n\\q)", "\nq", 2);
    check_string("(a\\\r\nb\\\nc)", "abc", 3);
    check_string("(a\r\nb\rc)", "a\nb\nc", 5);
    check_string("()", "", 0);
    check_string("<4d 6F7>", "Mop", 3);
    check_string("<>", "", 0);
    assert_int_equal(parse(&tree, "(abc)", &value), PDF_PARSED);
    assert_false(pdf_string(value, out, sizeof out, &size)); /* longer than the buffer */
    assert_int_equal(parse(&tree, "/abc", &value), PDF_PARSED);
    assert_false(pdf_string(value, out, sizeof out, &size));
}

static void test_dates(void **state)
{
    static const char *const bad[] = {
        "",
        "2026",
        "D:",
        "D:26",
        "D:2026 0101",
        "D:20261301",
        "D:20260230",
        "D:20250229",
        "D:20260101240000",
        "D:20260101006000",
        "D:20260101000060",
        "D:202601010000000",
        "D:20260101000000X",
        "D:20260101000000+24'00'",
        "D:20260101000000+09'60'",
        "D:20260101000000+09'00'x",
        "D:20260101000000+9'00'",
        "D:20260101000000Z01'00'",
        "D:20260101Z",
        "D:20260101000000 ",
        "d:20260101000000",
    };
    struct pdf_date date;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (pdf_date_parse(text_of(bad[i]), &date))
            print_message("%s\n", bad[i]);
        assert_false(pdf_date_parse(text_of(bad[i]), &date));
    }
    assert_true(pdf_date_parse(text_of("D:20261101093000+09'00'"), &date));
    assert_true(date.complete);
    assert_int_equal(date.seconds, 1793493000);
    assert_true(pdf_date_parse(text_of("D:20261101003000Z"), &date));
    assert_int_equal(date.seconds, 1793493000);
    assert_true(pdf_date_parse(text_of("D:20261101003000Z00'00'"), &date));
    assert_int_equal(date.seconds, 1793493000);
    assert_true(pdf_date_parse(text_of("D:20261031193000-05'00"), &date));
    assert_int_equal(date.seconds, 1793493000);
    assert_true(pdf_date_parse(text_of("D:2024"), &date));
    assert_false(date.complete);
    assert_true(pdf_date_parse(text_of("D:20240229"), &date));
    assert_false(date.complete);
}

static enum pdf_inline scan(const void *content, size_t size)
{
    struct pdf_inline_finding finding;

    assert_int_equal(pdf_inline_scan(bytes_of(content, size), 1 << 20, &finding), 0);
    return finding.finding;
}

static enum pdf_inline scan_text(const char *content)
{
    return scan(content, strlen(content));
}

static void test_inline_images(void **state)
{
    (void)state;
    assert_int_equal(scan_text("BT (BI /F /DCT ID) Tj ET"), PDF_INLINE_FIT);
    assert_int_equal(scan_text("% BI /F /DCT ID\nq Q"), PDF_INLINE_FIT);
    assert_int_equal(scan_text("/BI gs ABI 1 BIX"), PDF_INLINE_FIT);
    assert_int_equal(scan_text("BI /W 8 /H 1 /F /CCF ID xyz EI Q"), PDF_INLINE_FIT);
    assert_int_equal(scan_text("BI/W 8/H 1/Filter[/CCITTFaxDecode]ID xyz EI Q"), PDF_INLINE_FIT);
    assert_int_equal(scan_text("BI /W 8 /H 1 /F /DCT ID xyz EI Q"), PDF_INLINE_UNFIT);
    assert_int_equal(scan_text("BI /F [/AHx /CCF] ID xyz EI Q"), PDF_INLINE_UNFIT);
    assert_int_equal(scan_text("BI /#46 /DCT ID xyz EI Q"), PDF_INLINE_UNFIT);
    assert_int_equal(scan_text("BI /F /LZW ID xyz EI Q"), PDF_INLINE_UNFIT);
    assert_int_equal(scan_text("BI /W 3 /H 1 /BPC 8 /CS /G ID xyz EI Q"), PDF_INLINE_UNFILTERED);
    assert_int_equal(scan_text("BI /W 5 /H 1 /BPC 8 /CS /G ID a EI z EI Q"),
                     PDF_INLINE_MALFORMED); /* the length is known, and EI is not there */
    assert_int_equal(scan_text("BI /W 8 /H 1 /F /CCF ID xyz"), PDF_INLINE_MALFORMED);
    assert_int_equal(scan_text("BI /W 8 /F /CCF"), PDF_INLINE_MALFORMED);
    assert_int_equal(scan_text("BI 8 ID xyz EI"), PDF_INLINE_MALFORMED);
    assert_int_equal(scan_text("BI /F /Fl ID xyz EI"), PDF_INLINE_MALFORMED);
    assert_int_equal(scan_text("(\\(BI /F /DCT ID \\() Tj BI /F /DCT ID x EI"), PDF_INLINE_UNFIT);
    assert_int_equal(scan_text("BI /F /CCF ID x EI Q BI /F /JPX ID x EI"), PDF_INLINE_UNFIT);
}

/* Flate data may hold anything, even " EI BI /F /DCT ID": zlib says where they end. */
static void test_inline_flate(void **state)
{
    static const char stored[] = " EI BI /F /DCT ID ";
    uint8_t content[256];
    uLongf packed = 200;
    int size = snprintf((char *)content, sizeof content, "BI /W 18 /H 1 /F /Fl ID ");

    (void)state;
    assert_int_equal(compress2(content + size, &packed, (const Bytef *)stored, sizeof stored, 0),
                     Z_OK);
    size_t end = (size_t)size + packed;
    memcpy(content + end, "\nEI Q", 5);
    assert_int_equal(scan(content, end + 5), PDF_INLINE_FIT);
    assert_int_equal(scan(content, end), PDF_INLINE_MALFORMED);
    assert_int_equal(scan(content, end - 3), PDF_INLINE_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_bad_trees),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_strings),       cmocka_unit_test(test_dates),
        cmocka_unit_test(test_inline_images), cmocka_unit_test(test_inline_flate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
