/*
 * Every sample gets its expected verdict, for a reason of its kind; and relaxing all prudence
 * accepts nothing that cryptography, certificates or the standard's text forbid.
 */
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct verdict verdict;

static const char *basis_of(const char *name)
{
    const struct verify_check *check;

    for (unsigned i = 0; (check = verify_check_at(i)); i++) {
        if (strcmp(check->name, name) == 0)
            return check->basis;
    }
    return "?";
}

/* A sample made for `basis` fails by a check of that basis. Between cryptography and the standard's
 * text the line is drawn by whoever sorts: both are fixed. */
static bool same_kind(const char *wanted, const char *found)
{
    bool fixed = strcmp(wanted, "crypto") == 0 || strcmp(wanted, "profile") == 0;

    return strcmp(wanted, found) == 0 ||
           (fixed && (strcmp(found, "crypto") == 0 || strcmp(found, "profile") == 0));
}

static void judge_file(struct verify_trust *trust, const struct vector *vector)
{
    _cleanup_buffer_ struct buffer document;

    vectors_load(vector->file, &document);
    vectors_judge(trust, bytes_of(document.data, document.size), &verdict);
}

static unsigned complain(const struct vector *vector, const char *what)
{
    const struct verdict_reason *reason = verdict_decisive(&verdict);

    print_message("%s (%s): %s: %s %s\n", vector->file, vector->basis, what,
                  reason ? reason->check : "", reason ? reason->text : "");
    return 1;
}

static void test_defaults(void **state)
{
    struct verify_trust *trust = vectors_trust(NULL);
    struct vectors vectors;
    unsigned wrong = 0, accepted = 0, rejected = 0;

    (void)state;
    vectors_read(&vectors);
    for (size_t i = 0; i < vectors.count; i++) {
        const struct vector *vector = &vectors.items[i];
        judge_file(trust, vector);
        const struct verdict_reason *reason = verdict_decisive(&verdict);
        bool passed = verdict.indication == VERDICT_TOTAL_PASSED;
        if (strcmp(vector->expected, "accept") == 0) {
            accepted++;
            wrong += passed ? 0 : complain(vector, "is not accepted");
        } else if (strcmp(vector->expected, "reject") == 0) {
            rejected++;
            if (passed)
                wrong += complain(vector, "is accepted");
            else if (!reason || !same_kind(vector->basis, basis_of(reason->check)))
                wrong += complain(vector, "is rejected for a reason of another kind");
        }
    }
    print_message("%u to be accepted, %u to be rejected\n", accepted, rejected);
    assert_true(accepted >= 30 && rejected >= 120);
    assert_int_equal(wrong, 0);
    free(vectors.items);
    verify_trust_free(trust);
}

static void test_all_policy_ignored(void **state)
{
    struct verify_trust *trust = vectors_trust("ignore");
    struct vectors vectors;
    unsigned wrong = 0;

    (void)state;
    vectors_read(&vectors);
    for (size_t i = 0; i < vectors.count; i++) {
        const struct vector *vector = &vectors.items[i];
        judge_file(trust, vector);
        bool passed = verdict.indication == VERDICT_TOTAL_PASSED;
        if (strcmp(vector->expected, "accept") == 0 && !passed)
            wrong += complain(vector, "is not accepted");
        if (strcmp(vector->expected, "reject") == 0 && strcmp(vector->basis, "policy") != 0 &&
            passed)
            wrong += complain(vector, "is accepted with all policy ignored");
    }
    assert_int_equal(wrong, 0);
    free(vectors.items);
    verify_trust_free(trust);
}

/* At the level warn a deviation is accepted and still told. */
static void test_warnings_are_told(void **state)
{
    struct verify_trust *trust = vectors_trust("warn");
    const struct vector vector = {.file = "bad_active_ocg.pdf", .basis = "policy"};
    bool told = false;

    (void)state;
    judge_file(trust, &vector);
    assert_int_equal(verdict.indication, VERDICT_TOTAL_PASSED);
    for (unsigned i = 0; i < verdict.reason_count; i++)
        told = told || (verdict.reasons[i].outcome == CHECK_WARNED &&
                        strcmp(verdict.reasons[i].check, "optional-content") == 0 &&
                        verdict.reasons[i].text[0]);
    assert_true(told);
    verify_trust_free(trust);
}

/* EN 319 102-1 words for what anybody would ask first. */
static void test_indications(void **state)
{
    static const struct {
        const char *file;
        enum verdict_indication indication;
        enum verdict_sub sub;
    } cases[] = {
        {"ok_xstm.pdf", VERDICT_TOTAL_PASSED, VERDICT_SUB_NONE},
        {"bad_usf_flip_last.pdf", VERDICT_TOTAL_FAILED, VERDICT_HASH_FAILURE},
        {"bad_cms_bitflip.pdf", VERDICT_TOTAL_FAILED, VERDICT_SIG_CRYPTO_FAILURE},
        {"bad_pki_revoked.pdf", VERDICT_TOTAL_FAILED, VERDICT_REVOKED},
        {"bad_struct_hdr20.pdf", VERDICT_TOTAL_FAILED, VERDICT_FORMAT_FAILURE},
        {"bad_pki_evil.pdf", VERDICT_INDETERMINATE, VERDICT_NO_CERTIFICATE_CHAIN_FOUND},
        {"bad_pki_other.pdf", VERDICT_INDETERMINATE, VERDICT_SIG_CONSTRAINTS_FAILURE},
    };
    struct verify_trust *trust = vectors_trust(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vector vector = {.basis = ""};
        snprintf(vector.file, sizeof vector.file, "%s", cases[i].file);
        judge_file(trust, &vector);
        assert_int_equal(verdict.indication, cases[i].indication);
        assert_int_equal(verdict.sub, cases[i].sub);
        /* A name is told only when a signature vouches for it. */
        assert_int_equal(verdict.signer[0] != '\0', cases[i].indication == VERDICT_TOTAL_PASSED);
    }
    verify_trust_free(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_policy_ignored),
        cmocka_unit_test(test_warnings_are_told),
        cmocka_unit_test(test_indications),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
