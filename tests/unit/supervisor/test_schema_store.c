/* The directory of schemas: names, manifests, changes one after the other, interrupted ones, and
 * what the trust bundle takes of it. */
#include "fs/schema_change.h"

#include "base/trust.h"
#include "fs/trust_files.h"
#include "scratch_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char main_xsd[] = "<main/>", types_xsd[] = "<types/>";
static char text[SCHEMA_TEXT_SIZE];

static struct schema_id id_of(const char *name, const char *version)
{
    struct schema_id id;
    assert_true(schema_id_parse(name, version, &id));
    return id;
}

static int begin(struct scratch *scratch)
{
    int store = -1;
    assert_int_equal(schema_change_begin(scratch_path(scratch, "schema"), text, &store), 0);
    return store;
}

static struct schema_change change_of(const char *action, const struct schema_id *id)
{
    static const struct schema_id none = {0};
    return (struct schema_change){.action = action,
                                  .id = id ? *id : none,
                                  .digest = "",
                                  .reason = "a \"reason\"",
                                  .by = 5,
                                  .at_s = 1000000};
}

static void describe(struct schema_file *file, const char *name, const char *content)
{
    uint8_t digest[SHA256_SIZE];
    assert_int_equal(sha256(content, strlen(content), digest), 0);
    hex_encode(digest, sizeof digest, file->sha256);
    strcpy(file->name, name);
    file->size = strlen(content);
}

static int add(int store, const char *name, const char *version)
{
    const struct bytes contents[] = {bytes_of(main_xsd, strlen(main_xsd)),
                                     bytes_of(types_xsd, strlen(types_xsd))};
    struct schema_manifest manifest = {.id = id_of(name, version),
                                       .file_count = 2,
                                       .processor = "XSD 1.1",
                                       .added_by = 5,
                                       .added_at_s = 1000000,
                                       .reason = "a \"reason\""};
    const struct schema_change change = change_of("add", &manifest.id);
    describe(&manifest.files[0], "main.xsd", main_xsd);
    describe(&manifest.files[1], "a-types.xsd", types_xsd);
    assert_int_equal(schema_manifest_digest(&manifest), 0);
    return schema_change_add(store, &change, &manifest, contents, text);
}

static int use(int store, const struct schema_id *id)
{
    const struct schema_change change = change_of("use", id);
    return schema_change_use(store, &change, text);
}

static int destroy(int store, const struct schema_id *id)
{
    const struct schema_change change = change_of("destroy", id);
    return schema_change_destroy(store, &change, text);
}

static bool exists(struct scratch *scratch, const char *name)
{
    struct stat status;
    return lstat(scratch_path(scratch, name), &status) == 0;
}

static void names_of_the_form(void **state)
{
    static const char *const good[][2] = {{"koseki", "1"},
                                          {"a", "2.0-rc_1"},
                                          {"k-2", "R5"},
                                          {"abcdefghijklmnopqrs", "1234567890123456789"}};
    static const char *const bad[][2] = {{"", "1"},
                                         {"koseki", ""},
                                         {".", "1"},
                                         {"..", "1"},
                                         {"a", "."},
                                         {"a", ".."},
                                         {"a", ".1"},
                                         {"a/b", "1"},
                                         {"a", "1/2"},
                                         {"A", "1"},
                                         {"1a", "1"},
                                         {"-a", "1"},
                                         {"a b", "1"},
                                         {"a", "1 2"},
                                         {"a\n", "1"},
                                         {"none", "1"},
                                         {"戸籍", "1"},
                                         {"abcdefghijklmnopqrst", "1"},
                                         {"a", "12345678901234567890"}};
    static const char *const bad_files[] = {"",       ".xsd",     "..xsd",    "a.XSD",   "a",
                                            "a.xsd.", "a/b.xsd",  "../a.xsd", "a b.xsd", "manifest",
                                            "-a.xsd", "戸籍.xsd", "a.xsd\n"};
    char longest[SCHEMA_REASON_SIZE + 1];
    struct schema_id id;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(schema_id_parse(good[i][0], good[i][1], &id));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(schema_id_parse(bad[i][0], bad[i][1], &id));
    assert_true(schema_file_name_valid("koseki-2_0.v1.xsd"));
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++)
        assert_false(schema_file_name_valid(bad_files[i]));
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(schema_reason_valid(longest));
    assert_false(schema_reason_valid(""));
    assert_false(schema_reason_valid("two\nlines"));
    assert_true(schema_reason_valid(longest + 1));
    assert_true(schema_reason_valid("法務省から"));
}

