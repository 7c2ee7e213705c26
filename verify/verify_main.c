/*
 * kosekifs-verify: judges documents for kosekifs-mount, one at a time. It opens nothing: trust and
 * documents come as sealed memory files. Whatever libraries read or fetch on first use is made to
 * happen before ROOM_READY, so that a sandbox can close behind it.
 */
#include "base/clock.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/room.h"
#include "base/room_confine.h"
#include "verify/schema_channel.h"
#include "verify/verify.h"
#include "verify/verify_confine.h"
#include "verify/verify_message.h"
#include "verify/warm_up.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct verify_trust *trust;
    int peer;            /* kosekifs-mount; -1 = not there */
    unsigned peer_count; /* how many there were */
    uint32_t index;      /* which worker this is: the supervisor says it with the schema process */
    struct schema_channel schema;
    int lists_fd; /* the revocation lists; -1 = none came yet */
    struct ipc_message message;
    struct verdict verdict;
};

static void drop_peer(struct worker *worker)
{
    cleanup_close(&worker->peer);
    worker->peer = -1;
}

static int read_trust(int fd, char *ret_message, struct verify_trust **ret_trust)
{
    _cleanup_mapping_ struct mapping mapping = {0};

    int r = mapping_open(fd, TRUST_BUNDLE_MAX, &mapping);
    if (r < 0) {
        snprintf(ret_message, VERDICT_TEXT_MAX, "the trust bundle cannot be read: %s",
                 strerror(-r));
        return r;
    }
    return verify_trust_new(bytes_of(mapping.data, mapping.size), ret_message, ret_trust);
}

static void take_setup(struct worker *worker)
{
    char text[VERDICT_TEXT_MAX] = "";

    int r = room_receive_setup(0, &worker->message);
    if (r == -EPIPE)
        exit(0);
    if (r < 0)
        room_fail("set-up is not understood: %s", strerror(-r));
    if (worker->message.fd_count != 1)
        room_fail("set-up came with %u descriptors instead of the trust bundle",
                  worker->message.fd_count);
    r = read_trust(worker->message.fds[0], text, &worker->trust);
    ipc_message_done(&worker->message);
    if (r < 0)
        room_fail("[trust]: %s", text);
    verify_trust_set_schema_hook(worker->trust, &worker->schema.hook);
    r = verify_warm_up(worker->trust);
    if (r < 0)
        room_fail("libraries cannot be made ready: %s", strerror(-r));
}

/* -EBADMSG: what kosekifs-mount sent cannot be used; it had every list looked at before. */
static int apply_lists(struct worker *worker, struct verify_trust *trust)
{
    char text[VERDICT_TEXT_MAX];
    _cleanup_mapping_ struct mapping mapping = {0};

    if (worker->lists_fd < 0)
        return 0;
    int r = mapping_open(worker->lists_fd, TRUST_BUNDLE_MAX, &mapping);
    if (r == 0)
        r = verify_trust_set_crls(trust, bytes_of(mapping.data, mapping.size), text);
    return r == 0 ? verify_warm_up(trust) : r;
}

/* The old trust stays in force when the new one is bad. */
static int change_trust(struct worker *worker)
{
    char text[VERDICT_TEXT_MAX] = "";
    struct verify_trust *trust;

    if (worker->message.fd_count != 1)
        return -EBADMSG;
    if (read_trust(worker->message.fds[0], text, &trust) < 0)
        return ipc_send(ROOM_FD, ROOM_FAILED, worker->message.id, text, strlen(text), NULL, 0);
    int r = apply_lists(worker, trust);
    if (r < 0) {
        verify_trust_free(trust);
        return r;
    }
    verify_trust_free(worker->trust);
    worker->trust = trust;
    verify_trust_set_schema_hook(worker->trust, &worker->schema.hook);
    return ipc_send(ROOM_FD, ROOM_READY, worker->message.id, NULL, 0, NULL, 0);
}

