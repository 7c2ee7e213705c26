/* The trust bundle out of files: its items and their order, and files that are refused. */
#include "fs/trust_files.h"

#include "base/trust.h"
#include "scratch_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void add_path(struct scratch *scratch, char *list, const char *name)
{
    strcat(list, *list ? " " : "");
    strcat(list, scratch_path(scratch, name));
}

static struct config_trust *sample(struct scratch *scratch)
{
    static struct config_trust config;
    memset(&config, 0, sizeof config);
    mkdir(scratch_path(scratch, "crls"), 0755);
    scratch_write(scratch, "a.pem", "anchor a", 8, 0644);
    scratch_write(scratch, "z.pem", "anchor z", 8, 0644);
    scratch_write(scratch, "single", "single crl", 10, 0664);
    scratch_write(scratch, "crls/b.crl", "crl b", 5, 0644);
    scratch_write(scratch, "crls/B.der", "crl B", 5, 0644);
    scratch_write(scratch, "crls/a.pem", "crl a", 5, 0644);
    scratch_write(scratch, "crls/.hidden.crl", "no", 2, 0644);
    scratch_write(scratch, "crls/readme.txt", "no", 2, 0644);
    scratch_write(scratch, "crls/c.crl.new", "no", 2, 0644);
    add_path(scratch, config.anchors, "z.pem");
    add_path(scratch, config.anchors, "a.pem");
    add_path(scratch, config.crls, "crls");
    add_path(scratch, config.crls, "single");
    strcpy(config.signer_dn, "CN=x");
    strcpy(config.policy, "a=warn b=ignore");
    return &config;
}

static void items_stand_in_order(void **state)
{
    struct scratch *scratch = *state;
    static const struct {
        enum trust_kind kind;
        const char *label, *content;
    } expected[] = {
        {TRUST_ANCHOR, "z.pem", "anchor z"},    {TRUST_ANCHOR, "a.pem", "anchor a"},
        {TRUST_SIGNER_DN, "signer_dn", "CN=x"}, {TRUST_POLICY, "policy", "a=warn"},
        {TRUST_POLICY, "policy", "b=ignore"},
    };
    _cleanup_buffer_ struct buffer bundle = {0};
    assert_int_equal(trust_files_read(sample(scratch), scratch_note, scratch, &bundle), 0);
    assert_string_equal(scratch->mistakes, "");
    struct trust_item item;
    size_t offset = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(trust_bundle_next(bytes_of(bundle.data, bundle.size), &offset, &item), 1);
        assert_int_equal(item.kind, expected[i].kind);
        assert_non_null(strstr(item.label, expected[i].label));
        assert_true(
            bytes_equal(item.content, bytes_of(expected[i].content, strlen(expected[i].content))));
    }
    assert_int_equal(offset, bundle.size);
}

static void refuse(struct scratch *scratch, const struct config_trust *config, const char *words)
{
    struct buffer bundle = {0};
    scratch->mistakes[0] = '\0';
    assert_int_equal(trust_files_read(config, scratch_note, scratch, &bundle), -EINVAL);
    assert_null(bundle.data);
    if (trust_files_read_lists(config, scratch_note, scratch, &bundle) == 0)
        buffer_done(&bundle);
    if (!strstr(scratch->mistakes, words))
        fail_msg("\"%s\" lacks \"%s\"", scratch->mistakes, words);
}

static void bad_files_are_told_all_at_once(void **state)
{
    struct scratch *scratch = *state;
    struct config_trust *config = sample(scratch);
    scratch_write(scratch, "a.pem", "anchor", 6, 0666);
    scratch_write(scratch, "crls/b.crl", "", 0, 0644);
    unlink(scratch_path(scratch, "single"));
    refuse(scratch, config, "a.pem:0: has mode 0666");
    assert_non_null(strstr(scratch->mistakes, "b.crl:0: is empty"));
    assert_non_null(strstr(scratch->mistakes, "single:0: cannot be opened"));
}