static void a_life(void **state)
{
    struct scratch *scratch = *state;
    const struct schema_id two = id_of("koseki", "2"), other = id_of("other", "1");
    struct schema_manifest manifest;
    struct schema_id current, list[4];
    size_t count;
    _cleanup_close_ int store = begin(scratch);
    assert_int_equal(schema_store_current(store, text, &current), SCHEMA_NONE_IN_USE);
    assert_int_equal(add(store, "koseki", "2"), 0);
    assert_int_equal(add(store, "koseki", "10"), 0);
    assert_int_equal(add(store, "other", "1"), 0);
    assert_int_equal(schema_store_list(store, text, list, 4, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(schema_store_list(store, text, list, 2, &count), -E2BIG);
    assert_int_equal(schema_store_manifest(store, &two, text, &manifest), 0);
    assert_int_equal(manifest.file_count, 2);
    assert_string_equal(manifest.files[0].name, "main.xsd");
    assert_string_equal(manifest.reason, "a \"reason\"");
    assert_int_equal(use(store, &two), 0);
    assert_int_equal(schema_store_current(store, text, &current), 0);
    assert_memory_equal(&current, &two, sizeof two);
    assert_int_equal(destroy(store, &two), -EBUSY);
    assert_int_equal(use(store, &other), 0);
    assert_int_equal(destroy(store, &two), 0);
    assert_false(exists(scratch, "schema/koseki/2"));
    assert_int_equal(use(store, NULL), 0);
    assert_int_equal(schema_store_current(store, text, &current), SCHEMA_NONE_IN_USE);
    assert_int_equal(destroy(store, &other), 0);
    assert_false(exists(scratch, "schema/other"));
    assert_true(exists(scratch, "schema/history"));
}

static void what_cannot_be_done(void **state)
{
    struct scratch *scratch = *state;
    const struct schema_id two = id_of("koseki", "2");
    int second = -1;
    _cleanup_close_ int store = begin(scratch);
    assert_int_equal(use(store, &two), -ENOENT);
    assert_int_equal(destroy(store, &two), -ENOENT);
    assert_int_equal(add(store, "koseki", "2"), 0);
    assert_int_equal(add(store, "koseki", "2"), -EEXIST);
    assert_int_equal(schema_change_begin(scratch_path(scratch, "schema"), text, &second), -EBUSY);
    assert_int_equal(second, -1);
}

/* What a power cut leaves is cleared away by the next change, and no reader has seen it. */
static void interrupted_changes(void **state)
{
    struct scratch *scratch = *state;
    struct schema_id current;
    mkdir(scratch_path(scratch, "schema"), 0755);
    mkdir(scratch_path(scratch, "schema/.new"), 0755);
    scratch_write(scratch, "schema/.new/half.xsd", "<ha", 3, 0444);
    mkdir(scratch_path(scratch, "schema/.gone"), 0755);
    scratch_write(scratch, "schema/.gone/main.xsd", "x", 1, 0444);
    scratch_write(scratch, "schema/.current", "kos", 3, 0444);
    _cleanup_close_ int store = begin(scratch);
    assert_false(exists(scratch, "schema/.new"));
    assert_false(exists(scratch, "schema/.gone"));
    assert_false(exists(scratch, "schema/.current"));
    assert_int_equal(schema_store_current(store, text, &current), SCHEMA_NONE_IN_USE);
    assert_int_equal(add(store, "koseki", "2"), 0);
}

static int read_bundle(struct scratch *scratch, struct buffer *bundle)
{
    static struct config_trust config;
    memset(&config, 0, sizeof config);
    strcpy(config.signer_dn, "CN=x");
    strcpy(config.schema_directory, scratch_path(scratch, "schema"));
    scratch->mistakes[0] = '\0';
    return trust_files_read(&config, scratch_note, scratch, bundle);
}

static size_t schemas_in(const struct buffer *bundle, struct trust_item items[4])
{
    struct trust_item item;
    size_t offset = 0, count = 0;
    while (trust_bundle_next(bytes_of(bundle->data, bundle->size), &offset, &item) == 1) {
        if (item.kind == TRUST_SCHEMA && count < 4)
            items[count++] = item;
    }
    return count;
}

static void bundle_takes_the_one_in_use(void **state)
{
    struct scratch *scratch = *state;
    const struct schema_id two = id_of("koseki", "2");
    struct trust_item items[4];
    _cleanup_buffer_ struct buffer absent = {0}, none = {0}, used = {0};
    assert_int_equal(read_bundle(scratch, &absent), 0);
    assert_int_equal(schemas_in(&absent, items), 0);
    _cleanup_close_ int store = begin(scratch);
    assert_int_equal(add(store, "koseki", "2"), 0);
    assert_int_equal(read_bundle(scratch, &none), 0);
    assert_int_equal(schemas_in(&none, items), 0);
    assert_int_equal(use(store, &two), 0);
    assert_int_equal(read_bundle(scratch, &used), 0);
    assert_int_equal(schemas_in(&used, items), 2);
    assert_string_equal(items[0].label, "koseki 2/main.xsd");
    assert_true(bytes_equal(items[0].content, bytes_of(main_xsd, strlen(main_xsd))));
    assert_string_equal(items[1].label, "koseki 2/a-types.xsd");
}

static void replace(struct scratch *scratch, const char *name, const char *content, mode_t mode)
{
    scratch_write(scratch, name, content, strlen(content), mode);
}

static void tampered(struct scratch *scratch, const char *words)
{
    struct buffer bundle = {0};
    assert_int_equal(read_bundle(scratch, &bundle), -EINVAL);
    assert_null(bundle.data);
    if (!strstr(scratch->mistakes, words))
        fail_msg("\"%s\" lacks \"%s\"", scratch->mistakes, words);
}

static void what_was_changed_is_refused(void **state)
{
    struct scratch *scratch = *state;
    const struct schema_id two = id_of("koseki", "2");
    _cleanup_close_ int store = begin(scratch);
    assert_int_equal(add(store, "koseki", "2"), 0);
    assert_int_equal(use(store, &two), 0);
    replace(scratch, "schema/koseki/2/main.xsd", "<mein/>", 0444);
    tampered(scratch, "is not the file that was added");
    replace(scratch, "schema/koseki/2/main.xsd", "<main/><", 0444);
    tampered(scratch, "is not the file that was added");
    replace(scratch, "schema/koseki/2/main.xsd", main_xsd, 0646);
    tampered(scratch, "must not be able to write");
    unlink(scratch_path(scratch, "schema/koseki/2/main.xsd"));
    tampered(scratch, "main.xsd: No such file");
    assert_int_equal(symlink("a-types.xsd", scratch_path(scratch, "schema/koseki/2/main.xsd")), 0);
    tampered(scratch, "main.xsd: Too many levels");
    unlink(scratch_path(scratch, "schema/koseki/2/main.xsd"));
    assert_int_equal(mkfifo(scratch_path(scratch, "schema/koseki/2/main.xsd"), 0444), 0);
    tampered(scratch, "not a regular file");
    replace(scratch, "schema/koseki/2/main.xsd", main_xsd, 0444);
    chmod(scratch_path(scratch, "schema"), 0777);
    tampered(scratch, "must not be able to write");
    chmod(scratch_path(scratch, "schema"), 0755);
    _cleanup_buffer_ struct buffer bundle = {0};
    assert_int_equal(read_bundle(scratch, &bundle), 0);
}

static void current_that_is_not_understood(void **state)
{
    struct scratch *scratch = *state;
    static const char *const bad[] = {
        "koseki",        "koseki 2", "koseki  2\n", "koseki 2 \n",  "koseki 2 3\n", "../koseki 2\n",
        "koseki ../2\n", "\n",       "KOSEKI 2\n",  "koseki 2\n\n", "none 1\n"};
    _cleanup_close_ int store = begin(scratch);
    assert_int_equal(add(store, "koseki", "2"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        replace(scratch, "schema/current", bad[i], 0444);
        tampered(scratch, "current is not understood");
    }
    replace(scratch, "schema/current", "koseki 3\n", 0444);
    tampered(scratch, "there is no schema koseki 3");
    replace(scratch, "schema/current", "none\n", 0444);
    _cleanup_buffer_ struct buffer bundle = {0};
    assert_int_equal(read_bundle(scratch, &bundle), 0);
}

#define HEX "0000000000000000000000000000000000000000000000000000000000000000"
#define FILES(name, size, digest)                                                                  \
    "\"files\":[{\"file\":\"" name "\",\"size\":" size ",\"sha256\":\"" digest "\"}]"
#define REST "\"processor\":\"p\",\"added_by\":0,\"added_at\":0,\"reason\":\"r\",\"offline\":false"

static void manifests_that_are_not_understood(void **state)
{
    struct scratch *scratch = *state;
    const struct schema_id two = id_of("koseki", "2");
    static const char *const bad[] = {
        "",
        "{}",
        "[1]",
        "{\"name\":\"koseki\",\"version\":\"2\",\"digest\":\"" HEX "\"," REST "}",
        "{\"name\":\"koseki\",\"version\":\"2\",\"digest\":\"" HEX "\",\"files\":[]," REST "}",
        "{\"name\":\"koseki\",\"version\":\"3\",\"digest\":\"" HEX
        "\"," FILES("a.xsd", "1", HEX) "," REST "}",
        "{\"name\":\"koseki\",\"version\":\"2\",\"digest\":\"" HEX
        "\"," FILES("../a.xsd", "1", HEX) "," REST "}",
        "{\"name\":\"koseki\",\"version\":\"2\",\"digest\":\"" HEX
        "\"," FILES("a.xsd", "-1", HEX) "," REST "}",
        "{\"name\":\"koseki\",\"version\":\"2\",\"digest\":\"" HEX
        "\"," FILES("a.xsd", "16777217", HEX) "," REST "}",
        "{\"name\":\"koseki\",\"version\":\"2\",\"digest\":\"" HEX
        "\"," FILES("a.xsd", "1", "00") "," REST "}",
        /* A digest that is not that of the files. */
        "{\"name\":\"koseki\",\"version\":\"2\",\"digest\":\"" HEX
        "\"," FILES("a.xsd", "1", HEX) "," REST "}",
    };
    struct schema_manifest manifest;
    _cleanup_close_ int store = begin(scratch);
    assert_int_equal(add(store, "koseki", "2"), 0);
    assert_int_equal(use(store, &two), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        replace(scratch, "schema/koseki/2/manifest", bad[i], 0444);
        assert_true(schema_store_manifest(store, &two, text, &manifest) < 0);
        tampered(scratch, "is not understood");
    }
}

#define SCHEMA_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_open, scratch_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_the_form),
        SCHEMA_TEST(a_life),
        SCHEMA_TEST(what_cannot_be_done),
        SCHEMA_TEST(interrupted_changes),
        SCHEMA_TEST(bundle_takes_the_one_in_use),
        SCHEMA_TEST(what_was_changed_is_refused),
        SCHEMA_TEST(current_that_is_not_understood),
        SCHEMA_TEST(manifests_that_are_not_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
