/* One document at three times: each event that can come between them, and documents that something
 * else speaks against. */
#include "base/verdict_times.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { BEGIN = 1000, SIGNED = 2000, BETWEEN = 2500, RECEIVED = 3000, LATER = 4000, NOW = 5000 };

static struct signer_status sample(void)
{
    struct signer_status status = {.path_size = 3};
    for (unsigned i = 0; i < status.path_size; i++) {
        status.path[i] = (struct certificate_status){.state = CERTIFICATE_GOOD,
                                                     .not_before_s = BEGIN,
                                                     .not_after_s = 9000,
                                                     .list_issued_s = NOW - 100,
                                                     .list_stale_at_s = NOW + 100};
    }
    return status;
}

static struct verdict passed(void)
{
    struct verdict verdict;
    verdict_init(&verdict);
    verdict.indication = VERDICT_TOTAL_PASSED;
    verdict.signing_time_s = SIGNED;
    return verdict;
}

static struct verdict failed(const char *check, enum verdict_indication indication,
                             enum verdict_sub sub)
{
    struct verdict verdict = passed();
    verdict.indication = (uint8_t)indication;
    verdict.sub = (uint8_t)sub;
    verdict_add(&verdict, CHECK_FAILED, check, "", "as it was");
    return verdict;
}

static void expect(const struct verdict *verdict, const struct signer_status *status,
                   const enum verdict_sub wanted[VERDICT_AT_COUNT])
{
    struct verdict_at at[VERDICT_AT_COUNT];
    verdict_at_times(verdict, status, RECEIVED, NOW, at);
    for (unsigned i = 0; i < VERDICT_AT_COUNT; i++) {
        assert_int_equal(at[i].sub, wanted[i]);
        assert_int_equal(at[i].indication, wanted[i] == VERDICT_SUB_NONE ? VERDICT_TOTAL_PASSED
                                           : wanted[i] <= VERDICT_NOT_YET_VALID
                                               ? VERDICT_TOTAL_FAILED
                                               : VERDICT_INDETERMINATE);
        if (wanted[i] != VERDICT_SUB_NONE)
            assert_int_not_equal(at[i].text[0], '\0');
    }
}
#define EXPECT(verdict, status, ...)                                                               \
    expect(verdict, status, (const enum verdict_sub[]){__VA_ARGS__})

static void revoked(void **state)
{
    struct verdict verdict = passed();
    struct signer_status status = sample();
    (void)state;
    EXPECT(&verdict, &status, VERDICT_SUB_NONE, VERDICT_SUB_NONE, VERDICT_SUB_NONE);
    for (unsigned depth = 0; depth < 3; depth++) {
        status = sample();
        status.path[depth].state = CERTIFICATE_REVOKED;
        status.path[depth].revoked_s = LATER;
        status.path[depth].reason = REASON_SUPERSEDED;
        EXPECT(&verdict, &status, VERDICT_SUB_NONE, VERDICT_SUB_NONE, VERDICT_REVOKED);
        status.path[depth].reason = REASON_KEY_COMPROMISE;
        EXPECT(&verdict, &status, VERDICT_REVOKED, VERDICT_REVOKED, VERDICT_REVOKED);
        status.path[depth].reason = 77; /* not known here */
        EXPECT(&verdict, &status, VERDICT_REVOKED, VERDICT_REVOKED, VERDICT_REVOKED);
        status.path[depth].reason = REASON_SUPERSEDED;
        status.later_rejected = true;
        EXPECT(&verdict, &status, VERDICT_REVOKED, VERDICT_REVOKED, VERDICT_REVOKED);
        status = sample();
        status.path[depth].state = CERTIFICATE_HELD;
        EXPECT(&verdict, &status, VERDICT_TRY_LATER, VERDICT_TRY_LATER, VERDICT_TRY_LATER);
    }
}

static void expired(void **state)
{
    struct verdict verdict = passed();
    (void)state;
    for (unsigned depth = 0; depth < 3; depth++) {
        struct signer_status status = sample();
        status.path[depth].not_after_s = LATER;
        EXPECT(&verdict, &status, VERDICT_SUB_NONE, VERDICT_SUB_NONE, VERDICT_OUT_OF_BOUNDS_NO_POE);
        status.path[depth].not_after_s = NOW; /* valid until, not at, the end */
        EXPECT(&verdict, &status, VERDICT_SUB_NONE, VERDICT_SUB_NONE, VERDICT_OUT_OF_BOUNDS_NO_POE);
        status = sample();
        status.path[depth].not_before_s = BETWEEN;
        EXPECT(&verdict, &status, VERDICT_NOT_YET_VALID, VERDICT_SUB_NONE, VERDICT_SUB_NONE);
        status.path[depth].not_before_s = SIGNED;
        EXPECT(&verdict, &status, VERDICT_SUB_NONE, VERDICT_SUB_NONE, VERDICT_SUB_NONE);
    }
    /* Revoked and then expired: revoked. */
    struct signer_status both = sample();
    both.path[0].not_after_s = both.path[0].revoked_s = LATER;
    both.path[0].state = CERTIFICATE_REVOKED;
    both.path[0].reason = REASON_CESSATION;
    EXPECT(&verdict, &both, VERDICT_SUB_NONE, VERDICT_SUB_NONE, VERDICT_REVOKED);
}

