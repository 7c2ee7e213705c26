/* Buffers keep their ceiling, readers their bounds. */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void buffer_grows_to_its_ceiling(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer buffer;
    uint8_t block[100];
    memset(block, 7, sizeof block);
    buffer_init(&buffer, 1000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(buffer_append(&buffer, block, sizeof block), 0);
    assert_int_equal(buffer.size, 1000);
    assert_true(buffer.capacity <= 1000);
    assert_int_equal(buffer_append_u8(&buffer, 1), -EMSGSIZE);
    assert_int_equal(buffer_append(&buffer, block, SIZE_MAX), -EMSGSIZE);
    assert_int_equal(buffer.size, 1000);
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
}

static void zeroed_buffer_can_be_done(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_done(&buffer);
    assert_int_equal(buffer_append_u8(&buffer, 1), -EMSGSIZE);
    buffer_done(&buffer);
}

static void text_is_appended_whole_or_not(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer buffer;
    buffer_init(&buffer, 6);
    assert_int_equal(buffer_append_text(&buffer, "abcde"), -EMSGSIZE);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer_append_text(&buffer, "abcd"), 0);
    assert_memory_equal(buffer.data, "\0\4abcd", 6);

    _cleanup_buffer_ struct buffer large;
    buffer_init(&large, 200000);
    _cleanup_free_ char *text = malloc(65537);
    assert_non_null(text);
    memset(text, 'x', 65536);
    text[65536] = '\0';
    assert_int_equal(buffer_append_text(&large, text), -EMSGSIZE);
    text[65535] = '\0';
    assert_int_equal(buffer_append_text(&large, text), 0);
    assert_int_equal(large.size, 65537);
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer buffer;
    buffer_init(&buffer, 64);
    assert_int_equal(buffer_append_u8(&buffer, 1), 0);
    assert_int_equal(buffer_append_be16(&buffer, 0x0203), 0);
    assert_int_equal(buffer_append_be32(&buffer, 0x04050607), 0);
    assert_int_equal(buffer_append_be64(&buffer, 0x08090a0b0c0d0e0f), 0);
    for (uint8_t i = 0; i < 15; i++)
        assert_int_equal(buffer.data[i], i + 1);

    struct reader reader;
    reader_init(&reader, bytes_of(buffer.data, buffer.size));
    assert_int_equal(reader_u8(&reader), 1);
    assert_int_equal(reader_be16(&reader), 0x0203);
    assert_int_equal(reader_be32(&reader), 0x04050607);
    assert_true(reader_be64(&reader) == 0x08090a0b0c0d0e0f);
    assert_true(reader_finish(&reader));
}

static void reading_beyond_the_end_fails_for_good(void **state)
{
    (void)state;
    const uint8_t source[] = {1, 2, 3};
    struct reader reader;
    uint8_t out[4] = {9, 9, 9, 9};

    reader_init(&reader, bytes_of(source, 3));
    assert_int_equal(reader_be32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(reader_u8(&reader), 0);
    reader_copy(&reader, out, 1);
    assert_int_equal(out[0], 0);
    assert_int_equal(reader_view(&reader, 0).size, 0);
    assert_false(reader_finish(&reader));

    reader_init(&reader, bytes_of(source, 3));
    reader_view(&reader, SIZE_MAX);
    assert_true(reader.failed);
    reader_init(&reader, bytes_of(source, 3));
    reader_be16(&reader);
    assert_false(reader_finish(&reader));
    reader_init(&reader, bytes_of(NULL, 0));
    assert_true(reader_finish(&reader));
    assert_int_equal(reader_be64(&reader), 0);
    assert_false(reader_finish(&reader));
}

static bool read_text(const char *encoded, size_t size, char *out, size_t out_size)
{
    struct reader reader;
    reader_init(&reader, bytes_of(encoded, size));
    reader_text(&reader, out, out_size);
    return reader_finish(&reader);
}

static void texts_are_bounded_and_without_nul(void **state)
{
    (void)state;
    char out[4];
    assert_true(read_text("\0\3abc", 5, out, 4));
    assert_string_equal(out, "abc");
    assert_true(read_text("\0\0", 2, out, 4));
    assert_string_equal(out, "");
    assert_false(read_text("\0\4abcd", 6, out, 4));
    assert_string_equal(out, "");
    assert_false(read_text("\0\3a\0c", 5, out, 4));
    assert_false(read_text("\0\3ab", 4, out, 4));
    assert_false(read_text("\0", 1, out, 4));
    assert_false(read_text("\xff\xff", 2, out, 4));
    assert_false(read_text("\0\1ab", 4, out, 4));
}

static void hexadecimal(void **state)
{
    (void)state;
    char text[7];
    uint8_t out[3] = {1, 2, 3};
    hex_encode("\x00\xab\xff", 3, text);
    assert_string_equal(text, "00abff");
    assert_true(hex_decode("00AbfF", 6, out, 3));
    assert_memory_equal(out, "\x00\xab\xff", 3);
    assert_false(hex_decode("00ab", 4, out, 3));
    assert_false(hex_decode("00abff0", 7, out, 3));
    assert_false(hex_decode("00abff", 6, out, 2));
    assert_false(hex_decode("00abfg", 6, out, 3));
    assert_false(hex_decode("00ab f", 6, out, 3));
    assert_false(hex_decode("0x00ab", 6, out, 3));
    assert_memory_equal(out, "\x00\xab\xff", 3);
    assert_true(hex_decode("", 0, out, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_grows_to_its_ceiling),
        cmocka_unit_test(zeroed_buffer_can_be_done),
        cmocka_unit_test(text_is_appended_whole_or_not),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(reading_beyond_the_end_fails_for_good),
        cmocka_unit_test(texts_are_bounded_and_without_nul),
        cmocka_unit_test(hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
