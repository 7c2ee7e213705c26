/*
 * Every sample of tests/vectors/xml gets the verdict of its row in EXPECT.tsv, a policy sample by a
 * policy check and by no other; with every policy check ignored, the policy samples alone pass.
 */
#include "xml_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    char file[64], expectation[16], basis[24];
};

typedef void row_check(const struct row *row, struct verify_trust *trust, struct verdict *verdict);

/* Runs a check on each row; returns how many there were. */
static unsigned for_each_row(row_check *check, struct verify_trust *trust)
{
    static struct verdict verdict;
    struct buffer table = vector_read("EXPECT.tsv");
    unsigned count = 0;

    assert_int_equal(buffer_append_u8(&table, 0), 0);
    char *next = NULL;
    char *line = strtok_r((char *)table.data, "\n", &next);
    while ((line = strtok_r(NULL, "\n", &next))) {
        struct row row;
        assert_int_equal(
            sscanf(line, "%63[^\t]\t%15[^\t]\t%23[^\t]", row.file, row.expectation, row.basis), 3);
        struct buffer document = vector_read(row.file);
        vector_verify(trust, document.data, document.size, &verdict);
        check(&row, trust, &verdict);
        buffer_done(&document);
        count++;
    }
    buffer_done(&table);
    return count;
}

static const char *reason_text(const struct verdict *verdict)
{
    const struct verdict_reason *reason = verdict_decisive(verdict);

    return reason ? reason->text : "";
}

static void check_expectation(const struct row *row, struct verify_trust *trust,
                              struct verdict *verdict)
{
    bool passed = verdict->indication == VERDICT_TOTAL_PASSED;
    const struct verdict_reason *reason = verdict_decisive(verdict);

    (void)trust;
    if (strcmp(row->expectation, "policy") != 0 &&
        passed != (strcmp(row->expectation, "accept") == 0))
        fail_msg("%s: %s %s", row->file, verdict_indication_text(verdict->indication),
                 reason_text(verdict));
    if (passed) {
        assert_string_equal(verdict->signer, SIGNER_DN);
        /* The list outlives the signer's certificate, so that it never gets too old. */
        assert_int_equal(verdict->fresh_until_s, 0);
        return;
    }
    if (!reason)
        fail_msg("%s: rejected without a reason", row->file);
    else if (is_policy_check(reason->check) != (strncmp(row->basis, "policy", 6) == 0))
        fail_msg("%s is of class %s, but fails by %s", row->file, row->basis, reason->check);
    else if (!reason->text[0] || !reason->clause[0])
        fail_msg("%s: %s gives no text or clause", row->file, reason->check);
    assert_string_equal(verdict->signer[0] && is_policy_check(reason->check) ? SIGNER_DN : "",
                        verdict->signer);
}

static void test_expectations(void **state)
{
    struct verify_trust *trust = vector_trust("pki/sub.crt", "pki/sub.crl", NULL, NULL);

    (void)state;
    assert_true(for_each_row(check_expectation, trust) > 100);
    verify_trust_free(trust);
}

static void check_relaxed(const struct row *row, struct verify_trust *trust,
                          struct verdict *verdict)
{
    bool relaxed = strncmp(row->basis, "policy", 6) == 0;
    bool passed = verdict->indication == VERDICT_TOTAL_PASSED;

    (void)trust;
    if (passed != (relaxed || strcmp(row->expectation, "accept") == 0))
        fail_msg("%s: %s %s", row->file, verdict_indication_text(verdict->indication),
                 reason_text(verdict));
}

static void test_all_policy_ignored(void **state)
{
    struct verify_trust *trust = vector_trust("pki/sub.crt", "pki/sub.crl", all_ignored(), NULL);

    (void)state;
    for_each_row(check_relaxed, trust);
    verify_trust_free(trust);
}

/* The verdict does not depend on what was judged before. */
static void check_repeated(const struct row *row, struct verify_trust *trust,
                           struct verdict *verdict)
{
    static struct verdict fresh;
    struct verify_trust *other = vector_trust("pki/sub.crt", "pki/sub.crl", NULL, NULL);
    struct buffer document = vector_read(row->file);

    (void)trust;
    vector_verify(other, document.data, document.size, &fresh);
    assert_int_equal(fresh.indication, verdict->indication);
    assert_int_equal(fresh.sub, verdict->sub);
    assert_int_equal(fresh.reason_count, verdict->reason_count);
    buffer_done(&document);
    verify_trust_free(other);
}

static void test_no_memory_of_others(void **state)
{
    struct verify_trust *trust = vector_trust("pki/sub.crt", "pki/sub.crl", NULL, NULL);

    (void)state;
    for_each_row(check_repeated, trust);
    verify_trust_free(trust);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_all_policy_ignored),
        cmocka_unit_test(test_no_memory_of_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
