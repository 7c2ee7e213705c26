/*
 * Nothing here waits but the one curl_multi_poll(), and the TLS handshakes for kosekifs-keys.
 *
 * Transfers that wait for a time (deadline, resumption, end of a stall window) are found by
 * walking all of them, but only when the earliest of these times has come: `due_ms` is never later
 * than any of them.
 */
#include "transport/link_loop.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/room.h"
#include "transport/attempt.h"
#include "transport/link_message.h"
#include "transport/link_test.h"
#include "transport/list_get.h"
#include "transport/mount_channel.h"
#include "transport/pace.h"
#include "transport/transfer_table.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>

struct link_loop {
    const struct config_link *config;
    struct endpoints *endpoints;
    struct pace requests, bytes;
    int64_t states_told_ms;
    CURLM *multi;
    struct attempt_setting setting;
    struct sign_channel *channel; /* to kosekifs-keys */
    struct mount_channel mount;
    struct list_gets lists;
    struct link_test test;
    struct transfer_table table;
    int64_t due_ms;
};

enum {
    POLL_MAX_MS = 60 * 1000,
    /* Beside bodies: connections, sockets of resolver threads, our own ends. */
    DESCRIPTORS_RESERVED = 300,
    STATES_EVERY_MS = 1000,
};

static uint32_t loop_random(void)
{
    uint32_t value = 0;
    if (random_bytes(&value, sizeof value) < 0) /* only jitter hangs on it */
        value = (uint32_t)clock_realtime_ns();
    return value;
}

static void loop_due(void *context, int64_t at_ms)
{
    struct link_loop *loop = context;
    if (at_ms < loop->due_ms)
        loop->due_ms = at_ms;
}

static void loop_on_progress(void *context, struct transfer *transfer, size_t size)
{
    struct link_loop *loop = context;
    pace_owe(&loop->bytes, clock_monotonic_ms(), size);
    mount_channel_send_progress(&loop->mount, transfer, clock_monotonic_ms());
}

/* Takes the exchange away from libcurl; the connection is closed if it was in mid-answer. */
static void loop_drop_attempt(struct link_loop *loop, struct transfer *transfer)
{
    if (!transfer->attempt)
        return;
    curl_multi_remove_handle(loop->multi, transfer->attempt->easy);
    transfer->attempt = attempt_free(transfer->attempt);
}

/* What an outcome says of the address; false: nothing. */
static bool loop_failure(const struct attempt_outcome *outcome, enum link_failure *ret_failure,
                         const char **ret_detail)
{
    *ret_detail = outcome->detail;
    switch (outcome->end) {
    case ATTEMPT_UNRESOLVED:
        *ret_failure = LINK_FAILED_NAME;
        return true;
    case ATTEMPT_UNREACHABLE:
        *ret_failure = LINK_FAILED_CONNECT;
        return true;
    case ATTEMPT_HANDSHAKE:
    case ATTEMPT_DISTRUSTED:
        *ret_failure = LINK_FAILED_TLS;
        return true;
    case ATTEMPT_CUT:
        *ret_failure = LINK_FAILED_HTTP;
        return outcome->status == 0;
    case ATTEMPT_JUDGED:
        *ret_failure = LINK_FAILED_HTTP;
        *ret_detail = outcome->judgement.detail;
        return outcome->judgement.step == RESPONSE_UNAVAILABLE;
    default:
        return false;
    }
}

static void loop_note_endpoint(struct link_loop *loop, const struct transfer *transfer,
                               const struct attempt_outcome *outcome)
{
    enum link_failure failure;
    const char *detail;
    if (loop_failure(outcome, &failure, &detail))
        endpoint_failed(loop->endpoints, transfer->endpoint, failure, detail, clock_monotonic_ms(),
                        loop_random());
    else if (outcome->status > 0)
        endpoint_succeeded(loop->endpoints, transfer->endpoint);
    else
        endpoint_released(loop->endpoints, transfer->endpoint);
}

