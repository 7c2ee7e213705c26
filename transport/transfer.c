/*
 * What follows from how an exchange ended. Two versions never mix: bytes are kept only together
 * with a strong validator, and only an answer that carries the same validator may add to them
 * (response.c); without one, every exchange begins at offset 0 of an emptied file.
 */
#include "transport/transfer.h"

#include "transport/link_message.h"
#include "transport/validator.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct transfer *transfer_new(uint64_t id, const struct link_request *request, int memfd,
                              int64_t now_ms)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) {
        cleanup_close(&memfd);
        return NULL;
    }
    transfer->id = id;
    transfer->request = *request;
    transfer->memfd = memfd;
    transfer->begun_ms = now_ms;
    transfer->deadline_ms = now_ms + request->timeout_ms;
    transfer->deadline_result = LINK_TIMED_OUT;
    transfer->event.kind = LINK_DONE;
    transfer->event.id = id;
    if (request->held > 0) {
        transfer->written = request->held;
        transfer->size = request->expected_size;
        transfer->size_known = true;
        transfer->held = request->expected;
    }
    return transfer;
}

struct transfer *transfer_free(struct transfer *transfer)
{
    if (transfer)
        cleanup_close(&transfer->memfd);
    free(transfer);
    return NULL;
}

int transfer_check_memfd(int fd, uint64_t held)
{
    struct stat st;
    /* Files of other kinds have no seals (EINVAL); other files on tmpfs bear F_SEAL_SEAL. */
    int seals = fcntl(fd, F_GET_SEALS);
    int flags = fcntl(fd, F_GETFL);
    if (seals != 0 || flags < 0 || fstat(fd, &st) < 0)
        return -EPERM;
    if ((flags & O_ACCMODE) != O_RDWR || (flags & O_APPEND)) /* pwrite() would append */
        return -EPERM;
    return S_ISREG(st.st_mode) && (uint64_t)st.st_size == held ? 0 : -EPERM;
}

bool transfer_has_rest(const struct transfer *transfer)
{
    return transfer->written > 0 && transfer->size_known && validator_is_strong(&transfer->held);
}

void transfer_question(const struct transfer *transfer, struct response_question *ret_question)
{
    *ret_question = (struct response_question){
        .head = transfer->request.head,
        .size_max = transfer->request.size_max,
        .expected_size = transfer->request.expected_size,
        .expected = &transfer->request.expected,
    };
    if (transfer_has_rest(transfer)) {
        ret_question->offset = transfer->written;
        ret_question->held_size = transfer->size;
        ret_question->held = &transfer->held;
    }
}

static int transfer_drop_body(struct transfer *transfer)
{
    if (transfer->memfd >= 0 && ftruncate(transfer->memfd, 0) < 0)
        return -errno;
    transfer->written = 0;
    transfer->size = 0;
    transfer->size_known = false;
    transfer->digest_known = false;
    memset(&transfer->held, 0, sizeof transfer->held);
    return 0;
}

/* A rest that announces another digest than the beginning did belongs to something else; the
 * comparison at the end shows it, whichever of the two counts. */
static void transfer_note_digest(struct transfer *transfer, const struct response *response)
{
    if (!response->digest_known || transfer->digest_known)
        return;
    transfer->digest_known = true;
    memcpy(transfer->digest, response->digest, sizeof transfer->digest);
}

int transfer_begin_body(struct transfer *transfer, bool whole, uint64_t size,
                        const struct response *response)
{
    if (whole) {
        int r = transfer_drop_body(transfer);
        if (r < 0)
            return r;
        transfer->size = size;
        transfer->size_known = true;
        transfer->held = response->validator;
        transfer->held_date_s = response_date(response);
    } else if (transfer->held_date_s == 0) {
        transfer->held_date_s = response_date(response); /* what is held came with the request */
    }
    transfer_note_digest(transfer, response);
    return 0;
}