static int take_peer(struct worker *worker)
{
    struct room_peer peer;

    int r = ipc_message_take(&worker->message, &peer, sizeof peer, 1);
    if (r < 0)
        return -EBADMSG;
    if (peer.role == ROOM_SCHEMA) {
        worker->index = peer.index;
        schema_channel_connect(&worker->schema, steal_fd(&worker->message.fds[0]));
        return 0;
    }
    if (peer.role != ROOM_MOUNT)
        return -EBADMSG;
    drop_peer(worker);
    worker->peer = steal_fd(&worker->message.fds[0]);
    worker->peer_count++;
    return 0;
}

/* A message from the supervisor; false when it is time to leave. */
static bool serve_room(struct worker *worker)
{
    int r = ipc_receive(ROOM_FD, &worker->message);

    if (r != 0)
        return r == -EBADMSG || r == -EAGAIN;
    switch (worker->message.type) {
    case ROOM_PEER:
        r = take_peer(worker);
        break;
    case ROOM_TRUST:
        r = change_trust(worker);
        break;
    case ROOM_ALIVE:
        room_answer_alive(&worker->message, NULL, 0);
        break;
    default:
        r = -EBADMSG;
        break;
    }
    ipc_message_done(&worker->message);
    return r == 0 || r == -EBADMSG;
}

static int judge_once(struct worker *worker, const struct verify_question *question, int fd)
{
    _cleanup_mapping_ struct mapping mapping = {0};
    struct verify_request request = {
        .format = (enum certformat)question->format,
        .time_s = question->time_s,
        .received_s = question->received_s,
    };

    int r = mapping_open(fd, VERIFY_DOCUMENT_MAX, &mapping);
    if (r < 0)
        return r;
    return verify_document(worker->trust, &request, bytes_of(mapping.data, mapping.size),
                           &worker->verdict);
}

/* The schema process was not there, or ended: the supervisor's next messages bring another.
 * -ETIMEDOUT: not in time; -ECONNRESET: the supervisor is gone, or kosekifs-mount, who asked. */
static int await_schema(struct worker *worker)
{
    const unsigned peer_count = worker->peer_count;
    int64_t deadline_ms = clock_monotonic_ms() + SCHEMA_CHANNEL_WAIT_MS;

    while (worker->schema.fd < 0) {
        struct pollfd room = {.fd = ROOM_FD, .events = POLLIN};
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return -ETIMEDOUT;
        if (poll(&room, 1, (int)left_ms) <= 0)
            continue;
        if (!serve_room(worker) || worker->peer_count != peer_count)
            return -ECONNRESET;
    }
    return 0;
}

/* A process that does not answer is replaced; it may never notice that its socket is closed. */
static int end_schema(const struct worker *worker)
{
    const struct room_peer which = {.role = ROOM_SCHEMA, .index = worker->index};

    return ipc_send(ROOM_FD, ROOM_KILL, 0, &which, sizeof which, NULL, 0);
}

static int judge(struct worker *worker)
{
    struct verify_question question;

    int r = ipc_message_take(&worker->message, &question, sizeof question, 1);
    if (r < 0)
        return r;
    if (worker->message.type != VERIFY_REQUEST || question.zero != 0 ||
        (question.format != CERTFORMAT_PDF && question.format != CERTFORMAT_XML))
        return -EBADMSG;
    _cleanup_close_ int fd = steal_fd(&worker->message.fds[0]);
    schema_channel_begin(&worker->schema);
    r = judge_once(worker, &question, fd);
    if (r == 0 && worker->schema.stuck)
        r = end_schema(worker);
    if (r < 0 || !worker->schema.lost)
        return r;
    r = await_schema(worker);
    if (r < 0)
        return r == -ETIMEDOUT ? 0 : r; /* undecided, as it was found */
    schema_channel_again(&worker->schema);
    return judge_once(worker, &question, fd);
}

