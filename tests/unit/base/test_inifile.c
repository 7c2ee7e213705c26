/* Lines as entries, and every line that inih alone would have swallowed or split. */
#include "base/inifile.h"

#include "scratch_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void note_entry(void *context, int line, const char *section, const char *key,
                       const char *value)
{
    char *out = context;
    size_t size = strlen(out);
    snprintf(out + size, 16384 - size, "%d[%s]%s=%s\n", line, section, key, value);
}

struct outcome {
    int r;
    char entries[16384];
    struct mistakes mistakes;
};

static struct outcome *read_bytes(const void *data, size_t size)
{
    static struct outcome outcome;
    __attribute__((cleanup(scratch_file_close))) struct scratch_file file = {.fd = -1};
    memset(&outcome, 0, sizeof outcome);
    assert_int_equal(scratch_file_open(&file, data, size), 0);
    outcome.r =
        inifile_read(file.path, note_entry, outcome.entries, mistakes_note, &outcome.mistakes);
    return &outcome;
}

static struct outcome *read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void entries_arrive(void **state)
{
    (void)state;
    struct outcome *outcome = read_text("\xef\xbb\xbf; a comment\n"
                                        "# another\n"
                                        "\n"
                                        "early = 1\n"
                                        "[mount]\n"
                                        "key=value ; not a comment # either\r\n"
                                        "list = a\n"
                                        "    b\n"
                                        "\n"
                                        "    # a comment\n"
                                        "\tc = d\n"
                                        "[other]  \n"
                                        "empty =\n"
                                        "equals = a=b==c\n"
                                        "last = no line feed");
    assert_int_equal(outcome->r, 0);
    assert_string_equal(outcome->entries, "4[]early=1\n"
                                          "6[mount]key=value ; not a comment # either\n"
                                          "7[mount]list=a\n"
                                          "8[mount]list=b\n"
                                          "11[mount]list=c = d\n"
                                          "13[other]empty=\n"
                                          "14[other]equals=a=b==c\n"
                                          "15[other]last=no line feed\n");
    assert_int_equal(outcome->mistakes.count, 0);
    assert_int_equal(read_text("")->r, 0);
}

static void every_mistake_is_reported(void **state)
{
    (void)state;
    struct outcome *outcome = read_text("[open\n"
                                        "word\n"
                                        "key: value\n"
                                        "a:b = c\n"
                                        "= value\n"
                                        "[x] y\n"
                                        "good = 1\n"
                                        " [indented]\n"
                                        "]\n");
    assert_int_equal(outcome->r, -EINVAL);
    assert_string_equal(outcome->entries, "7[]good=1\n");
    assert_string_equal(outcome->mistakes.text,
                        "1: heading without ]\n"
                        "2: neither [section] nor key = value nor comment\n"
                        "3: neither [section] nor key = value nor comment\n"
                        "4: key with a colon in it\n"
                        "5: value without a key\n"
                        "6: text behind the heading\n"
                        "8: heading is indented\n"
                        "9: neither [section] nor key = value nor comment\n");
}

static void control_characters_are_refused(void **state)
{
    (void)state;
    for (int c = 0; c < 0x20; c++) {
        if (c == '\t' || c == '\n')
            continue;
        char text[] = "a = b?c\n";
        text[5] = (char)c;
        struct outcome *outcome = read_bytes(text, sizeof text - 1);
        assert_int_equal(outcome->r, -EINVAL);
        assert_string_equal(outcome->entries, "");
    }
    assert_int_equal(read_bytes("a = \x7f", 5)->r, -EINVAL);
    assert_int_equal(read_bytes("#\0\n", 3)->r, -EINVAL);
}

static void long_lines_are_refused_not_split(void **state)
{
    (void)state;
    static char text[INIFILE_LINE_MAX + 64];
    memset(text, 'x', sizeof text);
    memcpy(text, "k = ", 4);
    memcpy(text + INIFILE_LINE_MAX, "\nn = 1\n", 7);
    struct outcome *outcome = read_bytes(text, INIFILE_LINE_MAX + 7);
    assert_int_equal(outcome->r, 0);
    assert_non_null(strstr(outcome->entries, "x\n2[]n=1\n"));
    assert_int_equal(strlen(outcome->entries), INIFILE_LINE_MAX + 9);

    memset(text + 4, 'x', sizeof text - 4);
    memcpy(text + INIFILE_LINE_MAX + 1, "\nn = 1\n", 7);
    outcome = read_bytes(text, INIFILE_LINE_MAX + 8);
    assert_int_equal(outcome->r, -EINVAL);
    assert_string_equal(outcome->entries, "2[]n=1\n");
    assert_string_equal(outcome->mistakes.text, "1: line is too long\n");
}

static void long_names_are_refused_not_cut(void **state)
{
    (void)state;
    char text[128];
    char name[INIFILE_NAME_MAX + 2];
    memset(name, 'n', INIFILE_NAME_MAX);
    name[INIFILE_NAME_MAX] = '\0';
    snprintf(text, sizeof text, "[%s]\n%s=1\n", name, name);
    struct outcome *outcome = read_text(text);
    assert_int_equal(outcome->r, 0);
    assert_non_null(strstr(outcome->entries, name));

    name[INIFILE_NAME_MAX] = 'n';
    name[INIFILE_NAME_MAX + 1] = '\0';
    snprintf(text, sizeof text, "[%s]\n%s=1\n", name, name);
    outcome = read_text(text);
    assert_int_equal(outcome->mistakes.count, 2);
    assert_string_equal(outcome->entries, "");
}

static void large_files_are_refused(void **state)
{
    (void)state;
    _cleanup_free_ char *text = malloc(INIFILE_SIZE_MAX + 1);
    assert_non_null(text);
    memset(text, '\n', INIFILE_SIZE_MAX + 1);
    assert_int_equal(read_bytes(text, INIFILE_SIZE_MAX)->r, 0);
    struct outcome *outcome = read_bytes(text, INIFILE_SIZE_MAX + 1);
    assert_int_equal(outcome->r, -EFBIG);
    assert_int_equal(outcome->mistakes.count, 1);
}

static void unreadable_files_are_reported(void **state)
{
    (void)state;
    struct mistakes mistakes = {0};
    char entries[16384] = "";
    assert_int_equal(
        inifile_read("/nonexistent/kosekifs.conf", note_entry, entries, mistakes_note, &mistakes),
        -ENOENT);
    assert_string_equal(mistakes.text, "0: cannot be read: No such file or directory\n");
    assert_int_equal(inifile_read("/", note_entry, entries, mistakes_note, &mistakes), -EISDIR);
    assert_int_equal(mistakes.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_arrive),
        cmocka_unit_test(every_mistake_is_reported),
        cmocka_unit_test(control_characters_are_refused),
        cmocka_unit_test(long_lines_are_refused_not_split),
        cmocka_unit_test(long_names_are_refused_not_cut),
        cmocka_unit_test(large_files_are_refused),
        cmocka_unit_test(unreadable_files_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