static void loop_end_attempt(struct link_loop *loop, struct transfer *transfer,
                             const struct attempt_outcome *outcome)
{
    const struct transfer_limits limits = {.resume_max = (unsigned)loop->config->resume_max,
                                           .endpoints = loop->endpoints->count};
    loop_drop_attempt(loop, transfer);
    loop_note_endpoint(loop, transfer, outcome);
    transfer_table_leave(&loop->table, transfer);
    transfer_conclude(transfer, outcome, &limits, clock_monotonic_ms(), loop_random());
    transfer_table_enter(&loop->table, transfer);
    if (transfer->state == TRANSFER_WAITING) {
        loop_due(loop, transfer->resume_at_ms);
        if (transfer->deadline_result == LINK_NOT_READY)
            mount_channel_send_preparing(&loop->mount, transfer);
    }
    if (outcome->end != ATTEMPT_JUDGED || transfer->state == TRANSFER_WAITING)
        log_debug("request %llu: %s", (unsigned long long)transfer->id,
                  outcome->end == ATTEMPT_JUDGED ? outcome->judgement.detail : outcome->detail);
}

static void loop_cancel(void *context, struct transfer *transfer)
{
    struct link_loop *loop = context;
    if (transfer->attempt)
        endpoint_released(loop->endpoints, transfer->endpoint);
    loop_drop_attempt(loop, transfer);
    transfer_table_leave(&loop->table, transfer);
    transfer_finish(transfer, LINK_CANCELLED, "");
    transfer_table_enter(&loop->table, transfer);
}

static void loop_expire(struct link_loop *loop, struct transfer *transfer)
{
    /* Not even connected: somebody with more patience would have learnt that nobody answers. */
    if (transfer->attempt && !transfer->attempt->sent)
        endpoint_failed(loop->endpoints, transfer->endpoint, LINK_FAILED_CONNECT,
                        "no connection before the deadline", clock_monotonic_ms(), loop_random());
    else if (transfer->attempt)
        endpoint_released(loop->endpoints, transfer->endpoint);
    loop_drop_attempt(loop, transfer);
    transfer_table_leave(&loop->table, transfer);
    transfer_expire(transfer);
    transfer_table_enter(&loop->table, transfer);
}

static void loop_start(struct link_loop *loop, struct transfer *transfer, int64_t now_ms)
{
    transfer_table_leave(&loop->table, transfer);
    int r = attempt_new(&loop->setting, transfer, now_ms);
    if (r == 0 && curl_multi_add_handle(loop->multi, transfer->attempt->easy) != CURLM_OK) {
        transfer->attempt = attempt_free(transfer->attempt);
        r = -ENOMEM;
    }
    if (r < 0) {
        endpoint_released(loop->endpoints, transfer->endpoint);
        transfer_finish(transfer, LINK_INTERNAL, strerror(-r));
    } else {
        transfer->state = TRANSFER_ACTIVE;
    }
    transfer_table_enter(&loop->table, transfer);
}

/* False when it was put off: no address lets a request through. */
static bool loop_find_endpoint(struct link_loop *loop, struct transfer *transfer, int64_t now_ms)
{
    char detail[LINK_DETAIL_MAX];
    enum link_result result;
    int64_t at_ms = INT64_MAX;
    int index = endpoints_choose(loop->endpoints, transfer->tried, now_ms, &at_ms);
    if (index < 0 && transfer->tried) {
        transfer->tried = 0; /* what is left does not let us through: a new round */
        index = endpoints_choose(loop->endpoints, 0, now_ms, &at_ms);
    }
    if (index >= 0) {
        transfer->endpoint = (unsigned)index;
        return true;
    }
    transfer_table_leave(&loop->table, transfer);
    endpoints_explain(loop->endpoints, now_ms, detail, &result);
    transfer_hold(transfer, result, detail, at_ms);
    transfer_table_enter(&loop->table, transfer);
    loop_due(loop, at_ms);
    return false;
}

/* libcurl lets the first second's worth of a body through at once, so small ones would pass its
 * limit unseen: in front of the next one what came is paid off. Beside others that are on their
 * way it need not be all, or a large one would keep small ones from ever beginning. */