static void old_lists(void **state)
{
    struct verdict verdict = passed();
    struct signer_status status = sample();
    (void)state;
    status.path[1].list_stale_at_s = NOW;
    EXPECT(&verdict, &status, VERDICT_TRY_LATER, VERDICT_TRY_LATER, VERDICT_TRY_LATER);
    status.stale_accepted = true;
    EXPECT(&verdict, &status, VERDICT_SUB_NONE, VERDICT_SUB_NONE, VERDICT_SUB_NONE);
}

/* A claimed time proves nothing; and what was not looked at is not said to hold. */
static void rejected_by_time(void **state)
{
    struct verdict verdict =
        failed("path-not-expired", VERDICT_INDETERMINATE, VERDICT_OUT_OF_BOUNDS_NO_POE);
    struct signer_status status = sample();
    (void)state;
    status.path[0].not_after_s = BETWEEN;
    EXPECT(&verdict, &status, VERDICT_NO_POE, VERDICT_OUT_OF_BOUNDS_NO_POE,
           VERDICT_OUT_OF_BOUNDS_NO_POE);
    verdict = failed("path-begun", VERDICT_TOTAL_FAILED, VERDICT_NOT_YET_VALID);
    status = sample();
    for (unsigned i = 0; i < 3; i++)
        status.path[i].not_before_s = LATER;
    EXPECT(&verdict, &status, VERDICT_NOT_YET_VALID, VERDICT_NOT_YET_VALID, VERDICT_TRY_LATER);
    /* A policy check ends no run: all others held. */
    verdict = failed("revocation", VERDICT_INDETERMINATE, VERDICT_TRY_LATER);
    status = sample();
    EXPECT(&verdict, &status, VERDICT_SUB_NONE, VERDICT_SUB_NONE, VERDICT_SUB_NONE);
}

static void rejected_otherwise(void **state)
{
    struct verdict verdict = failed("message-digest", VERDICT_TOTAL_FAILED, VERDICT_HASH_FAILURE);
    struct signer_status status = sample();
    (void)state;
    status.path[0].state = CERTIFICATE_REVOKED;
    EXPECT(&verdict, &status, VERDICT_HASH_FAILURE, VERDICT_HASH_FAILURE, VERDICT_HASH_FAILURE);
    verdict = failed("path-not-revoked", VERDICT_TOTAL_FAILED, VERDICT_REVOKED);
    EXPECT(&verdict, NULL, VERDICT_REVOKED, VERDICT_REVOKED, VERDICT_REVOKED);
}

static void words(void **state)
{
    struct verdict verdict = passed();
    struct signer_status status = sample();
    struct verdict_at at[VERDICT_AT_COUNT];
    char line[VERDICT_AT_LINE_MAX];
    (void)state;
    verdict.signing_time_s = 0;
    status.path[2].not_after_s = LATER;
    verdict_at_times(&verdict, &status, RECEIVED, NOW, at);
    verdict_at_line(VERDICT_AT_SIGNING, &at[VERDICT_AT_SIGNING], line);
    assert_string_equal(line, "at signing (not said): INDETERMINATE NO_POE: the document claims no "
                              "time of signing");
    verdict_at_line(VERDICT_AT_RECEIPT, &at[VERDICT_AT_RECEIPT], line);
    assert_string_equal(line, "at receipt (1970-01-01T00:50:00Z): TOTAL-PASSED");
    _cleanup_json_ struct json *report = verdict_times_report(at);
    _cleanup_free_ char *text = json_print(report);
    assert_string_equal(
        text, "{\"signing\":{\"time\":null,\"indication\":\"INDETERMINATE\",\"sub_indication\":"
              "\"NO_POE\","
              "\"check\":null,\"text\":\"the document claims no time of signing\"},"
              "\"receipt\":{\"time\":\"1970-01-01T00:50:00Z\",\"indication\":\"TOTAL-PASSED\","
              "\"sub_indication\":null,\"check\":null,\"text\":null},"
              "\"now\":{\"time\":\"1970-01-01T01:23:20Z\",\"indication\":\"INDETERMINATE\","
              "\"sub_indication\":\"OUT_OF_BOUNDS_NO_POE\",\"check\":\"path-not-expired\",\"text\":"
              "\"a certificate of an authority expired at 1970-01-01T01:06:40Z\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revoked),
        cmocka_unit_test(expired),
        cmocka_unit_test(old_lists),
        cmocka_unit_test(rejected_by_time),
        cmocka_unit_test(rejected_otherwise),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
