/* The verdict: born rejected, encoded and decoded exactly, reported in JSON. */
#include "base/verdict.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct verdict *verdict_new(void)
{
    struct verdict *verdict = malloc(sizeof *verdict);
    assert_non_null(verdict);
    memset(verdict, 0xff, sizeof *verdict);
    verdict_init(verdict);
    return verdict;
}

static struct verdict *sample(void)
{
    struct verdict *verdict = verdict_new();
    verdict->indication = VERDICT_TOTAL_FAILED;
    verdict->sub = VERDICT_HASH_FAILURE;
    verdict->document_size = 12345;
    verdict->signing_time_s = 951825601;
    verdict->verified_at_s = 1700000000;
    verdict->fresh_until_s = -1;
    memset(verdict->document_sha256, 0xab, SHA256_SIZE);
    memset(verdict->trust_generation, 0x01, SHA256_SIZE);
    strcpy(verdict->signer, "CN=法務大臣,O=日本国政府,C=JP");
    verdict_add(verdict, CHECK_PASSED, "syntax", "ISO 32000-1 7.5", "%s", "");
    verdict_add(verdict, CHECK_WARNED, "producer", "", "made by %s", "x");
    verdict_add(verdict, CHECK_FAILED, "digest", "RFC 5652 5.4", "differs");
    return verdict;
}

static void it_is_born_rejected(void **state)
{
    (void)state;
    _cleanup_free_ struct verdict *verdict = verdict_new();
    assert_int_equal(verdict->indication, VERDICT_INDETERMINATE);
    assert_int_equal(verdict->sub, VERDICT_SUB_NONE);
    assert_int_equal(verdict->reason_count, 0);
    assert_null(verdict_decisive(verdict));
}

static void decisive_reason(void **state)
{
    (void)state;
    _cleanup_free_ struct verdict *verdict = verdict_new();
    verdict_add(verdict, CHECK_WARNED, "w", "", "%s", "");
    assert_null(verdict_decisive(verdict));
    verdict_add(verdict, CHECK_UNDECIDED, "u", "", "%s", "");
    assert_string_equal(verdict_decisive(verdict)->check, "u");
    verdict_add(verdict, CHECK_FAILED, "f1", "", "%s", "");
    verdict_add(verdict, CHECK_FAILED, "f2", "", "%s", "");
    assert_string_equal(verdict_decisive(verdict)->check, "f1");
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    _cleanup_free_ struct verdict *verdict = verdict_new();
    char text[3 * VERDICT_TEXT_MAX + 1] = "";
    for (size_t i = 0; i < VERDICT_TEXT_MAX; i++)
        memcpy(text + 3 * i, "戸", 4);
    verdict_add(verdict, CHECK_FAILED, text, text, "%s", text);
    const struct verdict_reason *reason = &verdict->reasons[0];
    assert_int_equal(strlen(reason->check), 39);
    assert_int_equal(strlen(reason->clause), 45);
    assert_int_equal(strlen(reason->text), 237);
    verdict_add(verdict, CHECK_FAILED, "c", "", "a%s", text);
    assert_int_equal(strlen(verdict->reasons[1].text), 238);
}

static void a_flood_hides_no_failure(void **state)
{
    (void)state;
    _cleanup_free_ struct verdict *verdict = verdict_new();
    for (int i = 0; i < VERDICT_REASON_MAX; i++)
        verdict_add(verdict, CHECK_PASSED, "p", "", "%s", "");
    assert_null(verdict_decisive(verdict));
    verdict_add(verdict, CHECK_FAILED, "f", "", "%s", "");
    verdict_add(verdict, CHECK_PASSED, "p", "", "%s", "");
    assert_int_equal(verdict->reason_count, VERDICT_REASON_MAX);
    assert_non_null(verdict_decisive(verdict));
    assert_string_equal(verdict_decisive(verdict)->text, "more reasons were dropped");
}

static void encodes_and_decodes(void **state)
{
    (void)state;
    _cleanup_free_ struct verdict *verdict = sample();
    _cleanup_free_ struct verdict *decoded = verdict_new();
    _cleanup_buffer_ struct buffer buffer;
    buffer_init(&buffer, VERDICT_ENCODED_MAX);
    assert_int_equal(verdict_encode(verdict, &buffer), 0);
    assert_true(buffer.size < 400);
    assert_int_equal(verdict_decode(bytes_of(buffer.data, buffer.size), decoded), 0);
    assert_memory_equal(verdict, decoded, sizeof *verdict);
}

static void the_largest_verdict_fits(void **state)
{
    (void)state;
    _cleanup_free_ struct verdict *verdict = verdict_new();
    _cleanup_free_ struct verdict *decoded = verdict_new();
    char text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(verdict->signer, 'x', VERDICT_DN_MAX - 1);
    memset(verdict->schema, 'x', sizeof verdict->schema - 1);
    for (int i = 0; i < VERDICT_REASON_MAX; i++)
        verdict_add(verdict, CHECK_FAILED, text, text, "%s", text);
    _cleanup_buffer_ struct buffer buffer;
    buffer_init(&buffer, VERDICT_ENCODED_MAX);
    assert_int_equal(verdict_encode(verdict, &buffer), 0);
    assert_int_equal(verdict_decode(bytes_of(buffer.data, buffer.size), decoded), 0);
    assert_memory_equal(verdict, decoded, sizeof *verdict);
    _cleanup_buffer_ struct buffer small;
    buffer_init(&small, buffer.size - 1);
    assert_int_equal(verdict_encode(verdict, &small), -EMSGSIZE);
    assert_int_equal(small.size, 0);
}