static bool loop_has_width(struct link_loop *loop, int64_t now_ms, int64_t *ret_at_ms)
{
    enum { OWED_BESIDE_OTHERS_MS = 500 };
    int64_t owed_ms = loop->table.active[TRANSFER_GET] > 0 ? OWED_BESIDE_OTHERS_MS : 0;
    return pace_paid(&loop->bytes, now_ms, owed_ms, ret_at_ms);
}

/* Bodies share the width of the line that is ours, as many as there are; a tenth is kept to pay off
 * what came too fast. */
static void loop_share_width(struct link_loop *loop)
{
    unsigned bucket = 0, active = loop->table.active[TRANSFER_GET];
    struct transfer *transfer = NULL;
    if (loop->config->bytes_per_second == 0 || active == 0)
        return;
    curl_off_t share = loop->config->bytes_per_second / 10 * 9 / active;
    while ((transfer = transfer_table_next(&loop->table, &bucket, transfer)))
        if (transfer->state == TRANSFER_ACTIVE && !transfer->request.head &&
            curl_easy_setopt(transfer->attempt->easy, CURLOPT_MAX_RECV_SPEED_LARGE,
                             share > 0 ? share : 1) != CURLE_OK)
            log_debug("libcurl takes no speed");
}

static void loop_start_ready(struct link_loop *loop, int64_t now_ms)
{
    const unsigned allowance[TRANSFER_KINDS] = {
        [TRANSFER_HEAD] = LINK_HEADS_MAX,
        [TRANSFER_GET] = (unsigned)loop->config->connections_max,
    };
    unsigned bodies = loop->table.active[TRANSFER_GET];
    for (enum transfer_kind kind = 0; kind < TRANSFER_KINDS; kind++) {
        struct transfer *transfer;
        while (loop->table.active[kind] < allowance[kind] &&
               (transfer = transfer_table_ready(&loop->table, kind))) {
            int64_t at_ms;
            if ((kind == TRANSFER_GET && !loop_has_width(loop, now_ms, &at_ms)) ||
                !pace_take(&loop->requests, now_ms, &at_ms)) {
                loop_due(loop, at_ms);
                break;
            }
            if (loop_find_endpoint(loop, transfer, now_ms))
                loop_start(loop, transfer, now_ms);
        }
    }
    if (loop->table.active[TRANSFER_GET] != bodies)
        loop_share_width(loop);
}

/* What is due for this one now; returns when it is next. */
static int64_t loop_check(struct link_loop *loop, struct transfer *transfer, int64_t now_ms)
{
    struct attempt_outcome outcome;
    if (transfer->state == TRANSFER_FINISHED)
        return INT64_MAX;
    if (now_ms >= transfer->deadline_ms) {
        loop_expire(loop, transfer);
        return INT64_MAX;
    }
    if (transfer->state == TRANSFER_ACTIVE &&
        attempt_stalled(transfer->attempt, now_ms, &outcome)) {
        loop_end_attempt(loop, transfer, &outcome);
        return transfer->state == TRANSFER_WAITING ? transfer->resume_at_ms : INT64_MAX;
    }
    if (transfer->state == TRANSFER_WAITING && now_ms >= transfer->resume_at_ms) {
        transfer->state = TRANSFER_READY;
        transfer_table_enter(&loop->table, transfer);
    }

    int64_t next_ms = transfer->deadline_ms;
    if (transfer->state == TRANSFER_WAITING && transfer->resume_at_ms < next_ms)
        next_ms = transfer->resume_at_ms;
    if (transfer->state == TRANSFER_ACTIVE && attempt_stall_due_ms(transfer->attempt) < next_ms)
        next_ms = attempt_stall_due_ms(transfer->attempt);
    return next_ms;
}

static void loop_check_due(struct link_loop *loop, int64_t now_ms)
{
    if (now_ms < loop->due_ms)
        return;
    int64_t due_ms = INT64_MAX;
    unsigned bucket = 0;
    struct transfer *transfer = NULL;
    while ((transfer = transfer_table_next(&loop->table, &bucket, transfer))) {
        int64_t next_ms = loop_check(loop, transfer, now_ms);
        if (next_ms < due_ms)
            due_ms = next_ms;
    }
    loop->due_ms = due_ms;
}

