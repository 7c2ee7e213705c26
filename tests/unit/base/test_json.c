/* The JSON writer and reader. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void assert_prints(const struct json *json, const char *expected)
{
    _cleanup_free_ char *text = json_print(json);
    assert_non_null(text);
    assert_string_equal(text, expected);
}

static void members_keep_their_order(void **state)
{
    (void)state;
    _cleanup_json_ struct json *object = json_object_new();
    struct json *array = json_array_new();
    assert_int_equal(json_append(array, json_text_new("x\ny")), 0);
    assert_int_equal(json_set_text(object, "z", "戸籍 \"q\""), 0);
    assert_int_equal(json_set_integer(object, "a", INT64_MIN), 0);
    assert_int_equal(json_set_bool(object, "m", true), 0);
    assert_int_equal(json_set_null(object, "n"), 0);
    assert_int_equal(json_set_hex(object, "h", "\x01\xfe", 2), 0);
    assert_int_equal(json_set(object, "l", array), 0);
    assert_prints(object, "{\"z\":\"戸籍 \\\"q\\\"\",\"a\":-9223372036854775808,\"m\":true,"
                          "\"n\":null,\"h\":\"01fe\",\"l\":[\"x\\ny\"]}");
    _cleanup_free_ char *canonical = json_print_canonical(object);
    assert_string_equal(canonical, "{\"a\":-9223372036854775808,\"h\":\"01fe\",\"l\":[\"x\\ny\"],"
                                   "\"m\":true,\"n\":null,\"z\":\"戸籍 \\\"q\\\"\"}");
}

static void malformed_utf8_is_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *printed;
    } cases[] = {
        {"a\xff"
         "b",
         "\"a\uFFFDb\""},
        {"\xe6\x88", "\"\uFFFD\uFFFD\""},
        {"\xc0\x80", "\"\uFFFD\uFFFD\""},
        {"\xed\xa0\x80", "\"\uFFFD\uFFFD\uFFFD\""},
        {"\xf4\x90\x80\x80", "\"\uFFFD\uFFFD\uFFFD\uFFFD\""},
        {"\xe0\x9f\xbf", "\"\uFFFD\uFFFD\uFFFD\""},
        {"\x80", "\"\uFFFD\""},
        {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
        {"\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        _cleanup_json_ struct json *text = json_text_new(cases[i].text);
        assert_prints(text, cases[i].printed);
    }
}

static void shortage_passes_through(void **state)
{
    (void)state;
    _cleanup_json_ struct json *object = json_object_new();
    assert_int_equal(json_set(object, "a", NULL), -ENOMEM);
    assert_int_equal(json_append(object, NULL), -ENOMEM);
    assert_prints(object, "{}");
    assert_null(json_free(NULL));
}

static void texts_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"op\":\"why\",\"n\":5,\"b\":false,\"list\":[\"a\",7],\"o\":{\"k\":\"v\"}}";
    _cleanup_json_ struct json *json = NULL;
    assert_int_equal(json_parse(text, strlen(text), &json), 0);
    assert_true(json_is_object(json));
    assert_string_equal(json_get_text(json, "op"), "why");
    assert_null(json_get_text(json, "n"));
    assert_null(json_get_text(json, "absent"));
    int64_t number = 1;
    bool flag = true;
    assert_true(json_get_integer(json, "n", &number));
    assert_true(number == 5);
    assert_false(json_get_integer(json, "op", &number));
    assert_false(json_get_integer(json, "absent", &number));
    assert_true(number == 5);
    assert_false(json_get_bool(json, "n", &flag));
    assert_true(flag);
    assert_true(json_get_bool(json, "b", &flag));
    assert_false(flag);
    const struct json *list = json_get(json, "list");
    assert_int_equal(json_array_count(list), 2);
    assert_string_equal(json_text(json_array_at(list, 0)), "a");
    assert_null(json_text(json_array_at(list, 1)));
    assert_null(json_array_at(list, 2));
    assert_int_equal(json_array_count(json), 0);
    assert_false(json_is_object(list));
    assert_false(json_is_object(NULL));
    assert_string_equal(json_get_text(json_get(json, "o"), "k"), "v");
}

static void members_are_walked(void **state)
{
    (void)state;
    _cleanup_json_ struct json *json = NULL;
    assert_int_equal(json_parse("{\"z\":1,\"a\":2}", 13, &json), 0);
    void *cursor = NULL;
    const char *key;
    const struct json *value;
    assert_true(json_next(json, &cursor, &key, &value));
    assert_string_equal(key, "z");
    assert_true(json_next(json, &cursor, &key, &value));
    assert_string_equal(key, "a");
    assert_false(json_next(json, &cursor, &key, &value));
}

static void refuse(const char *text, size_t size)
{
    struct json *json = NULL;
    assert_int_equal(json_parse(text, size, &json), -EBADMSG);
    assert_null(json);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"a\":1} x",
        "{'a':1}",
        "{a:1}",
        "{\"a\":1,}",
        "[1,]",
        "{\"a\":1,\"a\":2}",
        "nul",
        "NaN",
        "Infinity",
        "01",
        "+1",
        "\"a",
        "\"\x01\"",
        "\"\xff\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "99999999999999999999",
        "1e999",
        "\"\xed\xa0\x80\"",
        "{\"a\" 1}",
        "// x\n1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refuse(texts[i], strlen(texts[i]));
    refuse("1\0", 2);
    refuse("\"a\0b\"", 5);
    refuse("{\"a\0\":1}", 8);
}

static void nesting_has_a_ceiling(void **state)
{
    (void)state;
    char text[64];
    memset(text, '[', 17);
    memset(text + 17, ']', 17);
    refuse(text, 34);
    _cleanup_json_ struct json *json = NULL;
    assert_int_equal(json_parse(text + 1, 32, &json), 0);

    _cleanup_free_ char *deep = malloc(1000000);
    assert_non_null(deep);
    memset(deep, '[', 1000000);
    refuse(deep, 1000000);

    _cleanup_json_ struct json *string = NULL;
    static const char brackets[] = "\"[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[[\"";
    assert_int_equal(json_parse(brackets, strlen(brackets), &string), 0);
}

static void size_is_respected(void **state)
{
    (void)state;
    _cleanup_json_ struct json *json = NULL;
    assert_int_equal(json_parse("12345", 2, &json), 0);
    assert_prints(json, "12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_their_order), cmocka_unit_test(malformed_utf8_is_replaced),
        cmocka_unit_test(shortage_passes_through),  cmocka_unit_test(texts_are_read),
        cmocka_unit_test(members_are_walked),       cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(nesting_has_a_ceiling),    cmocka_unit_test(size_is_respected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
