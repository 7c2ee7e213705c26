/* See control.h: sockets, lines, deadlines. What commands do is in control_commands.c. */
#include "fs/control.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "fs/second_person.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { POLL_MS = 1000 };

struct peer {
    int fd; /* -1: free */
    uint64_t id;
    bool waiting; /* for control_answer() */
    int64_t idle_since_ms;
    struct caller caller;
    int fds[CONTROL_FDS_MAX]; /* that came with the line under way; -1 = none */
    struct buffer in, out;
    size_t sent;
};

struct answer {
    struct answer *next;
    uint64_t peer;
    struct json *reply;
};

struct control {
    struct mountfs *fs;
    int listen_fd, wake;
    pthread_t thread;
    uint64_t next_peer;
    struct second_person *second;
    struct peer peers[CONTROL_PEERS_MAX]; /* the thread's own */
    pthread_mutex_t lock;                 /* guards what follows */
    bool ending;
    struct answer *answers;
};

static void peer_close_fds(struct peer *peer)
{
    for (unsigned i = 0; i < CONTROL_FDS_MAX; i++) {
        cleanup_close(&peer->fds[i]);
        peer->fds[i] = -1;
    }
}

static void peer_close(struct peer *peer)
{
    peer_close_fds(peer);
    cleanup_close(&peer->fd);
    peer->fd = -1;
    buffer_done(&peer->in);
    buffer_done(&peer->out);
}

/* The kernel's word on who is at the other end, and in which groups. */
static int peer_identify(int fd, struct caller *ret_caller)
{
    struct ucred credentials;
    gid_t groups[CALLER_GROUPS_MAX];
    socklen_t size = sizeof credentials, groups_size = sizeof groups;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &groups_size) < 0)
        groups_size = 0; /* more than we count: the primary group alone */
    caller_of_groups(credentials.uid, credentials.gid, groups, groups_size / sizeof *groups,
                     ret_caller);
    ret_caller->pid = credentials.pid;
    return 0;
}

/* A free place; NULL if there is none, or none for this uid. */
static struct peer *place_for(struct control *control, uid_t uid)
{
    struct peer *place = NULL;
    unsigned of_one = 0;
    for (unsigned i = 0; i < CONTROL_PEERS_MAX; i++) {
        struct peer *peer = &control->peers[i];
        if (peer->fd < 0)
            place = peer;
        else
            of_one += peer->caller.uid == uid;
    }
    return of_one < CONTROL_PEERS_OF_ONE_MAX ? place : NULL;
}

static void accept_peer(struct control *control)
{
    _cleanup_close_ int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct caller caller;
    if (fd < 0 || peer_identify(fd, &caller) < 0)
        return;
    struct peer *peer = place_for(control, caller.uid);
    if (!peer) {
        log_info("control socket: too many peers, one of uid %u turned away", caller.uid);
        return;
    }
    *peer = (struct peer){.fd = steal_fd(&fd),
                          .id = ++control->next_peer,
                          .caller = caller,
                          .idle_since_ms = clock_monotonic_ms(),
                          .fds = {-1, -1}};
    buffer_init(&peer->in, CONTROL_REQUEST_MAX);
    buffer_init(&peer->out, CONTROL_REPLY_MAX);
}

/* Queues a reply; false if the peer must be cut off. Takes `reply`. */
static bool peer_reply(struct peer *peer, struct json *reply)
{
    static const char short_of_memory[] = "{\"ok\":false,\"error\":\"memory is short\"}";
    _cleanup_json_ struct json *owned = reply;
    _cleanup_free_ char *text = owned ? json_print(owned) : NULL;
    const char *line = text ? text : short_of_memory;
    if (buffer_append(&peer->out, line, strlen(line)) < 0)
        return false;
    return buffer_append(&peer->out, "\n", 1) == 0;
}

static struct json *reply_of_error(const char *text)
{
    _cleanup_json_ struct json *reply = json_object_new();
    if (!reply || json_set_bool(reply, "ok", false) < 0 || json_set_text(reply, "error", text) < 0)
        return NULL;
    return steal_ptr(&reply);
}