/* Tells who signed what was judged last; `always`: even that there is nobody. */
static int tell_signer(struct worker *worker, uint64_t id, bool always)
{
    struct signer_record signer;
    _cleanup_buffer_ struct buffer encoded;

    buffer_init(&encoded, SIGNER_RECORD_MAX);
    bool found = verify_signer_last(worker->trust, &signer);
    int r = found ? signer_record_encode(&signer, &encoded) : 0;
    if (r == -EMSGSIZE) { /* certificates larger than anybody makes them: nobody to be kept */
        encoded.size = 0;
        r = 0;
    }
    if (r < 0 || (!found && !always))
        return r;
    return ipc_send(worker->peer, VERIFY_SIGNER, id, encoded.data, encoded.size, NULL, 0);
}

static int take_lists(struct worker *worker)
{
    if (worker->message.fd_count != 1)
        return -EBADMSG;
    cleanup_close(&worker->lists_fd);
    worker->lists_fd = steal_fd(&worker->message.fds[0]);
    return apply_lists(worker, worker->trust);
}

/* The payload behind struct verify_when. */
static int take_when(const struct ipc_message *message, struct verify_when *ret_when,
                     struct bytes *ret_rest)
{
    if (message->size < sizeof *ret_when)
        return -EBADMSG;
    memcpy(ret_when, message->payload, sizeof *ret_when);
    *ret_rest = bytes_of(message->payload + sizeof *ret_when, message->size - sizeof *ret_when);
    return 0;
}

static int assess(struct worker *worker)
{
    struct signer_record signer;
    struct verify_when when;
    struct bytes rest;

    int r = take_when(&worker->message, &when, &rest);
    if (r == 0)
        r = signer_record_decode(rest, &signer);
    if (r == 0)
        r = verify_assess(worker->trust, signer.certificates, signer.certificate_count, when.now_s);
    return r < 0 ? r : tell_signer(worker, worker->message.id, true);
}

static int examine(struct worker *worker, int fd)
{
    struct bytes authorities[VERIFY_AUTHORITIES_MAX], rest;
    struct verify_when when;
    struct crl_info info;
    size_t count = 0;
    struct reader reader;
    _cleanup_mapping_ struct mapping mapping = {0};
    _cleanup_buffer_ struct buffer encoded;

    buffer_init(&encoded, CRL_INFO_ENCODED_MAX);
    int r = take_when(&worker->message, &when, &rest);
    if (r < 0)
        return r;
    reader_init(&reader, rest);
    while (reader.left > 0 && !reader.failed && count < VERIFY_AUTHORITIES_MAX)
        authorities[count++] = reader_view(&reader, reader_be32(&reader));
    if (!reader_finish(&reader))
        return -EBADMSG;
    r = mapping_open(fd, CRL_SIZE_MAX, &mapping);
    if (r == 0)
        r = verify_crl(worker->trust, bytes_of(mapping.data, mapping.size), authorities, count,
                       when.now_s, &info);
    if (r == 0)
        r = crl_info_encode(&info, &encoded);
    if (r < 0)
        return r;
    return ipc_send(worker->peer, VERIFY_LIST_INFO, worker->message.id, encoded.data, encoded.size,
                    NULL, 0);
}

static int describe_anchors(struct worker *worker)
{
    static struct verify_anchor anchors[VERIFY_ANCHORS_MAX];
    size_t count = 0;

    while (count < VERIFY_ANCHORS_MAX &&
           verify_trust_anchor(worker->trust, (unsigned)count, &anchors[count]))
        count++;
    return ipc_send(worker->peer, VERIFY_ANCHOR, worker->message.id, anchors,
                    count * sizeof anchors[0], NULL, 0);
}