static void a_directory_stands_for_its_anchors(void **state)
{
    struct scratch *scratch = *state;
    struct config_trust *config = sample(scratch);
    static const char *const expected[] = {"anchor 1", "anchor 2", "anchor 3"};
    _cleanup_buffer_ struct buffer bundle = {0};
    mkdir(scratch_path(scratch, "anchors"), 0755);
    scratch_write(scratch, "anchors/c.der", "anchor 3", 8, 0644);
    scratch_write(scratch, "anchors/B.cer", "anchor 1", 8, 0644);
    scratch_write(scratch, "anchors/a.pem", "anchor 2", 8, 0644);
    scratch_write(scratch, "anchors/.new.pem", "no", 2, 0644);
    scratch_write(scratch, "anchors/README", "no", 2, 0644);
    strcpy(config->anchors, scratch_path(scratch, "anchors"));
    assert_int_equal(trust_files_read(config, scratch_note, scratch, &bundle), 0);
    struct trust_item item;
    size_t offset = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(trust_bundle_next(bytes_of(bundle.data, bundle.size), &offset, &item), 1);
        assert_int_equal(item.kind, TRUST_ANCHOR);
        assert_memory_equal(item.content.data, expected[i], 8);
    }
}

static void a_directory_of_anchors_is_guarded(void **state)
{
    struct scratch *scratch = *state;
    struct config_trust *config = sample(scratch);
    mkdir(scratch_path(scratch, "anchors"), 0755);
    scratch_write(scratch, "anchors/a.pem", "anchor", 6, 0666);
    strcpy(config->anchors, scratch_path(scratch, "anchors"));
    refuse(scratch, config, "must not be able to write");
    scratch_write(scratch, "anchors/a.pem", "anchor", 6, 0644);
    chmod(scratch_path(scratch, "anchors"), 0775);
    refuse(scratch, config, "must not be able to write");
    strcpy(config->anchors, scratch_path(scratch, "nowhere"));
    refuse(scratch, config, "cannot be opened");
}

static void lists_stand_in_order(void **state)
{
    struct scratch *scratch = *state;
    static const char *const expected[] = {"crl B", "crl a", "crl b", "single crl"};
    _cleanup_buffer_ struct buffer bundle = {0};
    assert_int_equal(trust_files_read_lists(sample(scratch), scratch_note, scratch, &bundle), 0);
    struct trust_item item;
    size_t offset = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(trust_bundle_next(bytes_of(bundle.data, bundle.size), &offset, &item), 1);
        assert_int_equal(item.kind, TRUST_CRL);
        assert_true(bytes_equal(item.content, bytes_of(expected[i], strlen(expected[i]))));
    }
    assert_int_equal(offset, bundle.size);
}

static void a_pipe_among_crls_does_not_block(void **state)
{
    struct scratch *scratch = *state;
    struct config_trust *config = sample(scratch);
    struct buffer bundle = {0};
    assert_int_equal(mkfifo(scratch_path(scratch, "crls/p.crl"), 0644), 0);
    assert_int_equal(trust_files_read_lists(config, scratch_note, scratch, &bundle), -EINVAL);
    assert_non_null(strstr(scratch->mistakes, "p.crl:0: is not a regular file"));
}

static void long_paths_are_labelled_by_their_end(void **state)
{
    struct scratch *scratch = *state;
    struct config_trust *config = sample(scratch);
    char name[256];
    memset(name, 'n', 239);
    name[239] = '\0';
    mkdir(scratch_path(scratch, name), 0755);
    strcat(name, "/x.crl");
    scratch_write(scratch, name, "x", 1, 0644);
    strcpy(config->crls, scratch_path(scratch, name));
    _cleanup_buffer_ struct buffer bundle = {0};
    assert_int_equal(trust_files_read_lists(config, scratch_note, scratch, &bundle), 0);
}

#define TRUST_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_open, scratch_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRUST_TEST(items_stand_in_order),
        TRUST_TEST(lists_stand_in_order),
        TRUST_TEST(bad_files_are_told_all_at_once),
        TRUST_TEST(a_directory_stands_for_its_anchors),
        TRUST_TEST(a_directory_of_anchors_is_guarded),
        TRUST_TEST(a_pipe_among_crls_does_not_block),
        TRUST_TEST(long_paths_are_labelled_by_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
