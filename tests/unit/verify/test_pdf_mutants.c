/*
 * No byte outside the value of /Contents can be changed, and none can be missing from the end.
 * Small samples at every offset, large ones at a dense selection.
 */
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct verdict verdict;

/* Where the digits of the signature are: the longest run of hexadecimal digits. */
static void find_digits(struct bytes document, size_t *ret_start, size_t *ret_end)
{
    size_t best = 0, start = 0;

    for (size_t i = 0; i <= document.size; i++) {
        bool digit = i < document.size && strchr("0123456789abcdefABCDEF", document.data[i]) &&
                     document.data[i];
        if (digit)
            continue;
        if (i - start > best) {
            best = i - start;
            *ret_start = start;
            *ret_end = i;
        }
        start = i + 1;
    }
}

static unsigned accepted(struct verify_trust *trust, struct bytes document, const char *file,
                         const char *what, size_t offset)
{
    vectors_judge(trust, document, &verdict);
    if (verdict.indication != VERDICT_TOTAL_PASSED)
        return 0;
    print_message("%s: accepted with %s at %zu\n", file, what, offset);
    return 1;
}

static unsigned mutate(struct verify_trust *trust, const char *file, size_t step)
{
    static const uint8_t masks[] = {0x01, 0x20, 0x80};
    _cleanup_buffer_ struct buffer document;
    size_t start = 0, end = 0;
    unsigned wrong = 0;

    vectors_load(file, &document);
    struct bytes bytes = bytes_of(document.data, document.size);
    vectors_judge(trust, bytes, &verdict);
    wrong += verdict.indication == VERDICT_TOTAL_PASSED ? 0 : 1;
    find_digits(bytes, &start, &end);
    for (size_t i = 0; i < document.size; i += step) {
        if (i >= start && i < end)
            continue;
        for (size_t m = 0; m < sizeof masks; m++) {
            document.data[i] ^= masks[m];
            wrong += accepted(trust, bytes, file, "a changed byte", i);
            document.data[i] ^= masks[m];
        }
    }
    return wrong;
}

static unsigned truncate_at(struct verify_trust *trust, const char *file, size_t step)
{
    _cleanup_buffer_ struct buffer document;
    unsigned wrong = 0;

    vectors_load(file, &document);
    for (size_t i = 0; i < document.size; i += step)
        wrong += accepted(trust, bytes_of(document.data, i), file, "the end cut", i);
    return wrong;
}

static void test_changed_bytes(void **state)
{
    struct verify_trust *trust = vectors_trust(NULL);
    unsigned wrong = 0;

    (void)state;
    wrong += mutate(trust, "ok_zga_text1.pdf", 1);
    wrong += mutate(trust, "ok_xstm.pdf", 1);
    wrong += mutate(trust, "ok_pyhanko_lin.pdf", 1);
    wrong += mutate(trust, "ok_incr_classic.pdf", 3);
    wrong += mutate(trust, "ok_pdfbox_xstm.pdf", 29);
    wrong += mutate(trust, "ok_signpdf_plain_flate.pdf", 211);
    wrong += mutate(trust, "ok_pdfbox_mixed.pdf", 211);
    assert_int_equal(wrong, 0);
    verify_trust_free(trust);
}

static void test_truncation(void **state)
{
    struct verify_trust *trust = vectors_trust(NULL);
    unsigned wrong = 0;

    (void)state;
    wrong += truncate_at(trust, "ok_zga_text1.pdf", 1);
    wrong += truncate_at(trust, "ok_xstm.pdf", 1);
    wrong += truncate_at(trust, "ok_incr_classic.pdf", 1);
    wrong += truncate_at(trust, "ok_pyhanko_lin.pdf", 1);
    wrong += truncate_at(trust, "ok_pdfbox_mixed.pdf", 97);
    assert_int_equal(wrong, 0);
    verify_trust_free(trust);
}

/* One byte more at the end, whatever it is, is not signed. */
static void test_appended_byte(void **state)
{
    struct verify_trust *trust = vectors_trust("ignore");
    _cleanup_buffer_ struct buffer document;
    unsigned wrong = 0;

    (void)state;
    vectors_load("ok_eof_noeol.pdf", &document);
    assert_int_equal(buffer_append_u8(&document, 0), 0);
    for (unsigned byte = 0; byte < 256; byte++) {
        document.data[document.size - 1] = (uint8_t)byte;
        wrong += accepted(trust, bytes_of(document.data, document.size), "ok_eof_noeol.pdf",
                          "a byte more", byte);
    }
    assert_int_equal(wrong, 0);
    verify_trust_free(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_appended_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
