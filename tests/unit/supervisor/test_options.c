/* The command line, as people, mount(8), fstab and systemd write it. */
#include "fs/supervisor_exit.h"
#include "fs/supervisor_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { WORDS_MAX = 12 };

static int parse(const char *line, struct supervisor_options *options)
{
    static char copy[1024];
    char *words[WORDS_MAX + 1] = {NULL};
    int count = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        assert_true(count < WORDS_MAX);
        words[count++] = word;
    }
    return supervisor_options_parse(count, words, options);
}

static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *line, *config, *source, *mount_point;
        bool foreground;
    } cases[] = {
        {"kosekifs /m", "/etc/kosekifs/kosekifs.conf", "/etc/kosekifs/kosekifs.conf", "/m", false},
        {"kosekifs -f /m -o config=/c", "/c", "/c", "/m", true},
        {"kosekifs /m -o config=/c -f", "/c", "/c", "/m", true},
        {"kosekifs --foreground -o config=/c /m", "/c", "/c", "/m", true},
        {"kosekifs /c /m -o rw,dev,suid", "/c", "/c", "/m", false},
        {"kosekifs srv /m -o config=/c", "/c", "srv", "/m", false},
        {"kosekifs /m -o ro,nosuid,nodev,noexec,noatime,allow_other -o config=/c,fsname=x", "/c",
         "x", "/m", false},
        {"kosekifs /c /m -o ro,_netdev,nofail,noauto,x-systemd.requires=a,user=1,exec", "/c", "/c",
         "/m", false},
        {"kosekifs /m -o ,,config=/c,", "/c", "/c", "/m", false},
        {"kosekifs -- /m", "/etc/kosekifs/kosekifs.conf", "/etc/kosekifs/kosekifs.conf", "/m",
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct supervisor_options options;
        assert_int_equal(parse(cases[i].line, &options), 0);
        assert_string_equal(options.config, cases[i].config);
        assert_string_equal(options.source, cases[i].source);
        assert_string_equal(options.mount_point, cases[i].mount_point);
        assert_int_equal(options.foreground, cases[i].foreground);
    }
}

static void without_mount_point(void **state)
{
    (void)state;
    struct supervisor_options options;
    assert_int_equal(parse("kosekifs --dump-config -o config=/c", &options), 0);
    assert_true(options.dump_config);
    assert_string_equal(options.config, "/c");
    assert_int_equal(parse("kosekifs --help", &options), 0);
    assert_true(options.help);
    assert_int_equal(parse("kosekifs -V", &options), 0);
    assert_true(options.version);
}

static void refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "kosekifs",
        "kosekifs -f",
        "kosekifs a b c",
        "kosekifs /m -o",
        "kosekifs /m -x",
        "kosekifs /m --colour",
        "kosekifs /m -o bogus",
        "kosekifs /m -o config",
        "kosekifs /m -o config=",
        "kosekifs /m -o fsname=",
        "kosekifs /m -o rw",
        "kosekifs -o config=/c,rw /m",
        "kosekifs /c /m -o default_permissions",
        "kosekifs /c /m -o auto_unmount",
        "kosekifs /c /m -o drop_privileges",
        "kosekifs /c /m -o allow_root",
        "kosekifs /c /m -o nonempty",
        "kosekifs /c /m -o remount,ro",
        "kosekifs /c /m -o subtype=other",
        "kosekifs /c /dev/fd/3",
        "kosekifs /m -o max_read=4096",
        "kosekifs /m -o ro=1",
    };
    struct supervisor_options options = {.source = "untouched"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (parse(lines[i], &options) != EXIT_USAGE)
            fail_msg("accepted: %s", lines[i]);
    }
    assert_string_equal(options.source, "untouched");
}

static void long_paths_are_refused(void **state)
{
    (void)state;
    static char path[PATH_MAX + 1];
    memset(path, 'a', PATH_MAX);
    char program[] = "kosekifs";
    char *words[] = {program, path, NULL};
    struct supervisor_options options;
    assert_int_equal(supervisor_options_parse(2, words, &options), EXIT_USAGE);
    path[PATH_MAX - 1] = '\0';
    assert_int_equal(supervisor_options_parse(2, words, &options), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(without_mount_point),
        cmocka_unit_test(refused),
        cmocka_unit_test(long_paths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