static void refuse(const uint8_t *data, size_t size)
{
    _cleanup_free_ struct verdict *decoded = malloc(sizeof *decoded);
    _cleanup_free_ struct verdict *untouched = malloc(sizeof *untouched);
    assert_non_null(decoded);
    assert_non_null(untouched);
    memset(decoded, 0x33, sizeof *decoded);
    memset(untouched, 0x33, sizeof *untouched);
    assert_int_equal(verdict_decode(bytes_of(data, size), decoded), -EBADMSG);
    assert_memory_equal(decoded, untouched, sizeof *decoded);
}

static void cut_and_bent_forms_are_refused(void **state)
{
    (void)state;
    _cleanup_free_ struct verdict *verdict = sample();
    _cleanup_buffer_ struct buffer buffer;
    buffer_init(&buffer, VERDICT_ENCODED_MAX);
    assert_int_equal(verdict_encode(verdict, &buffer), 0);
    for (size_t size = 0; size < buffer.size; size++)
        refuse(buffer.data, size);

    /* version, indication, sub-indication; then the count of reasons */
    size_t count_at = 3 + 4 * 8 + 3 * SHA256_SIZE + 2 + strlen(verdict->signer) + 2;
    const struct {
        size_t at;
        uint8_t value;
    } bends[] = {{0, 0},
                 {0, 2},
                 {1, 3},
                 {1, 0xff},
                 {2, VERDICT_SUB_COUNT},
                 {2, 0xff},
                 {count_at, 0xff},
                 {count_at + 1, 2},
                 {count_at + 1, 4},
                 {count_at + 2, CHECK_OUTCOME_COUNT},
                 {count_at + 4, 0xff}};
    for (size_t i = 0; i < sizeof bends / sizeof bends[0]; i++) {
        uint8_t kept = buffer.data[bends[i].at];
        buffer.data[bends[i].at] = bends[i].value;
        refuse(buffer.data, buffer.size);
        buffer.data[bends[i].at] = kept;
    }
    assert_int_equal(buffer_append_u8(&buffer, 0), 0);
    refuse(buffer.data, buffer.size);
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    static const enum verdict_outcome bad[] = {CHECK_FAILED, CHECK_UNDECIDED};
    _cleanup_buffer_ struct buffer buffer;
    buffer_init(&buffer, VERDICT_ENCODED_MAX);
    for (size_t i = 0; i < 2; i++) {
        _cleanup_free_ struct verdict *verdict = verdict_new();
        verdict_add(verdict, bad[i], "c", "", "%s", "");
        assert_int_equal(verdict_encode(verdict, &buffer), 0);
        buffer.data[1] = VERDICT_TOTAL_PASSED;
        refuse(buffer.data, buffer.size);
        verdict->indication = VERDICT_TOTAL_PASSED;
        buffer.size = 0;
        assert_int_equal(verdict_encode(verdict, &buffer), -EINVAL);
        assert_int_equal(buffer.size, 0);
    }
    _cleanup_free_ struct verdict *verdict = verdict_new();
    verdict->indication = VERDICT_TOTAL_PASSED;
    verdict->sub = VERDICT_TRY_LATER;
    assert_int_equal(verdict_encode(verdict, &buffer), -EINVAL);
}

static void words(void **state)
{
    (void)state;
    assert_string_equal(verdict_indication_text(VERDICT_TOTAL_PASSED), "TOTAL-PASSED");
    assert_string_equal(verdict_indication_text(3), "?");
    assert_string_equal(verdict_sub_text(VERDICT_SUB_NONE), "");
    assert_string_equal(verdict_sub_text(VERDICT_SIGNED_DATA_NOT_FOUND), "SIGNED_DATA_NOT_FOUND");
    assert_string_equal(verdict_sub_text(VERDICT_SUB_COUNT), "?");
    for (uint8_t sub = 1; sub < VERDICT_SUB_COUNT; sub++)
        assert_true(strlen(verdict_sub_text(sub)) > 4);
    assert_string_equal(verdict_outcome_text(CHECK_UNDECIDED), "undecided");
    assert_string_equal(verdict_outcome_text(CHECK_OUTCOME_COUNT), "?");
}

static void report(void **state)
{
    (void)state;
    _cleanup_free_ struct verdict *verdict = sample();
    _cleanup_json_ struct json *json = verdict_report(verdict);
    _cleanup_free_ char *text = json_print(json);
    assert_string_equal(
        text,
        "{\"indication\":\"TOTAL-FAILED\",\"sub_indication\":\"HASH_FAILURE\","
        "\"signer\":\"CN=法務大臣,O=日本国政府,C=JP\",\"signing_time\":\"2000-02-29T12:00:01Z\","
        "\"verified_at\":\"2023-11-14T22:13:20Z\",\"document_sha256\":"
        "\"abababababababababababababababababababababababababababababababab\","
        "\"document_size\":12345,\"signer_sha256\":null,\"trust_generation\":"
        "\"0101010101010101010101010101010101010101010101010101010101010101\",\"schema\":null,"
        "\"checks\":[{\"check\":\"syntax\",\"outcome\":\"pass\",\"clause\":\"ISO 32000-1 7.5\","
        "\"text\":\"\"},{\"check\":\"producer\",\"outcome\":\"warn\",\"clause\":\"\","
        "\"text\":\"made by x\"},{\"check\":\"digest\",\"outcome\":\"fail\","
        "\"clause\":\"RFC 5652 5.4\",\"text\":\"differs\"}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_born_rejected),
        cmocka_unit_test(decisive_reason),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(a_flood_hides_no_failure),
        cmocka_unit_test(encodes_and_decodes),
        cmocka_unit_test(the_largest_verdict_fits),
        cmocka_unit_test(cut_and_bent_forms_are_refused),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(words),
        cmocka_unit_test(report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
