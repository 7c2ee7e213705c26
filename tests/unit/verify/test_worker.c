/*
 * kosekifs-verify as its neighbours see it, and kosekifs-mount's side of it against a worker that
 * was taken over.
 */
#include "vectors.h"

#include "base/config.h"
#include "base/ipc.h"
#include "base/memfd.h"
#include "base/room.h"
#include "verify/verify_client.h"
#include "verify/verify_message.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { WAIT_MS = 20000 };

static struct verdict verdict;
static struct ipc_message message;

struct worker {
    pid_t pid;
    int room, peer;
};

static void add_file(struct buffer *bundle, enum trust_kind kind, const char *file)
{
    struct buffer content;

    vectors_load(file, &content);
    assert_int_equal(trust_bundle_add(bundle, kind, file, bytes_of(content.data, content.size)), 0);
    buffer_done(&content);
}

/* A sealed bundle; with a signer that no sample has if `signer` says so. */
static int bundle_fd(const char *signer)
{
    struct buffer bundle;
    int fd;

    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    add_file(&bundle, TRUST_ANCHOR, "pki/root.crt");
    add_file(&bundle, TRUST_CRL, "pki/good.crl");
    assert_int_equal(
        trust_bundle_add(&bundle, TRUST_SIGNER_DN, "dn", bytes_of(signer, strlen(signer))), 0);
    assert_int_equal(memfd_of("bundle", bundle.data, bundle.size, &fd), 0);
    buffer_done(&bundle);
    return fd;
}

static const char minister[] =
    "CN=Minister of Justice,OU=Ministry of Justice,O=Japanese Government,C=JP";