static void loop_collect(struct link_loop *loop)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(loop->multi, &left))) {
        struct transfer *transfer = NULL;
        struct attempt_outcome outcome;
        if (message->msg == CURLMSG_DONE &&
            (list_gets_ended(&loop->lists, message->easy_handle, message->data.result) ||
             link_test_ended(&loop->test, message->easy_handle, message->data.result)))
            continue;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) != CURLE_OK)
            continue;
        attempt_outcome(transfer->attempt, message->data.result, &outcome);
        loop_end_attempt(loop, transfer, &outcome);
    }
}

/* The kosekifs-mount that asked is gone; its successor asks anew, with files of its own. */
static void loop_abandon(struct link_loop *loop)
{
    mount_channel_done(&loop->mount);
    list_gets_abandon(&loop->lists);
    link_test_abandon(&loop->test);
    unsigned bucket = 0;
    struct transfer *transfer = NULL;
    while ((transfer = transfer_table_next(&loop->table, &bucket, transfer))) {
        if (transfer->state != TRANSFER_FINISHED)
            loop_cancel(loop, transfer);
    }
    mount_channel_send_finished(&loop->mount, &loop->table);
}

static int loop_take_peer(struct link_loop *loop, struct ipc_message *message)
{
    struct room_peer peer;
    int r = ipc_message_take(message, &peer, sizeof peer, 1);
    if (r < 0)
        return r;
    if (peer.role == ROOM_KEYS) {
        sign_channel_connect(loop->channel, steal_fd(&message->fds[0]));
    } else if (peer.role == ROOM_MOUNT) {
        loop_abandon(loop);
        loop->endpoints->changed = true; /* it knows of none */
        r = mount_channel_connect(&loop->mount, steal_fd(&message->fds[0]));
    } else {
        r = -EBADMSG;
    }
    return r;
}

/* IPC_CLOSED: the supervisor is gone. */
static int loop_read_room(struct link_loop *loop)
{
    struct ipc_message message;
    for (;;) {
        int r = ipc_receive(ROOM_FD, &message);
        if (r == -EAGAIN)
            return 0;
        if (r != 0)
            return r;
        if (message.type == ROOM_PEER)
            r = loop_take_peer(loop, &message);
        else if (message.type == ROOM_ALIVE)
            room_answer_alive(&message, NULL, 0);
        else
            r = -EBADMSG;
        ipc_message_done(&message);
        if (r < 0) {
            log_error("the supervisor sent a message that makes no sense");
            return r;
        }
    }
}

static int loop_wait(struct link_loop *loop)
{
    struct curl_waitfd fds[2] = {{.fd = ROOM_FD, .events = CURL_WAIT_POLLIN}};
    unsigned count = 1;
    if (loop->mount.fd >= 0) {
        bool write = mount_channel_wants_write(&loop->mount, &loop->table);
        fds[count].fd = loop->mount.fd;
        fds[count].events = write ? CURL_WAIT_POLLOUT : CURL_WAIT_POLLIN;
        count++;
    }
    int64_t wait_ms = loop->due_ms == INT64_MAX ? POLL_MAX_MS : loop->due_ms - clock_monotonic_ms();
    if (wait_ms < 0)
        wait_ms = 0;
    if (wait_ms > POLL_MAX_MS)
        wait_ms = POLL_MAX_MS;
    return curl_multi_poll(loop->multi, fds, count, (int)wait_ms, NULL) == CURLM_OK ? 0 : -EIO;
}

static void loop_read_mount(struct link_loop *loop)
{
    uint64_t arrivals = loop->table.arrivals;
    if (mount_channel_read(&loop->mount, &loop->table, loop_cancel, loop) == IPC_CLOSED)
        loop_abandon(loop);
    if (loop->table.arrivals != arrivals)
        loop->due_ms = 0; /* new deadlines: look at all once */
}

/* At once when a circuit opened or closed, else with the other figures once a second while there
 * is something to do. */