static bool peer_line(struct control *control, struct peer *peer, const char *line, size_t size)
{
    _cleanup_json_ struct json *request = NULL;
    bool later = false;
    if (json_parse(line, size, &request) < 0 || !json_is_object(request))
        return peer_reply(peer, reply_of_error("not a JSON object"));
    const struct control_call call = {
        .control = control,
        .fs = control->fs,
        .second = control->second,
        .caller = &peer->caller,
        .asked_by = peer->caller.uid,
        .peer = peer->id,
        .request = request,
        .fds = peer->fds,
    };
    struct json *reply = control_command(&call, &later);
    peer_close_fds(peer);
    peer->waiting = later;
    return later || peer_reply(peer, reply);
}

/* Takes whole lines off the input, one command at a time. */
static bool peer_lines(struct control *control, struct peer *peer)
{
    while (!peer->waiting && peer->out.size == peer->sent) {
        const uint8_t *end = peer->in.size ? memchr(peer->in.data, '\n', peer->in.size) : NULL;
        if (!end)
            return true;
        size_t size = (size_t)(end - peer->in.data);
        bool kept = peer_line(control, peer, (const char *)peer->in.data, size);
        peer->in.size -= size + 1;
        memmove(peer->in.data, peer->in.data + size + 1, peer->in.size);
        peer->idle_since_ms = clock_monotonic_ms();
        if (!kept)
            return false;
    }
    return true;
}

/* False if there are more than a command takes. */
static bool peer_take_fds(struct peer *peer, struct msghdr *message)
{
    bool fit = (message->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            unsigned place = 0;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            while (place < CONTROL_FDS_MAX && peer->fds[place] >= 0)
                place++;
            if (place < CONTROL_FDS_MAX)
                peer->fds[place] = fd;
            else
                close(fd);
            fit = fit && place < CONTROL_FDS_MAX;
        }
    }
    return fit;
}

