/* One line of the trail: canonical whatever is in it, bounded, and read back as it was written. */
#include "fs/audit_record.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct audit_stamp stamp_of(uint64_t sequence)
{
    struct audit_stamp stamp = {.sequence = sequence, .time_ns = 1763805600123456789};
    memcpy(stamp.boot, "01234567-89ab-cdef-0123-456789abcdef", AUDIT_BOOT_SIZE);
    return stamp;
}

/* The line without line feed is what json_print_canonical() makes of it, so are its parts. */
static void check_canonical(const struct audit_event *event, struct audit_line *line)
{
    struct audit_stamp stamp = stamp_of(77);
    uint8_t previous[SHA256_SIZE] = {9}, hash[SHA256_SIZE], read[SHA256_SIZE], again[SHA256_SIZE];
    assert_int_equal(audit_record_format(event, &stamp, previous, line, hash), 0);
    assert_true(line->size < AUDIT_LINE_MAX);
    const char *text = line->text + line->begin;
    assert_int_equal(text[line->size - 1], '\n');
    _cleanup_json_ struct json *json = NULL;
    assert_int_equal(json_parse(text, line->size - 1, &json), 0);
    _cleanup_free_ char *canonical = json_print_canonical(json);
    assert_non_null(canonical);
    if (strlen(canonical) != line->size - 1 || memcmp(canonical, text, line->size - 1) != 0)
        fail_msg("not canonical:\n%.*s%s", (int)line->size, text, canonical);

    struct bytes part;
    assert_int_equal(audit_record_split(bytes_of(text, line->size - 1), &part, read), 0);
    assert_memory_equal(read, hash, SHA256_SIZE);
    assert_int_equal(audit_record_hash(part, previous, again), 0);
    assert_memory_equal(again, hash, SHA256_SIZE);
    struct audit_fields fields;
    assert_int_equal(audit_record_fields(part, &fields), 0);
    assert_int_equal(fields.sequence, 77);
}

static void every_form_is_canonical(void **state)
{
    (void)state;
    static struct audit_line line;
    struct caller caller;
    caller_of_groups(4294967294u, 0, NULL, 0, &caller);
    memcpy(caller.unverified_comm, "a\"\\b", 5);
    struct audit_event full = {
        .result = AUDIT_DENIED,
        .error = 13,
        .caller = &caller,
        .name = "A.pdf",
        .role = "reader",
        .affair = "\xe4\xba\x8b\xe5\x8b\x99",
        .purpose = "p",
        .reason = "out_of_hours",
        .text = "t",
        .connection = UINT64_MAX,
        .unique = UINT64_MAX,
        .detail = {{"a", "1"}, {"b", ""}, {"c", "\"\\/\b\f\n\r\t\x01\x1f\x7f"}, {"d", NULL}},
    };
    for (unsigned kind = 0; kind < AUDIT_KIND_COUNT; kind++) {
        for (unsigned result = 0; result < AUDIT_RESULT_COUNT; result++) {
            full.kind = (enum audit_kind)kind;
            full.result = (enum audit_result)result;
            check_canonical(&full, &line);
            const struct audit_event bare = {.kind = full.kind, .result = full.result};
            check_canonical(&bare, &line);
        }
    }
}

static void every_byte_is_escaped_as_json_wants(void **state)
{
    (void)state;
    static struct audit_line line;
    for (int c = 1; c < 256; c++) {
        char text[] = {'x', (char)c, 'y', '\0'};
        const struct audit_event event = {.text = text, .purpose = text + 1};
        check_canonical(&event, &line);
    }
    static const char *const texts[] = {
        "\xc3\xa9", "\xe3\x81\x82", "\xf0\x9f\x98\x80", "\xf0\x9f\x98", "\xe3\x81",         "\xc3",
        "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xff",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct audit_event event = {.text = texts[i]};
        check_canonical(&event, &line);
        bool good = memmem(line.text, line.begin + line.size, "\xef\xbf\xbd", 3) == NULL;
        assert_int_equal(good, i < 3);
    }
}

static void texts_have_a_ceiling(void **state)
{
    (void)state;
    static struct audit_line line;
    char text[4096];
    static const char *const units[] = {"x", "\x01", "\xe3\x81\x82", "\"", "\xff"};
    for (size_t unit = 0; unit < sizeof units / sizeof units[0]; unit++) {
        size_t size = strlen(units[unit]);
        for (size_t i = 0; i + size < sizeof text; i += size)
            memcpy(text + i, units[unit], size + 1);
        struct audit_event event = {.name = text,
                                    .role = text,
                                    .affair = text,
                                    .purpose = text,
                                    .reason = text,
                                    .text = text,
                                    .connection = UINT64_MAX,
                                    .unique = UINT64_MAX};
        for (size_t i = 0; i < AUDIT_DETAIL_MAX; i++)
            event.detail[i] = (struct audit_detail){"abcdefghijklmnopqrstuvwx", text};
        /* Eight details of one key are no object; give them different ones. */
        static const char *const keys[] = {"a_______________________", "b_______________________",
                                           "c_______________________", "d_______________________",
                                           "e_______________________", "f_______________________",
                                           "g_______________________", "h_______________________"};
        for (size_t i = 0; i < AUDIT_DETAIL_MAX; i++)
            event.detail[i].key = keys[i];
        check_canonical(&event, &line);
    }
}

static void other_lines_are_no_records(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "{}",
        "{\"event\":{},\"hash\":\"\"}",
        "{\"event\":{}}",
        "{\"event\":,\"hash\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
        "{\"event\":{},\"hash\":"
        "\"000000000000000000000000000000000000000000000000000000000000000g\"}",
        "{\"event\":{},\"hash\":"
        "\"A000000000000000000000000000000000000000000000000000000000000000\"}",
        "{\"event\":{},\"hash\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"} ",
        " {\"event\":{},\"hash\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
        "{\"Event\":{},\"hash\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct bytes event = {0};
        uint8_t hash[SHA256_SIZE];
        struct audit_fields fields;
        int r = audit_record_split(bytes_of(lines[i], strlen(lines[i])), &event, hash);
        if (r == 0)
            r = audit_record_fields(event, &fields);
        if (r != -EBADMSG)
            fail_msg("taken: %s", lines[i]);
    }
    static const char *const events[] = {
        "{}",
        "[]",
        "7",
        "{\"seq\":0,\"v\":1}",
        "{\"seq\":-1,\"v\":1}",
        "{\"seq\":1,\"v\":2}",
        "{\"seq\":\"1\",\"v\":1}",
        "{\"seq\":1}",
        "{\"seq\":1,\"v\":1",
        "{\"seq\":1,\"seq\":2,\"v\":1}",
    };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        struct audit_fields fields;
        assert_int_equal(audit_record_fields(bytes_of(events[i], strlen(events[i])), &fields),
                         -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_canonical),
        cmocka_unit_test(every_byte_is_escaped_as_json_wants),
        cmocka_unit_test(texts_have_a_ceiling),
        cmocka_unit_test(other_lines_are_no_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
