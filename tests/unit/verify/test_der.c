/*
 * What BER allows and DER does not is refused.
 */
#include "verify/der.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define BYTES(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static bool reads(struct bytes bytes)
{
    struct der der = der_of(bytes);
    struct der_element element;

    return der_next(&der, &element);
}

static void test_lengths(void **state)
{
    uint8_t large[300] = {0x04, 0x82, 0x01, 0x28};

    (void)state;
    assert_true(reads(BYTES(0x04, 0x00)));
    assert_true(reads(BYTES(0x04, 0x01, 0xff)));
    assert_true(reads(bytes_of(large, sizeof large)));
    assert_false(reads(BYTES(0)));
    assert_false(reads(BYTES(0x04)));
    assert_false(reads(BYTES(0x04, 0x02, 0xff)));             /* more than there is */
    assert_false(reads(BYTES(0x30, 0x80, 0x00, 0x00)));       /* indefinite */
    assert_false(reads(BYTES(0x04, 0x81, 0x01, 0xff)));       /* long form for a short length */
    assert_false(reads(BYTES(0x04, 0x82, 0x00, 0x01, 0xff))); /* leading zero */
    assert_false(reads(BYTES(0x04, 0x85, 1, 0, 0, 0, 0, 0))); /* beyond four octets */
    assert_false(reads(BYTES(0x04, 0x84, 0xff, 0xff, 0xff, 0xff)));
    assert_false(reads(BYTES(0x04, 0xff, 0x00)));
    assert_false(reads(BYTES(0x1f, 0x81, 0x00, 0x00))); /* a tag of several bytes */
}

static void test_well_formed(void **state)
{
    uint8_t deep[200];

    (void)state;
    assert_true(der_well_formed(BYTES(0x30, 0x03, 0x02, 0x01, 0x05)));
    assert_true(der_well_formed(BYTES(0x01, 0x01, 0xff)));
    assert_false(der_well_formed(BYTES(0x01, 0x01, 0x01)));       /* BOOLEAN true is ff */
    assert_false(der_well_formed(BYTES(0x02, 0x02, 0x00, 0x05))); /* INTEGER too long */
    assert_false(der_well_formed(BYTES(0x02, 0x02, 0xff, 0x85))); /* negative, too long */
    assert_true(der_well_formed(BYTES(0x02, 0x02, 0x00, 0x85)));
    assert_false(der_well_formed(BYTES(0x02, 0x00)));
    assert_false(der_well_formed(BYTES(0x05, 0x01, 0x00)));             /* NULL with content */
    assert_false(der_well_formed(BYTES(0x06, 0x01, 0x80)));             /* OID cut short */
    assert_false(der_well_formed(BYTES(0x03, 0x01, 0x08)));             /* unused bits */
    assert_false(der_well_formed(BYTES(0x24, 0x03, 0x04, 0x01, 0x00))); /* constructed string */
    assert_false(der_well_formed(BYTES(0x10, 0x00)));                   /* primitive SEQUENCE */
    assert_false(der_well_formed(BYTES(0x30, 0x03, 0x02, 0x02, 0x05))); /* inner beyond outer */
    assert_false(der_well_formed(BYTES(0x30, 0x00, 0x04)));             /* a rest */
    for (size_t i = 0; i < sizeof deep; i += 2) {
        deep[i] = 0x30;
        deep[i + 1] = (uint8_t)(sizeof deep - i - 2 < 128 ? sizeof deep - i - 2 : 127);
    }
    assert_false(der_well_formed(bytes_of(deep + sizeof deep - 100, 100))); /* 50 levels */
}

static void test_walk(void **state)
{
    struct der der = der_of(BYTES(0x02, 0x01, 0x07, 0x30, 0x02, 0x05, 0x00));
    struct der_element element;
    unsigned value = 0;

    (void)state;
    assert_false(der_expect(&der, DER_SEQUENCE, &element));
    assert_true(der_small_integer(&der, &value));
    assert_int_equal(value, 7);
    assert_false(der_small_integer(&der, &value));
    assert_true(der_expect(&der, DER_SEQUENCE, &element));
    assert_int_equal(element.content.size, 2);
    assert_int_equal(element.whole.size, 4);
    assert_true(der_at_end(&der));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