static bool peer_receive(struct peer *peer)
{
    char chunk[4096];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
    struct iovec part = {.iov_base = chunk, .iov_len = sizeof chunk};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(peer->fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (!peer_take_fds(peer, &message) || got == 0)
        return false;
    return buffer_append(&peer->in, chunk, (size_t)got) == 0; /* too long a request: cut off */
}

static bool peer_send(struct peer *peer)
{
    ssize_t sent =
        send(peer->fd, peer->out.data + peer->sent, peer->out.size - peer->sent, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    peer->sent += (size_t)sent;
    peer->idle_since_ms = clock_monotonic_ms();
    if (peer->sent == peer->out.size)
        peer->sent = peer->out.size = 0;
    return true;
}

static void serve_peer(struct control *control, struct peer *peer, short events, int64_t now_ms)
{
    bool kept = true;
    if (events & POLLOUT)
        kept = peer_send(peer);
    else if (events & (POLLIN | POLLHUP | POLLERR))
        kept = peer_receive(peer);
    kept = kept && peer_lines(control, peer);
    int64_t patience_ms = CONTROL_IDLE_MS;
    if (peer->waiting) /* what it waits for ends by deadlines of its own */
        patience_ms += CONTROL_WORK_MS;
    if (now_ms - peer->idle_since_ms > patience_ms)
        kept = false;
    if (!kept)
        peer_close(peer);
}

static bool deliver_answers(struct control *control)
{
    pthread_mutex_lock(&control->lock);
    struct answer *answer = steal_ptr(&control->answers);
    bool ending = control->ending;
    pthread_mutex_unlock(&control->lock);
    while (answer) {
        struct answer *next = answer->next;
        struct peer *found = NULL;
        for (unsigned i = 0; i < CONTROL_PEERS_MAX; i++)
            if (control->peers[i].fd >= 0 && control->peers[i].id == answer->peer)
                found = &control->peers[i];
        if (found) {
            found->waiting = false;
            found->idle_since_ms = clock_monotonic_ms();
            if (!peer_reply(found, steal_ptr(&answer->reply)))
                peer_close(found);
        }
        json_free(answer->reply);
        free(answer);
        answer = next;
    }
    return !ending;
}

static void *control_run(void *argument)
{
    struct control *control = argument;
    while (deliver_answers(control)) {
        struct pollfd fds[CONTROL_PEERS_MAX + 2];
        fds[0] = (struct pollfd){.fd = control->wake, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
        for (unsigned i = 0; i < CONTROL_PEERS_MAX; i++) {
            const struct peer *peer = &control->peers[i];
            short events = peer->out.size > peer->sent ? POLLOUT : peer->waiting ? 0 : POLLIN;
            fds[i + 2] = (struct pollfd){.fd = peer->fd, .events = events};
        }
        if (poll(fds, CONTROL_PEERS_MAX + 2, POLL_MS) < 0)
            continue;
        uint64_t wakes;
        if (fds[0].revents && read(control->wake, &wakes, sizeof wakes) < 0)
            log_debug("control: woken for nothing");
        int64_t now_ms = clock_monotonic_ms();
        for (unsigned i = 0; i < CONTROL_PEERS_MAX; i++)
            if (control->peers[i].fd >= 0)
                serve_peer(control, &control->peers[i], fds[i + 2].revents, now_ms);
        if (fds[1].revents & POLLIN)
            accept_peer(control);
    }
    /* What was answered last, to those who read at once. */
    for (unsigned i = 0; i < CONTROL_PEERS_MAX; i++) {
        struct peer *peer = &control->peers[i];
        if (peer->fd >= 0 && peer->out.size > peer->sent && !peer_send(peer))
            peer_close(peer);
    }
    return NULL;
}

int control_new(struct mountfs *fs, int listen_fd, struct control **ret_control)
{
    _cleanup_close_ int listening = listen_fd;
    struct control *control = calloc(1, sizeof *control);
    if (!control)
        return -ENOMEM;
    control->fs = fs;
    pthread_mutex_init(&control->lock, NULL);
    for (unsigned i = 0; i < CONTROL_PEERS_MAX; i++)
        control->peers[i].fd = -1;
    control->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    control->listen_fd = steal_fd(&listening);
    control->second = second_person_new();
    int error = control->wake < 0 ? errno : control->second ? 0 : ENOMEM;
    if (!error)
        error = pthread_create(&control->thread, NULL, control_run, control);
    if (error) {
        second_person_free(control->second);
        cleanup_close(&control->wake);
        cleanup_close(&control->listen_fd);
        pthread_mutex_destroy(&control->lock);
        free(control);
        return -error;
    }
    *ret_control = control;
    return 0;
}

static void control_wake(struct control *control)
{
    uint64_t one = 1;
    if (write(control->wake, &one, sizeof one) < 0)
        log_debug("eventfd full");
}

void control_stop(struct control *control)
{
    pthread_mutex_lock(&control->lock);
    control->ending = true;
    pthread_mutex_unlock(&control->lock);
    control_wake(control);
    pthread_join(control->thread, NULL);
}

struct control *control_free(struct control *control)
{
    if (!control)
        return NULL;
    while (control->answers) {
        struct answer *answer = control->answers;
        control->answers = answer->next;
        json_free(answer->reply);
        free(answer);
    }
    for (unsigned i = 0; i < CONTROL_PEERS_MAX; i++)
        if (control->peers[i].fd >= 0)
            peer_close(&control->peers[i]);
    second_person_free(control->second);
    cleanup_close(&control->wake);
    cleanup_close(&control->listen_fd);
    pthread_mutex_destroy(&control->lock);
    free(control);
    return NULL;
}

void control_answer(struct control *control, uint64_t peer, struct json *reply)
{
    struct answer *answer = malloc(sizeof *answer);
    if (!answer) {
        json_free(reply);
        return; /* the peer is cut off when its patience ends */
    }
    pthread_mutex_lock(&control->lock);
    *answer = (struct answer){.next = control->answers, .peer = peer, .reply = reply};
    control->answers = answer;
    pthread_mutex_unlock(&control->lock);
    control_wake(control);
}
