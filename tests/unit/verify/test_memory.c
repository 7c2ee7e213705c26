/*
 * Each allocation fails in turn, ours and OpenSSL's: no document is accepted that is not accepted
 * with memory in plenty, a good one is never called forged, and nothing leaks or crashes.
 */
#include "../short_memory.h"
#include "vectors.h"

#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Tries until no allocation fails any more; the count of verdicts that `is_wrong` does not like. */
static unsigned torture(const char *file, bool (*is_wrong)(const struct verdict *verdict),
                        unsigned *ret_rounds)
{
    static struct verdict verdict;
    struct verify_request request = {.format = CERTFORMAT_PDF, .time_s = VECTORS_NOW_S};
    struct buffer document;
    unsigned wrong = 0, rounds = 0;

    vectors_load(file, &document);
    failed = true;
    for (unsigned long n = 1; failed; n++, rounds++) {
        struct verify_trust *trust = vectors_trust(NULL);
        failed = false;
        allocations_left = n;
        int r = verify_document(trust, &request, bytes_of(document.data, document.size), &verdict);
        allocations_left = 0;
        if (r != 0 && r != -ENOMEM) {
            wrong++;
            print_message("%s: %d at allocation %lu\n", file, r, n);
        } else if (r == 0 && is_wrong(&verdict)) {
            wrong++;
            const struct verdict_reason *reason = verdict_decisive(&verdict);
            print_message("%s: %s %s at allocation %lu\n", file,
                          verdict_indication_text(verdict.indication), reason ? reason->text : "",
                          n);
        }
        verify_trust_free(trust);
    }
    buffer_done(&document);
    *ret_rounds = rounds;
    return wrong;
}

static bool is_failed(const struct verdict *verdict)
{
    return verdict->indication == VERDICT_TOTAL_FAILED;
}

static bool is_passed(const struct verdict *verdict)
{
    return verdict->indication == VERDICT_TOTAL_PASSED;
}

static void test_good_documents(void **state)
{
    static const char *const files[] = {"ok_xstm_g4.pdf", "ok_cms_tsttoken.pdf"};
    unsigned rounds;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_int_equal(torture(files[i], is_failed, &rounds), 0);
        assert_true(rounds > 50);
    }
}

static void test_bad_documents(void **state)
{
    static const char *const files[] = {"bad_pki_revoked.pdf", "bad_img_dct.pdf",
                                        "bad_active_ocg.pdf"};
    unsigned rounds;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_int_equal(torture(files[i], is_passed, &rounds), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_documents),
        cmocka_unit_test(test_bad_documents),
    };

    if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
