/*
 * Each allocation of our code, libxml2 and OpenSSL fails in turn. The verdict is -ENOMEM, or one
 * that accepts only what is accepted with memory; the next verdict is as before. Linked with
 * --wrap.
 */
#include "../../short_memory.h"
#include "base/clock.h"
#include "xml_fixture.h"

#include <libxml/parser.h>
#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* What xmlsec1 1.2.37 loses when memory is short. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:xmlXPathNodeSetCreate\nleak:xmlXPathNodeSetAdd\n";
}

static char *library_strdup(const char *text)
{
    char *copy = __wrap_malloc(strlen(text) + 1);

    return copy ? strcpy(copy, text) : NULL;
}

static void torture(const char *name)
{
    static struct verdict usual, verdict;
    struct verify_trust *trust = vector_trust("pki/sub.crt", "pki/sub.crl", NULL, NULL);
    struct buffer document = vector_read(name);
    struct verify_request request = {.format = CERTFORMAT_XML, .time_s = clock_realtime_s()};
    struct bytes bytes = bytes_of(document.data, document.size);
    unsigned long n = 0, short_of_memory = 0;

    vector_verify(trust, document.data, document.size, &usual);
    do {
        failed = false;
        allocations_left = ++n;
        int r = verify_document(trust, &request, bytes, &verdict);
        allocations_left = 0;
        if (r != 0 && r != -ENOMEM)
            fail_msg("%s, allocation %lu: %d", name, n, r);
        if (r == 0 && verdict.indication == VERDICT_TOTAL_PASSED)
            assert_int_equal(usual.indication, VERDICT_TOTAL_PASSED);
        short_of_memory += r != 0;
    } while (failed);
    printf("  %s: %lu allocations, %lu times -ENOMEM\n", name, n - 1, short_of_memory);
    assert_true(n > 20 && short_of_memory > 0);
    vector_verify(trust, document.data, document.size, &verdict);
    assert_int_equal(verdict.indication, usual.indication);
    buffer_done(&document);
    verify_trust_free(trust);
}

static void test_each_allocation(void **state)
{
    (void)state;
    torture("a11_chain_in_keyinfo.xml");
    torture("a31_java_exc_ds.xml");
    torture("a57_d2_rewrite_trim.xml");
    torture("a07_utf16be.xml");
    torture("r067_extra_unrelated_cert.xml");
    torture("r130_comment_in_name.xml");
    torture("r524_d2_qname_rebound.xml");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation)};

    if (xmlMemSetup(free, __wrap_malloc, __wrap_realloc, library_strdup) != 0 ||
        CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
