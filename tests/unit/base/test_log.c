/* What a line on standard error looks like, whatever the text contains. */
#include "base/log.h"

#include "base/memfd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <cmocka.h>

struct capture {
    int memfd;
    int saved;
    char text[8192];
};

static void capture_begin(struct capture *capture)
{
    assert_int_equal(memfd_new("stderr", &capture->memfd), 0);
    capture->saved = dup(STDERR_FILENO);
    assert_true(capture->saved >= 0);
    assert_true(dup2(capture->memfd, STDERR_FILENO) >= 0);
}

static const char *capture_end(struct capture *capture)
{
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    ssize_t size = pread(capture->memfd, capture->text, sizeof capture->text - 1, 0);
    close(capture->memfd);
    assert_true(size >= 0);
    capture->text[size] = '\0';
    return capture->text;
}

static void level_and_program_stand_in_front(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    log_init("kosekifs-test", LOG_LEVEL_INFO);
    log_error("a %d", 1);
    log_warning("b");
    log_info("戸籍");
    log_debug("hidden");
    assert_string_equal(capture_end(&capture), "kosekifs-test: error: a 1\n"
                                               "kosekifs-test: warning: b\n"
                                               "kosekifs-test: 戸籍\n");
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    log_init("t", LOG_LEVEL_DEBUG);
    log_debug("%s", "a\nt: error: forged\x1b[2J\r\t\x7f\\n\xc2\x9b");
    assert_string_equal(capture_end(&capture),
                        "t: debug: a\\x0at: error: forged\\x1b[2J\\x0d\\x09\\x7f\\x5cn\xc2\\x9b\n");
}

static void lines_have_a_ceiling(void **state)
{
    (void)state;
    struct capture capture;
    char text[6000];
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    capture_begin(&capture);
    log_init("t", LOG_LEVEL_INFO);
    log_info("%s", text);
    const char *line = capture_end(&capture);
    size_t size = strlen(line);
    assert_true(size > 1000 && size <= 2050);
    assert_ptr_equal(strchr(line, '\n'), line + size - 1);
}

static void errno_is_kept(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    log_init("t", LOG_LEVEL_INFO);
    errno = ENOKEY;
    log_info("x");
    assert_int_equal(errno, ENOKEY);
    capture_end(&capture);
}

static void journal_gets_its_prefix(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture);
    struct stat status;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("t", LOG_LEVEL_INFO);
    log_error("a");
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_init("t", LOG_LEVEL_INFO);
    log_info("b");
    unsetenv("JOURNAL_STREAM");
    assert_string_equal(capture_end(&capture), "<3>t: a\nt: b\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_and_program_stand_in_front),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(lines_have_a_ceiling),
        cmocka_unit_test(errno_is_kept),
        cmocka_unit_test(journal_gets_its_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
