/*
 * A schema process that misbehaves: the question ends with an error in time, the process is gone
 * afterwards, and the next question starts another. The programs are a few lines of Python each.
 */
#include "verify/schema_worker.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { TIMEOUT_MS = 2000 };

static const char start[] =
    "import os, socket, struct, time\n"
    "channel = socket.socket(fileno=3)\n"
    "packet, fds, _, _ = socket.recv_fds(channel, 4096, 8)\n"
    "magic, kind, ident, size, count = struct.unpack_from('=IIQII', packet)\n"
    "def reply(kind, ident, outcome, text, extra=b''):\n"
    "    body = struct.pack('=I', outcome) + text + extra\n"
    "    channel.send(struct.pack('=IIQII', magic, kind, ident, len(body), 0)"
    " + body)\n"
    "text = b'so'.ljust(240, b'\\0')\n";

static int ask(const char *behaviour, unsigned times, struct schema_answer *ret_answer)
{
    char path[] = "/tmp/schema-worker-test-XXXXXX";
    int fd = mkstemp(path);
    int r = 0;

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_true(dprintf(fd, "%s%s\n", start, behaviour) > 0);
    close(fd);
    struct schema_worker *worker = schema_worker_new(path, TIMEOUT_MS);
    assert_non_null(worker);
    const struct schema_hook *hook = schema_worker_hook(worker);
    for (unsigned i = 0; i < times; i++) {
        int64_t started = clock_monotonic_ms();
        r = hook->validate(hook->context, bytes_of("bundle", 6), bytes_of("document", 8),
                           ret_answer);
        assert_true(clock_monotonic_ms() - started < 10L * TIMEOUT_MS);
    }
    schema_worker_free(worker);
    unlink(path);
    return r;
}

static void test_good(void **state)
{
    struct schema_answer answer = {0};

    (void)state;
    /* Each process answers once: the second question fails, the third starts anew. */
    assert_int_equal(ask("assert os.pread(fds[0], 99, 0) == b'document'\n"
                         "assert os.pread(fds[1], 99, 0) == b'bundle'\n"
                         "reply(0x201, ident, 2, text)",
                         3, &answer),
                     0);
    assert_int_equal(answer.outcome, SCHEMA_INVALID);
    assert_string_equal(answer.text, "so");
}

static void test_bad(void **state)
{
    static const struct {
        const char *behaviour;
        int result;
    } cases[] = {
        {"time.sleep(60)", -ETIMEDOUT},
        {"while True: pass", -ETIMEDOUT},
        {"", -EPIPE},
        {"os.abort()", -EPIPE},
        {"channel.send(b'x')", -EBADMSG},
        {"reply(0x202, ident, 1, text)", -EBADMSG},
        {"reply(0x201, ident + 1, 1, text)", -EBADMSG},
        {"reply(0x201, ident, 0, text)", -EBADMSG},
        {"reply(0x201, ident, 4, text)", -EBADMSG},
        {"reply(0x201, ident, 1, text[1:])", -EBADMSG},
        {"reply(0x201, ident, 1, text, b'x')", -EBADMSG},
        {"reply(0x201, ident, 1, b'x' * 240)", -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct schema_answer answer = {0};
        int r = ask(cases[i].behaviour, 1, &answer);
        if (r != cases[i].result || answer.outcome != 0)
            fail_msg("%s: %d", cases[i].behaviour, r);
    }
}

/* What it could do if its libraries were taken over. */
static void test_confined(void **state)
{
    static const char *const attempts[] = {
        "open('/etc/passwd')",
        "os.listdir('/')",
        "open('/usr/share/x', 'w')",
        "socket.create_connection(('127.0.0.1', 9))",
        "os.setuid(0)",
        "os.write(1, b'x') == 1 or 1 / 0; open('/dev/shm/x', 'w')",
    };

    (void)state;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        struct schema_answer answer = {0};
        char behaviour[512];
        snprintf(behaviour, sizeof behaviour,
                 "try:\n    %s\n    reply(0x201, ident, 1, text)\n"
                 "except OSError as error:\n    reply(0x201, ident, 2, text)",
                 attempts[i]);
        /* Refused with an error that the program sees, or ended on the spot. */
        int r = ask(behaviour, 1, &answer);
        if (r != -EPIPE && (r != 0 || answer.outcome != SCHEMA_INVALID))
            fail_msg("allowed: %s", attempts[i]);
    }
}

static void test_no_program(void **state)
{
    struct schema_answer answer;
    struct schema_worker *worker = schema_worker_new("/nonexistent/program.py", TIMEOUT_MS);
    const struct schema_hook *hook = schema_worker_hook(worker);

    (void)state;
    assert_int_equal(hook->validate(hook->context, bytes_of("b", 1), bytes_of("d", 1), &answer),
                     -EPIPE);
    schema_worker_free(worker);
    assert_null(schema_worker_free(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_confined),
        cmocka_unit_test(test_no_program),
    };

    if (access("/usr/bin/python3", X_OK) < 0) {
        printf("skipped: /usr/bin/python3 is not there\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
