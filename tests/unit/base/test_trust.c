/* The trust bundle: what was added comes back; anything bent is refused. */
#include "base/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void bundle_sample(struct buffer *bundle)
{
    buffer_init(bundle, TRUST_BUNDLE_MAX);
    assert_int_equal(trust_bundle_add(bundle, TRUST_ANCHOR, "a.pem", bytes_of("AAAA", 4)), 0);
    assert_int_equal(trust_bundle_add(bundle, TRUST_SIGNER_DN, "", bytes_of("CN=x", 4)), 0);
    assert_int_equal(trust_bundle_add(bundle, TRUST_CRL, "b.crl", bytes_of(NULL, 0)), 0);
}

static void items_come_back(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer bundle;
    bundle_sample(&bundle);
    struct bytes all = bytes_of(bundle.data, bundle.size);
    struct trust_item item;
    size_t offset = 0;
    assert_int_equal(trust_bundle_next(all, &offset, &item), 1);
    assert_int_equal(item.kind, TRUST_ANCHOR);
    assert_string_equal(item.label, "a.pem");
    assert_true(bytes_equal(item.content, bytes_of("AAAA", 4)));
    assert_int_equal(trust_bundle_next(all, &offset, &item), 1);
    assert_int_equal(item.kind, TRUST_SIGNER_DN);
    assert_int_equal(trust_bundle_next(all, &offset, &item), 1);
    assert_int_equal(item.kind, TRUST_CRL);
    assert_int_equal(item.content.size, 0);
    assert_int_equal(trust_bundle_next(all, &offset, &item), 0);
    assert_int_equal(trust_bundle_next(all, &offset, &item), 0);
}

static int walk(struct bytes bundle)
{
    struct trust_item item;
    size_t offset = 0;
    int r;
    while ((r = trust_bundle_next(bundle, &offset, &item)) > 0)
        ;
    return r;
}

static void cut_bundles_are_refused(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer bundle;
    bundle_sample(&bundle);
    static const size_t item_sizes[] = {1 + 2 + 5 + 4 + 4, 1 + 2 + 4 + 4, 1 + 2 + 5 + 4};
    size_t boundary = 0, next = 0;
    for (size_t size = 0; size <= bundle.size; size++) {
        if (size == boundary) {
            assert_int_equal(walk(bytes_of(bundle.data, size)), 0);
            boundary += next < 3 ? item_sizes[next++] : 1;
        } else {
            assert_int_equal(walk(bytes_of(bundle.data, size)), -EBADMSG);
        }
    }
}

static void bent_items_are_refused(void **state)
{
    (void)state;
    static const struct bytes cases[] = {
        {(const uint8_t *)"\0\0\0\0\0\0\0", 7},         /* kind 0 */
        {(const uint8_t *)"\11\0\0\0\0\0\0", 7},        /* kind unknown */
        {(const uint8_t *)"\1\0\1\0\0\0\0\0", 8},       /* NUL in the label */
        {(const uint8_t *)"\1\0\0\xff\xff\xff\xff", 7}, /* content beyond the end */
        {(const uint8_t *)"\1\xff\xff\0\0\0\0", 7},     /* label beyond the end */
        {(const uint8_t *)"\1\0\0\0\0\0\0x", 8},        /* left over */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(walk(cases[i]), -EBADMSG);

    char label[TRUST_LABEL_MAX + 7] = {1, 1, 0};
    memset(label + 3, 'x', TRUST_LABEL_MAX);
    assert_int_equal(walk(bytes_of(label, sizeof label)), -EBADMSG);

    struct trust_item item;
    size_t offset = 9;
    assert_int_equal(trust_bundle_next(cases[0], &offset, &item), -EBADMSG);
}

static void what_does_not_fit_is_not_added(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer bundle;
    char label[TRUST_LABEL_MAX + 1];
    memset(label, 'x', TRUST_LABEL_MAX);
    label[TRUST_LABEL_MAX] = '\0';
    buffer_init(&bundle, 32);
    assert_int_equal(trust_bundle_add(&bundle, TRUST_ANCHOR, label, bytes_of("", 0)), -EINVAL);
    assert_int_equal(trust_bundle_add(&bundle, (enum trust_kind)9, "", bytes_of("", 0)), -EINVAL);
    uint8_t content[64] = {0};
    assert_int_equal(trust_bundle_add(&bundle, TRUST_ANCHOR, "", bytes_of(content, 26)), -EMSGSIZE);
    assert_int_equal(bundle.size, 0);
    assert_int_equal(trust_bundle_add(&bundle, TRUST_ANCHOR, "", bytes_of(content, 25)), 0);
}

static void items_have_a_ceiling(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer bundle;
    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    for (int i = 0; i < TRUST_ITEM_MAX; i++)
        assert_int_equal(trust_bundle_add(&bundle, TRUST_CRL, "", bytes_of("x", 1)), 0);
    assert_int_equal(trust_bundle_add(&bundle, TRUST_CRL, "", bytes_of("x", 1)), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_back),        cmocka_unit_test(cut_bundles_are_refused),
        cmocka_unit_test(bent_items_are_refused), cmocka_unit_test(what_does_not_fit_is_not_added),
        cmocka_unit_test(items_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
