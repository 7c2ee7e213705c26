/*
 * A disk that refuses to keep what it has taken: fdatasync(2) fails, by strace's injection. The
 * test runs itself under strace and then looks at what the writer was told and what is in the
 * trail.
 */
#include "trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { EVENTS = 60, EVENTS_MAX = 1000000 };

/* Under strace: writes until a new file was begun, prints how many events were acknowledged. */
static int write_events(const char *path, const char *mode)
{
    struct config_audit config = trail_config();
    memcpy(config.sync, mode, strlen(mode) + 1);
    config.sync_within = 2;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct audit *audit = fd < 0 ? NULL : trail_open(fd, &config);
    if (!audit)
        return 1;
    unsigned acknowledged = 0, refused = 0;
    struct audit_status status = {0};
    uint64_t unique = 0;
    while (unique < EVENTS || (status.file == 1 && unique < EVENTS_MAX)) {
        if (trail_write(audit, 1, ++unique) == 0)
            acknowledged++;
        else
            refused++;
        audit_status(audit, &status);
    }
    printf("%u %u\n", acknowledged, refused);
    audit_close(audit);
    return 0;
}

static void run_under_strace(const char *path, const char *mode, unsigned *ret_acknowledged,
                             unsigned *ret_refused)
{
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(size > 0);
    self[size] = '\0';
    char command[8192];
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* LeakSanitizer cannot work under ptrace */
    /* Each thread counts for itself: the second sync of whoever syncs. */
    snprintf(
        command, sizeof command,
        "exec strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO:when=2 "
        "%s %s %s",
        self, path, mode);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    assert_int_equal(fscanf(out, "%u %u", ret_acknowledged, ret_refused), 2);
    assert_int_equal(pclose(out), 0);
}

static bool can_trace(void)
{
    return system("strace -f -qq -o /dev/null -e trace=fdatasync true 2>/dev/null") == 0;
}

static void a_failed_sync_is_told_and_left_behind(void **state)
{
    (void)state;
    if (!can_trace()) {
        print_message("skipped: strace is missing or may not trace here\n");
        skip();
    }
    static const char *const modes[] = {"written", "group", "each"};
    for (size_t i = 0; i < 3; i++) {
        _cleanup_scratch_dir_ struct scratch_dir dir;
        assert_int_equal(scratch_dir_open(&dir), 0);
        unsigned acknowledged, refused;
        run_under_strace(dir.path, modes[i], &acknowledged, &refused);
        print_message("%s: %u acknowledged, %u refused\n", modes[i], acknowledged, refused);
        assert_true(acknowledged >= 1);
        if (i > 0) /* who asked for it to be on the disk hears that it is not */
            assert_true(refused >= 1);

        struct trail_check check;
        assert_int_equal(trail_check_files(dir.fd, &check), 0);
        assert_string_equal(check.faults, "");
        assert_true(check.verified.records >= acknowledged);
        char text[4096] = "";
        ssize_t size = scratch_read(dir.fd, "audit/trail-00000002.jsonl", text, sizeof text - 1);
        assert_true(size > 0);
        assert_non_null(strstr(text, "\"reason\":\"sync\""));
    }
}

/* Of many records only the last one waits for the disk, and then for all of them. */
static void the_last_of_many_covers_all(void **state)
{
    static const char *const modes[] = {"group", "each"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        _cleanup_scratch_dir_ struct scratch_dir dir;
        struct config_audit config = trail_config();
        struct audit_status status;
        struct audit_event event = {.kind = AUDIT_VERDICT, .name = "A1.pdf", .followed = true};
        assert_int_equal(scratch_dir_open(&dir), 0);
        memcpy(config.sync, modes[i], strlen(modes[i]) + 1);
        config.sync_within = 10000; /* nobody else syncs meanwhile */
        struct audit *audit = trail_open(dir.fd, &config);
        assert_non_null(audit);
        assert_int_equal(trail_write(audit, 1, 1), 0);
        audit_status(audit, &status);
        assert_int_equal(status.synced, status.sequence);
        uint64_t before = status.synced;
        for (unsigned n = 0; n < EVENTS; n++)
            assert_int_equal(audit_write(audit, &event), 0);
        audit_status(audit, &status);
        assert_int_equal(status.sequence, before + EVENTS);
        assert_int_equal(status.synced, before);
        event.followed = false;
        assert_int_equal(audit_write(audit, &event), 0);
        audit_status(audit, &status);
        assert_int_equal(status.synced, before + EVENTS + 1);
        audit_close(audit);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return write_events(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_failed_sync_is_told_and_left_behind),
                                       cmocka_unit_test(the_last_of_many_covers_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