static void loop_tell_states(struct link_loop *loop, int64_t now_ms)
{
    if (loop->mount.fd < 0 ||
        (!loop->endpoints->changed &&
         (loop->table.count == 0 || now_ms - loop->states_told_ms < STATES_EVERY_MS)))
        return;
    for (unsigned i = 0; i < loop->endpoints->count; i++)
        if (link_message_send_endpoint(loop->mount.fd, i, &loop->endpoints->list[i].state) < 0)
            return; /* its socket is full: later */
    loop->endpoints->changed = false;
    loop->states_told_ms = now_ms;
}

int link_loop_run(struct link_loop *loop)
{
    int flags = fcntl(ROOM_FD, F_GETFL);
    if (flags < 0 || fcntl(ROOM_FD, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    for (;;) {
        int r = loop_read_room(loop);
        if (r != 0)
            return r == IPC_CLOSED ? 0 : r;
        loop_read_mount(loop);
        loop_check_due(loop, clock_monotonic_ms());
        loop_start_ready(loop, clock_monotonic_ms());
        loop_due(loop, link_test_go_on(&loop->test, clock_monotonic_ms()));

        int running;
        if (curl_multi_perform(loop->multi, &running) != CURLM_OK)
            return -EIO;
        loop_collect(loop);
        list_gets_tell(&loop->lists, loop->mount.fd);
        link_test_tell(&loop->test, loop->mount.fd);
        mount_channel_send_finished(&loop->mount, &loop->table);
        loop_start_ready(loop, clock_monotonic_ms());
        loop_due(loop, link_test_go_on(&loop->test, clock_monotonic_ms()));
        loop_tell_states(loop, clock_monotonic_ms());
        r = loop_wait(loop);
        if (r < 0)
            return r;
    }
}

/* A request whose file we cannot take is one nobody would hear of again, so the limit on
 * descriptors bounds the requests. */
static unsigned loop_capacity(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur <= DESCRIPTORS_RESERVED)
        return 0;
    rlim_t free_count = limit.rlim_cur - DESCRIPTORS_RESERVED;
    return free_count < TRANSFERS_MAX ? (unsigned)free_count : TRANSFERS_MAX;
}

struct link_loop *link_loop_new(const struct link_setup *setup, struct endpoints *endpoints,
                                struct tls *tls, struct sign_channel *channel)
{
    _cleanup_link_loop_ struct link_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    const struct config_link *config = &setup->link;
    loop->config = config;
    loop->endpoints = endpoints;
    loop->requests.per_second = config->requests_per_second;
    loop->bytes.per_second = config->bytes_per_second;
    loop->channel = channel;
    loop->due_ms = INT64_MAX;
    mount_channel_init(&loop->mount);
    transfer_table_init(&loop->table, loop_capacity());
    loop->multi = curl_multi_init();
    list_gets_init(&loop->lists, loop->multi, config);
    loop->mount.lists = &loop->lists;
    loop->mount.test = &loop->test;
    loop->setting = (struct attempt_setting){
        .config = config,
        .profile = &setup->profile,
        .endpoints = endpoints,
        .tls = tls,
        .channel = channel,
        .share = curl_share_init(),
        .progress = loop_on_progress,
        .due = loop_due,
        .context = loop,
    };
    link_test_init(&loop->test, loop->multi, &loop->setting, &loop->requests, &loop->bytes);
    if (!loop->multi || !loop->setting.share || loop->table.capacity == 0 ||
        attempt_resolve_list(config, endpoints, &loop->setting.resolve) < 0)
        return NULL;
    /* One thread, so the share needs no locks. */
    if (curl_share_setopt(loop->setting.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
            CURLSHE_OK ||
        curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS,
                          (long)config->connections_max + LINK_HEADS_MAX) != CURLM_OK)
        return NULL;
    return steal_ptr(&loop);
}

struct link_loop *link_loop_free(struct link_loop *loop)
{
    if (!loop)
        return NULL;
    loop_abandon(loop);
    if (loop->multi)
        curl_multi_cleanup(loop->multi);
    if (loop->setting.share)
        curl_share_cleanup(loop->setting.share);
    curl_slist_free_all(loop->setting.resolve);
    free(loop);
    return NULL;
}
