/*
 * RFC 4514 text, and names that are equal although encoded differently.
 */
#include "verify/dn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static X509_NAME *parsed(const char *text)
{
    X509_NAME *name = NULL;

    if (dn_parse(bytes_of(text, strlen(text)), &name) < 0)
        return NULL;
    return name;
}

static void test_forms(void **state)
{
    static const char *const good[] = {
        "CN=Minister of Justice,OU=Ministry of Justice,O=Japanese Government,C=JP",
        "CN = Minister of Justice , O = Japanese Government , C = JP",
        "2.5.4.3=Minister",
        "CN=a\\,b\\+c\\\\d,C=JP",
        "CN=\\E6\\B3\\95\\E5\\8B\\99,C=JP",
        "CN=法務大臣,C=JP",
        "CN=a+OU=b,C=JP",
        "CN=a\\ ,C=JP",
    };
    static const char *const bad[] = {
        "",           "Minister", "CN=",     "=a",       "CN=a,",     ",CN=a",
        "CN=a,,C=JP", "CN=a\\",   "CN=a\\4", "CN=a\\zz", "XX=a",      "CN=\"a\"",
        "CN=a;C=JP",  "CN=#0401", "CN=<a>",  "CN=a+",    "9.9.9.9=a",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        X509_NAME *name = parsed(good[i]);
        if (!name)
            print_message("%s\n", good[i]);
        assert_non_null(name);
        X509_NAME_free(name);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        X509_NAME *name = parsed(bad[i]);
        if (name)
            print_message("%s\n", bad[i]);
        assert_null(name);
    }
}

static bool equal(const char *a, const char *b)
{
    X509_NAME *left = parsed(a), *right = parsed(b);

    assert_non_null(left);
    assert_non_null(right);
    bool same = X509_NAME_cmp(left, right) == 0;
    X509_NAME_free(left);
    X509_NAME_free(right);
    return same;
}

static void test_comparison(void **state)
{
    X509_NAME *utf8 = parsed("CN=Minister of Justice,C=JP"), *printable = X509_NAME_new();

    (void)state;
    assert_true(equal("CN=a,C=JP", "CN=a , C=JP"));
    assert_true(equal("CN=\\41,C=JP", "CN=A,C=JP"));
    assert_true(equal("CN=a+OU=b,C=JP", "OU=b+CN=a,C=JP"));
    assert_false(equal("CN=a,C=JP", "C=JP,CN=a"));
    assert_false(equal("CN=a+OU=b,C=JP", "CN=a,OU=b,C=JP"));
    assert_false(equal("CN=a,C=JP", "CN=a,C=JP,C=JP"));
    assert_false(equal("CN=Minister of Justice,C=JP", "CN=Minister of Health,C=JP"));
    assert_non_null(printable);
    assert_int_equal(X509_NAME_add_entry_by_txt(printable, "C", V_ASN1_PRINTABLESTRING,
                                                (const uint8_t *)"JP", -1, -1, 0),
                     1);
    assert_int_equal(X509_NAME_add_entry_by_txt(printable, "CN", V_ASN1_PRINTABLESTRING,
                                                (const uint8_t *)"Minister of Justice", -1, -1, 0),
                     1);
    assert_int_equal(X509_NAME_cmp(utf8, printable), 0);
    X509_NAME_free(utf8);
    X509_NAME_free(printable);
}

static void test_format(void **state)
{
    X509_NAME *name = parsed("CN=法務\\, 大臣,OU=b,C=JP");
    char text[100], small[8];

    (void)state;
    assert_non_null(name);
    assert_int_equal(dn_format(name, text, sizeof text), 0);
    assert_string_equal(text, "CN=法務\\, 大臣,OU=b,C=JP");
    assert_int_equal(dn_format(name, small, sizeof small), 0);
    assert_string_equal(small, "CN=法"); /* cut between characters */
    X509_NAME_free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