static int answer(struct worker *worker, uint64_t id)
{
    _cleanup_buffer_ struct buffer encoded;

    buffer_init(&encoded, IPC_PAYLOAD_MAX);
    int r = verdict_encode(&worker->verdict, &encoded);
    if (r < 0)
        return r;
    return ipc_send(worker->peer, VERIFY_REPLY, id, encoded.data, encoded.size, NULL, 0);
}

static int judge_and_answer(struct worker *worker)
{
    uint64_t id = worker->message.id;

    int r = judge(worker);
    if (r == 0)
        r = tell_signer(worker, id, false);
    return r == 0 ? answer(worker, id) : r;
}

static int serve_message(struct worker *worker)
{
    unsigned fds = worker->message.type == VERIFY_LISTS || worker->message.type == VERIFY_LIST ||
                           worker->message.type == VERIFY_REQUEST
                       ? 1
                       : 0;
    if (worker->message.fd_count != fds)
        return -EBADMSG;
    switch (worker->message.type) {
    case VERIFY_REQUEST:
        return judge_and_answer(worker);
    case VERIFY_LISTS:
        return take_lists(worker);
    case VERIFY_ASSESS:
        return assess(worker);
    case VERIFY_LIST: {
        _cleanup_close_ int fd = steal_fd(&worker->message.fds[0]);
        return examine(worker, fd);
    }
    case VERIFY_ANCHORS:
        return describe_anchors(worker);
    default:
        return -EBADMSG;
    }
}

/* False when it is time to leave: after what is no question, or cannot be answered, the other side
 * counts in vain on an answer, and the supervisor replaces this process by one that is connected.
 */
static bool serve_peer(struct worker *worker)
{
    int r = ipc_receive(worker->peer, &worker->message);

    if (r == -EAGAIN)
        return true;
    if (r == IPC_CLOSED) { /* kosekifs-mount is gone; a new one will be announced */
        drop_peer(worker);
        return true;
    }
    if (r < 0)
        return false;
    r = serve_message(worker);
    ipc_message_done(&worker->message);
    if (r == -EPIPE) {
        drop_peer(worker);
        return true;
    }
    return r == 0;
}

/* 0 when the supervisor is gone, else 1. */
static int serve(struct worker *worker)
{
    for (;;) {
        struct pollfd fds[2] = {
            {.fd = ROOM_FD, .events = POLLIN},
            {.fd = worker->peer, .events = POLLIN},
        };
        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return 1;
        }
        if (fds[0].revents && !serve_room(worker))
            return 0;
        if (fds[1].revents && worker->peer == fds[1].fd && !serve_peer(worker))
            return 1;
    }
}

/* From here on it has nothing to say but verdicts: whoever takes it over shall not fill the log.
 * Sanitizers report there. */
static void be_silent(const struct confine_report *report)
{
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null_fd < 0 || (report->level != CONFINE_SANITIZER &&
                        (dup2(null_fd, STDOUT_FILENO) < 0 || dup2(null_fd, STDERR_FILENO) < 0)))
        room_fail("/dev/null: %s", strerror(errno));
    close(null_fd);
}

int main(void)
{
    struct worker *worker = calloc(1, sizeof *worker);
    struct config_sandbox sandbox;
    struct verify_confine confine;
    struct confine_report report;

    log_init("kosekifs-verify", LOG_LEVEL_WARNING);
    if (!worker)
        room_fail("memory is short");
    worker->peer = worker->lists_fd = -1;
    schema_channel_init(&worker->schema);
    room_receive_sandbox(&sandbox);
    take_setup(worker);
    verify_confine_init(&confine, (uint64_t)sandbox.verify_memory);
    confine_foresee(sandbox.landlock_abi_max, &report);
    be_silent(&report);
    room_confine(&confine.table, &sandbox, &report);
    if (room_send_ready(&report) < 0)
        return 1;
    int status = serve(worker);
    drop_peer(worker);
    verify_trust_free(worker->trust);
    schema_channel_done(&worker->schema);
    cleanup_close(&worker->lists_fd);
    free(worker);
    return status;
}