static void start(struct worker *worker)
{
    const char *program = getenv("KOSEKIFS_VERIFY");
    const struct config_sandbox sandbox = {
        .level = "best", .landlock_abi_max = 1000, .verify_memory = 1 << 30};
    int fds[2];

    assert_non_null(program);
    assert_int_equal(ipc_pair(fds), 0);
    worker->peer = -1;
    worker->room = fds[0];
    worker->pid = fork();
    assert_true(worker->pid >= 0);
    if (worker->pid == 0) {
        if (fds[1] == ROOM_FD)
            fcntl(fds[1], F_SETFD, 0);
        else
            dup2(fds[1], ROOM_FD);
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    assert_int_equal(ipc_send(worker->room, ROOM_SANDBOX, 0, &sandbox, sizeof sandbox, NULL, 0), 0);
}

static void send_room(struct worker *worker, uint32_t type, const void *payload, size_t size,
                      int fd)
{
    assert_int_equal(ipc_send(worker->room, type, 5, payload, size, &fd, fd < 0 ? 0 : 1), 0);
    if (fd >= 0)
        close(fd);
}

static void expect_room(struct worker *worker, uint32_t type)
{
    assert_int_equal(ipc_receive_timeout(worker->room, WAIT_MS, &message), 0);
    assert_int_equal(message.type, type);
    ipc_message_done(&message);
}

static void connect_peer(struct worker *worker)
{
    struct room_peer peer = {.role = ROOM_MOUNT};
    int fds[2];

    assert_int_equal(ipc_pair(fds), 0);
    if (worker->peer >= 0)
        close(worker->peer);
    worker->peer = fds[0];
    send_room(worker, ROOM_PEER, &peer, sizeof peer, fds[1]);
}

static void start_ready(struct worker *worker)
{
    start(worker);
    send_room(worker, ROOM_SETUP, NULL, 0, bundle_fd(minister));
    expect_room(worker, ROOM_READY);
    connect_peer(worker);
}

/* It leaves when the supervisor does. */
static void stop(struct worker *worker, int expected_status)
{
    int status;

    close(worker->room);
    if (worker->peer >= 0)
        close(worker->peer);
    assert_int_equal(waitpid(worker->pid, &status, 0), worker->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected_status);
}

static int sample_fd(const char *file)
{
    struct buffer document;
    int fd;

    vectors_load(file, &document);
    assert_int_equal(memfd_of("document", document.data, document.size, &fd), 0);
    buffer_done(&document);
    return fd;
}

static void ask(struct worker *worker, uint64_t id, const char *file)
{
    struct verify_request request = {.format = CERTFORMAT_PDF, .time_s = VECTORS_NOW_S};
    int fd = sample_fd(file);

    assert_int_equal(verify_client_submit(worker->peer, id, &request, fd), 0);
    close(fd);
}

static struct verify_answer answer;

/* Who signed is told before the verdict, if a path could be built. */
static void expect_answer(struct worker *worker, uint64_t id, enum verdict_indication indication)
{
    assert_int_equal(verify_client_receive(worker->peer, &answer), 0);
    assert_int_equal(answer.id, id);
    if (answer.kind == ANSWER_SIGNER) {
        struct signer_record record;
        assert_int_equal(signer_record_decode(bytes_of(answer.record, answer.record_size), &record),
                         0);
        assert_int_equal(verify_client_receive(worker->peer, &answer), 0);
        assert_int_equal(answer.id, id);
    }
    assert_int_equal(answer.kind, ANSWER_VERDICT);
    verdict = answer.verdict;
    assert_int_equal(verdict.indication, indication);
}

static void test_answers(void **state)
{
    struct worker worker;

    (void)state;
    start_ready(&worker);
    for (uint64_t round = 0; round < 3; round++) {
        ask(&worker, 10 + round, "ok_xstm.pdf");
        ask(&worker, 20 + round, "bad_usf_empty.pdf");
        expect_answer(&worker, 10 + round, VERDICT_TOTAL_PASSED);
        expect_answer(&worker, 20 + round, VERDICT_TOTAL_FAILED);
    }
    stop(&worker, 0);
}

static void test_new_mount(void **state)
{
    struct worker worker;

    (void)state;
    start_ready(&worker);
    ask(&worker, 1, "ok_xstm.pdf");
    expect_answer(&worker, 1, VERDICT_TOTAL_PASSED);
    connect_peer(&worker); /* kosekifs-mount was restarted */
    ask(&worker, 2, "ok_xstm.pdf");
    expect_answer(&worker, 2, VERDICT_TOTAL_PASSED);
    stop(&worker, 0);
}

static void test_changed_trust(void **state)
{
    struct worker worker;
    int fd;

    (void)state;
    start_ready(&worker);
    assert_int_equal(memfd_of("bundle", "nonsense", 8, &fd), 0);
    send_room(&worker, ROOM_TRUST, NULL, 0, fd);
    expect_room(&worker, ROOM_FAILED);
    ask(&worker, 1, "ok_xstm.pdf"); /* the old one is still there */
    expect_answer(&worker, 1, VERDICT_TOTAL_PASSED);
    send_room(&worker, ROOM_TRUST, NULL, 0, bundle_fd("CN=Somebody else"));
    expect_room(&worker, ROOM_READY);
    ask(&worker, 2, "ok_xstm.pdf");
    expect_answer(&worker, 2, VERDICT_INDETERMINATE);
    stop(&worker, 0);
}

static void test_bad_setup(void **state)
{
    struct worker worker;
    int fd;

    (void)state;
    start(&worker);
    assert_int_equal(memfd_of("bundle", "nonsense", 8, &fd), 0);
    send_room(&worker, ROOM_SETUP, NULL, 0, fd);
    expect_room(&worker, ROOM_FAILED);
    stop(&worker, 1);
    start(&worker);
    send_room(&worker, ROOM_SETUP, NULL, 0, -1);
    expect_room(&worker, ROOM_FAILED);
    stop(&worker, 1);
    start(&worker); /* a bundle that could still be changed */
    assert_int_equal(memfd_new("bundle", &fd), 0);
    send_room(&worker, ROOM_SETUP, NULL, 0, fd);
    expect_room(&worker, ROOM_FAILED);
    stop(&worker, 1);
    start(&worker);
    stop(&worker, 0);
}

/* What is no question ends the worker; the supervisor starts another. */
static void expect_end(uint32_t type, const void *payload, size_t size, int fd)
{
    struct worker worker;

    start_ready(&worker);
    assert_int_equal(ipc_send(worker.peer, type, 1, payload, size, &fd, fd < 0 ? 0 : 1), 0);
    if (fd >= 0)
        close(fd);
    assert_int_equal(verify_client_receive(worker.peer, &answer), IPC_CLOSED);
    stop(&worker, 1);
}

static void test_bad_questions(void **state)
{
    struct verify_question good = {.format = CERTFORMAT_PDF, .time_s = VECTORS_NOW_S};
    struct verify_question odd_format = good, odd_zero = good;
    int open_fd;

    (void)state;
    odd_format.format = 7;
    odd_zero.zero = 1;
    expect_end(VERIFY_REQUEST, &odd_format, sizeof good, sample_fd("ok_xstm.pdf"));
    expect_end(VERIFY_REQUEST, &odd_zero, sizeof good, sample_fd("ok_xstm.pdf"));
    expect_end(VERIFY_REQUEST, &good, sizeof good - 1, sample_fd("ok_xstm.pdf"));
    expect_end(VERIFY_REQUEST, &good, sizeof good, -1);
    expect_end(VERIFY_REPLY, &good, sizeof good, sample_fd("ok_xstm.pdf"));
    assert_int_equal(memfd_new("document", &open_fd), 0);
    expect_end(VERIFY_REQUEST, &good, sizeof good, open_fd);
    expect_end(VERIFY_REQUEST, &good, sizeof good, open("/dev/null", O_RDONLY));
}

static int receive_from(const void *payload, size_t size, uint32_t type, int fd)
{
    int fds[2];

    assert_int_equal(ipc_pair(fds), 0);
    assert_int_equal(ipc_send(fds[0], type, 1, payload, size, &fd, fd < 0 ? 0 : 1), 0);
    int r = verify_client_receive(fds[1], &answer);
    close(fds[0]);
    close(fds[1]);
    return r;
}

static void test_hostile_answers(void **state)
{
    struct buffer encoded;

    (void)state;
    buffer_init(&encoded, VERDICT_ENCODED_MAX);
    verdict_init(&verdict);
    verdict_add(&verdict, CHECK_FAILED, "check", "clause", "text");
    assert_int_equal(verdict_encode(&verdict, &encoded), 0);
    assert_int_equal(receive_from(encoded.data, encoded.size, VERIFY_REPLY, -1), 0);
    assert_int_equal(receive_from(encoded.data, encoded.size, VERIFY_REQUEST, -1), -EBADMSG);
    assert_int_equal(
        receive_from(encoded.data, encoded.size, VERIFY_REPLY, open("/dev/null", O_RDONLY)),
        -EBADMSG);
    for (size_t i = 0; i < encoded.size; i++)
        assert_int_equal(receive_from(encoded.data, i, VERIFY_REPLY, -1), -EBADMSG);
    buffer_done(&encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_new_mount),
        cmocka_unit_test(test_changed_trust), cmocka_unit_test(test_bad_setup),
        cmocka_unit_test(test_bad_questions), cmocka_unit_test(test_hostile_answers),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