bool transfer_digest_agrees(const struct transfer *transfer)
{
    uint8_t digest[SHA256_SIZE], piece[64 * 1024];
    if (!transfer->digest_known || !transfer->size_known || transfer->written != transfer->size)
        return true;
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    for (uint64_t at = 0; stream && at < transfer->size;) {
        ssize_t n = pread(transfer->memfd, piece, sizeof piece, (off_t)at);
        if (n <= 0 || sha256_stream_update(stream, piece, (size_t)n) < 0)
            return false;
        at += (uint64_t)n;
    }
    return stream && sha256_stream_finish(stream, digest) == 0 &&
           memcmp(digest, transfer->digest, sizeof digest) == 0;
}

int transfer_write(struct transfer *transfer, const void *data, size_t size)
{
    const uint8_t *next = data;
    if (!transfer->size_known || size > transfer->size - transfer->written)
        return -EFBIG;
    while (size > 0) {
        ssize_t n = pwrite(transfer->memfd, next, size, (off_t)transfer->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        next += n;
        size -= (size_t)n;
        transfer->written += (uint64_t)n;
    }
    return 0;
}

void transfer_finish(struct transfer *transfer, enum link_result result, const char *detail)
{
    struct link_event *event = &transfer->event;
    transfer->state = TRANSFER_FINISHED;
    event->result = result;
    event->resumed = transfer->resumed;
    if (result == LINK_OK) /* a HEAD set it from the answer */
        event->size = transfer->request.head ? event->size : transfer->size;
    else
        event->size = transfer->written;
    link_detail_set(event->detail, "%s", detail);
    cleanup_close(&transfer->memfd); /* kosekifs-mount may seal it now */
    transfer->memfd = -1;
}

static void transfer_expect(struct transfer *transfer, enum link_result result, const char *detail)
{
    transfer->deadline_result = result;
    link_detail_set(transfer->deadline_detail, "%s", detail);
}

void transfer_expire(struct transfer *transfer)
{
    char detail[LINK_DETAIL_MAX];
    if (transfer->deadline_result != LINK_TIMED_OUT)
        link_detail_set(detail, "%s", transfer->deadline_detail);
    else if (transfer->state == TRANSFER_READY && transfer->resumed == 0)
        link_detail_set(detail, "no connection was free for it within %u ms",
                        transfer->request.timeout_ms);
    else if (transfer->size_known)
        link_detail_set(detail, "%llu of %llu bytes came within %u ms",
                        (unsigned long long)transfer->written, (unsigned long long)transfer->size,
                        transfer->request.timeout_ms);
    else
        link_detail_set(detail, "no answer within %u ms%s%s", transfer->request.timeout_ms,
                        transfer->deadline_detail[0] ? "; last: " : "", transfer->deadline_detail);
    transfer_finish(transfer, transfer->deadline_result, detail);
}

static void transfer_wait(struct transfer *transfer, int64_t now_ms, int64_t wait_ms)
{
    transfer->state = TRANSFER_WAITING;
    transfer->resume_at_ms = now_ms + wait_ms;
}

/* The link system asked us to come back. When that is behind the deadline there is nothing to
 * wait for: whoever asked is better served with the answer now. */
static void conclude_wait(struct transfer *transfer, const struct response_judgement *judgement,
                          int64_t now_ms, uint32_t random)
{
    int64_t wait_ms = TRANSFER_WAIT_DEFAULT_MS;
    if (judgement->retry_after_known)
        wait_ms = (int64_t)judgement->retry_after_s * 1000;
    if (wait_ms < TRANSFER_WAIT_MIN_MS)
        wait_ms = TRANSFER_WAIT_MIN_MS;
    if (wait_ms > TRANSFER_WAIT_MAX_MS)
        wait_ms = TRANSFER_WAIT_MAX_MS;
    wait_ms = backoff_spread_ms(wait_ms, random);

    transfer->event.retry_after_s = judgement->retry_after_s;
    if (judgement->result == LINK_NOT_READY) {
        int64_t ready_ms = transfer->begun_ms + transfer->request.ready_timeout_ms;
        transfer->preparing = true;
        transfer->deadline_ms = ready_ms > transfer->deadline_ms ? ready_ms : transfer->deadline_ms;
    }
    transfer_expect(transfer, judgement->result, judgement->detail);
    if (now_ms + wait_ms >= transfer->deadline_ms)
        transfer_finish(transfer, judgement->result, judgement->detail);
    else
        transfer_wait(transfer, now_ms, wait_ms);
}

/* Cut, or told to begin afresh: once more, as often as the configuration lets us. */
static void conclude_cut(struct transfer *transfer, bool afresh, uint64_t received,
                         const char *detail, const struct transfer_limits *limits, int64_t now_ms,
                         uint32_t random)
{
    transfer_expect(transfer, LINK_TIMED_OUT, detail);
    if (transfer->resumed >= limits->resume_max) {
        char text[LINK_DETAIL_MAX];
        link_detail_set(text, "given up after %u resumptions; last: %s", transfer->resumed, detail);
        transfer_finish(transfer, LINK_UNREACHABLE, text);
        return;
    }
    if (afresh || !transfer_has_rest(transfer)) {
        int r = transfer_drop_body(transfer);
        if (r < 0) {
            transfer_finish(transfer, LINK_INTERNAL, strerror(-r));
            return;
        }
    }
    transfer->resumed++;
    if (received > 0)
        backoff_reset(&transfer->backoff);
    transfer_wait(transfer, now_ms, backoff_next_ms(&transfer->backoff, random));
}

/* True if there is an address that has not been tried in this round; else a new round begins. */
static bool note_tried(struct transfer *transfer, const struct transfer_limits *limits)
{
    transfer->tried |= 1u << transfer->endpoint;
    if ((unsigned)__builtin_popcount(transfer->tried) < limits->endpoints)
        return true;
    transfer->tried = 0;
    return false;
}

/* An answer that says nothing about the certificate. */
static bool asks_for_another(const struct attempt_outcome *outcome)
{
    return outcome->judgement.step == RESPONSE_UNAVAILABLE ||
           (outcome->judgement.step == RESPONSE_WAIT && outcome->judgement.result == LINK_BUSY);
}

/* The address did not do: the next one at once. When none is left in this round, a few more rounds,
 * for somebody is waiting in open(2); `hopeless` means that another would end like this one. A
 * transfer that has come some way is worth more patience: the line was there a moment ago. */
static void conclude_unconnected(struct transfer *transfer, enum link_result result,
                                 const char *detail, bool hopeless,
                                 const struct transfer_limits *limits, int64_t now_ms,
                                 uint32_t random)
{
    if (note_tried(transfer, limits)) {
        transfer_expect(transfer, LINK_TIMED_OUT, detail);
        transfer_wait(transfer, now_ms, 0);
        return;
    }
    if (transfer_has_rest(transfer) && !hopeless) {
        conclude_cut(transfer, false, 0, detail, limits, now_ms, random);
        return;
    }
    transfer_expect(transfer, LINK_TIMED_OUT, detail);
    if (hopeless || ++transfer->connect_failures >= TRANSFER_QUICK_TRIES)
        transfer_finish(transfer, result, detail);
    else
        transfer_wait(transfer, now_ms, backoff_next_ms(&transfer->backoff, random));
}

/* All bytes came, and are not those announced: the line or a box on it changed them. */
static void conclude_digest(struct transfer *transfer, const struct transfer_limits *limits,
                            int64_t now_ms, uint32_t random)
{
    static const char detail[] = "the body does not have the digest that was announced";
    if (++transfer->digest_failures >= TRANSFER_QUICK_TRIES)
        transfer_finish(transfer, LINK_PROTOCOL, detail);
    else
        conclude_cut(transfer, true, 0, detail, limits, now_ms, random);
}

static void conclude_judged(struct transfer *transfer, const struct attempt_outcome *outcome,
                            const struct transfer_limits *limits, int64_t now_ms, uint32_t random)
{
    const struct response_judgement *judgement = &outcome->judgement;
    switch (judgement->step) {
    case RESPONSE_END:
        transfer_finish(transfer, judgement->result, judgement->detail);
        return;
    case RESPONSE_HEADERS:
        transfer->event.size = judgement->size;
        transfer->event.validator = outcome->validator;
        transfer->event.date_s = outcome->date_s;
        transfer_finish(transfer, LINK_OK, "");
        return;
    case RESPONSE_WHOLE:
    case RESPONSE_REST:
        if (outcome->digest_wrong) {
            conclude_digest(transfer, limits, now_ms, random);
            return;
        }
        if (transfer->size_known && transfer->written == transfer->size) {
            transfer->event.validator = transfer->held;
            transfer->event.date_s = transfer->held_date_s;
            transfer_finish(transfer, LINK_OK, "");
            return;
        }
        conclude_cut(transfer, false, outcome->received, "the body ended too early", limits, now_ms,
                     random);
        return;
    case RESPONSE_WAIT:
        if (judgement->result == LINK_BUSY && note_tried(transfer, limits)) {
            transfer_expect(transfer, judgement->result, judgement->detail);
            transfer_wait(transfer, now_ms, 0);
            return;
        }
        conclude_wait(transfer, judgement, now_ms, random);
        return;
    case RESPONSE_AFRESH:
        conclude_cut(transfer, true, 0, judgement->detail, limits, now_ms, random);
        return;
    case RESPONSE_UNAVAILABLE:
        conclude_unconnected(transfer, judgement->result, judgement->detail, false, limits, now_ms,
                             random);
        return;
    }
}

void transfer_hold(struct transfer *transfer, enum link_result result, const char *detail,
                   int64_t at_ms)
{
    transfer->tried = 0;
    if (!transfer_has_rest(transfer) && !transfer->preparing) {
        transfer_finish(transfer, result, detail);
        return;
    }
    transfer_expect(transfer, result, detail);
    transfer->state = TRANSFER_WAITING;
    transfer->resume_at_ms = at_ms;
}

void transfer_conclude(struct transfer *transfer, const struct attempt_outcome *outcome,
                       const struct transfer_limits *limits, int64_t now_ms, uint32_t random)
{
    if (outcome->status > 0)
        transfer->event.status = outcome->status;
    if (outcome->status > 0 && !asks_for_another(outcome)) {
        transfer->connect_failures = 0;
        transfer->tried = 0;
    }
    switch (outcome->end) {
    case ATTEMPT_JUDGED:
        conclude_judged(transfer, outcome, limits, now_ms, random);
        return;
    case ATTEMPT_CUT:
        if (outcome->status == 0) /* silence: elsewhere, if there is an elsewhere */
            note_tried(transfer, limits);
        conclude_cut(transfer, false, outcome->received, outcome->detail, limits, now_ms, random);
        return;
    case ATTEMPT_UNRESOLVED:
    case ATTEMPT_UNREACHABLE:
        conclude_unconnected(transfer, LINK_UNREACHABLE, outcome->detail, false, limits, now_ms,
                             random);
        return;
    case ATTEMPT_HANDSHAKE:
        conclude_unconnected(transfer, LINK_TLS_FAILED, outcome->detail, false, limits, now_ms,
                             random);
        return;
    case ATTEMPT_DISTRUSTED:
        conclude_unconnected(transfer, LINK_TLS_FAILED, outcome->detail, true, limits, now_ms,
                             random);
        return;
    case ATTEMPT_UNSIGNED: /* kosekifs-keys is being restarted: that takes moments, not tries */
        transfer_expect(transfer, LINK_TLS_FAILED, outcome->detail);
        transfer_wait(transfer, now_ms, backoff_next_ms(&transfer->backoff, random));
        return;
    case ATTEMPT_NONSENSE:
        transfer_finish(transfer, LINK_PROTOCOL, outcome->detail);
        return;
    case ATTEMPT_INTERNAL:
        transfer_finish(transfer, LINK_INTERNAL, outcome->detail);
        return;
    }
}
