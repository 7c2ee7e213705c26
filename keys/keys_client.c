/*
 * One call at a time holds the turn; only that call receives on the connection, so an answer is its
 * own if the id is. A new connection may come at any moment without waiting for the call: the old
 * one is shut down, which wakes the call, and the call closes it when it lets go.
 *
 * Asking again after a lost connection is harmless: a data key that was generated and never told
 * protects nothing.
 */
#include "keys/keys_client.h"

#include "base/ipc.h"
#include "keys/wrap_protocol.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct keys_client {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of anything below */
    bool turn_taken;        /* lock */
    bool last;              /* lock; no other connection will come */
    int fd;                 /* lock; -1 = no connection */
    int fd_in_use;          /* lock; of the call that has the turn, -1 = none */
    uint64_t next_id;       /* lock */
};

/* What a call asks and where its answer goes. */
struct question {
    uint32_t type;
    const void *payload;
    size_t size;
    uint32_t answer_type;
    void *answer;
    size_t answer_size;
};

int keys_client_new(struct keys_client **ret_client)
{
    struct keys_client *client = calloc(1, sizeof *client);
    if (!client)
        return -ENOMEM;
    client->fd = -1;
    client->fd_in_use = -1;
    client->next_id = 1;
    pthread_condattr_t attributes;
    int r = pthread_condattr_init(&attributes);
    if (r == 0) {
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        r = pthread_cond_init(&client->changed, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    if (r == 0) {
        r = pthread_mutex_init(&client->lock, NULL);
        if (r != 0)
            pthread_cond_destroy(&client->changed);
    }
    if (r != 0) {
        free(client);
        return -r;
    }
    *ret_client = client;
    return 0;
}

struct keys_client *keys_client_free(struct keys_client *client)
{
    if (!client)
        return NULL;
    cleanup_close(&client->fd);
    pthread_mutex_destroy(&client->lock);
    pthread_cond_destroy(&client->changed);
    free(client);
    return NULL;
}

void keys_client_connect(struct keys_client *client, int fd)
{
    pthread_mutex_lock(&client->lock);
    if (client->fd >= 0 && client->fd == client->fd_in_use)
        shutdown(client->fd, SHUT_RDWR);
    else
        cleanup_close(&client->fd);
    client->fd = fd;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

/* The condition's clock: clock_monotonic_ms() may be another one. */
static struct timespec deadline_in(int timeout_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

static int left_ms(const struct timespec *deadline)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left = ((int64_t)deadline->tv_sec - now.tv_sec) * 1000 +
                   ((int64_t)deadline->tv_nsec - now.tv_nsec) / 1000000;
    return left > 0 ? (int)left : 0;
}

static int take_turn(struct keys_client *client, const struct timespec *deadline)
{
    int r = 0;
    pthread_mutex_lock(&client->lock);
    while (client->turn_taken && r == 0)
        r = pthread_cond_timedwait(&client->changed, &client->lock, deadline);
    if (!client->turn_taken) {
        client->turn_taken = true;
        r = 0;
    }
    pthread_mutex_unlock(&client->lock);
    return r == 0 ? 0 : -ETIMEDOUT;
}

static void leave_turn(struct keys_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->turn_taken = false;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

void keys_client_expect_no_other(struct keys_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->last = true;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

/* -EHOSTDOWN if none comes in time. */
static int borrow_connection(struct keys_client *client, const struct timespec *deadline,
                             int *ret_fd, uint64_t *ret_id)
{
    int r = 0;
    pthread_mutex_lock(&client->lock);
    while (client->fd < 0 && !client->last && r == 0)
        r = pthread_cond_timedwait(&client->changed, &client->lock, deadline);
    bool there = client->fd >= 0;
    if (there) {
        client->fd_in_use = client->fd;
        *ret_fd = client->fd;
        *ret_id = client->next_id++;
    }
    pthread_mutex_unlock(&client->lock);
    return there ? 0 : -EHOSTDOWN;
}

static void return_connection(struct keys_client *client, bool broken)
{
    pthread_mutex_lock(&client->lock);
    bool replaced = client->fd != client->fd_in_use;
    if (replaced || broken)
        cleanup_close(&client->fd_in_use);
    if (!replaced && broken)
        client->fd = -1;
    client->fd_in_use = -1;
    pthread_mutex_unlock(&client->lock);
}

/* Waits for the answer with this id. What belongs to an earlier call, given up by then, is read and
 * forgotten. -EPIPE: the connection is of no more use. */
static int await_answer(int fd, uint64_t id, const struct question *question,
                        const struct timespec *deadline)
{
    struct ipc_message message;
    for (;;) {
        int r = ipc_receive_timeout(fd, left_ms(deadline), &message);
        if (r == -ETIMEDOUT)
            return r;
        if (r != 0)
            return -EPIPE;
        bool ours = message.id == id;
        struct keys_refused refused;
        r = -EPIPE;
        if (ours && message.type == question->answer_type)
            r = ipc_message_take(&message, question->answer, question->answer_size, 0);
        else if (ours && message.type == KEYS_REFUSED &&
                 ipc_message_take(&message, &refused, sizeof refused, 0) == 0)
            r = -EPERM;
        wipe(message.payload, message.size);
        ipc_message_done(&message);
        if (ours)
            return r == -EBADMSG ? -EPIPE : r;
        if (left_ms(deadline) == 0)
            return -ETIMEDOUT;
    }
}

/* Sending can block when kosekifs-keys hangs and the queue is full, so it gets the deadline too. */
static int send_question(int fd, uint64_t id, const struct question *question,
                         const struct timespec *deadline)
{
    int left = left_ms(deadline);
    struct timeval limit = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 + 1};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
        return -EPIPE;
    int r = ipc_send(fd, question->type, id, question->payload, question->size, NULL, 0);
    return r == -EAGAIN ? -ETIMEDOUT : r < 0 ? -EPIPE : 0;
}

static int ask(struct keys_client *client, const struct question *question)
{
    struct timespec deadline = deadline_in(KEYS_TIMEOUT_MS);
    int r = take_turn(client, &deadline);
    if (r < 0)
        return r;
    do {
        int fd = -1;
        uint64_t id = 0;
        r = borrow_connection(client, &deadline, &fd, &id);
        if (r < 0)
            break;
        r = send_question(fd, id, question, &deadline);
        if (r == 0)
            r = await_answer(fd, id, question, &deadline);
        return_connection(client, r == -EPIPE || r == -EPERM);
    } while (r == -EPIPE);
    leave_turn(client);
    return r;
}

static int fill_aad(struct keys_aad *out, const void *aad, size_t aad_size)
{
    if (aad_size > KEYS_AAD_MAX)
        return -EINVAL;
    out->size = (uint32_t)aad_size;
    if (aad_size > 0)
        memcpy(out->bytes, aad, aad_size);
    return 0;
}

/* A peer may claim any number; only negative errno mean something to our callers. */
static int answer_error(int32_t error)
{
    return error == 0 ? 0 : error < 0 && error > -4096 ? error : -EPROTO;
}

int keys_client_generate(struct keys_client *client, const void *aad, size_t aad_size,
                         uint8_t ret_key[AEAD_KEY_SIZE], uint8_t ret_wrapped[KEYS_WRAPPED_SIZE])
{
    struct keys_generate request = {0};
    struct keys_generated answer = {0};
    int r = fill_aad(&request.aad, aad, aad_size);
    if (r < 0)
        return r;
    r = ask(client, &(struct question){.type = KEYS_GENERATE,
                                       .payload = &request,
                                       .size = sizeof request,
                                       .answer_type = KEYS_GENERATED,
                                       .answer = &answer,
                                       .answer_size = sizeof answer});
    if (r == 0)
        r = answer_error(answer.error);
    if (r == 0) {
        memcpy(ret_key, answer.key, sizeof answer.key);
        memcpy(ret_wrapped, answer.wrapped, sizeof answer.wrapped);
    }
    wipe(&answer, sizeof answer);
    return r;
}

int keys_client_unwrap(struct keys_client *client, const void *aad, size_t aad_size,
                       const uint8_t wrapped[KEYS_WRAPPED_SIZE], uint8_t ret_key[AEAD_KEY_SIZE])
{
    struct keys_unwrap request = {0};
    struct keys_unwrapped answer = {0};
    int r = fill_aad(&request.aad, aad, aad_size);
    if (r < 0)
        return r;
    memcpy(request.wrapped, wrapped, sizeof request.wrapped);
    r = ask(client, &(struct question){.type = KEYS_UNWRAP,
                                       .payload = &request,
                                       .size = sizeof request,
                                       .answer_type = KEYS_UNWRAPPED,
                                       .answer = &answer,
                                       .answer_size = sizeof answer});
    if (r == 0)
        r = answer_error(answer.error);
    if (r == 0)
        memcpy(ret_key, answer.key, sizeof answer.key);
    wipe(&answer, sizeof answer);
    return r;
}

int keys_client_rewrap(struct keys_client *client, const void *aad, size_t aad_size,
                       const uint8_t wrapped[KEYS_WRAPPED_SIZE],
                       uint8_t ret_wrapped[KEYS_WRAPPED_SIZE])
{
    struct keys_unwrap request = {0};
    struct keys_rewrapped answer = {0};
    int r = fill_aad(&request.aad, aad, aad_size);
    if (r < 0)
        return r;
    memcpy(request.wrapped, wrapped, sizeof request.wrapped);
    r = ask(client, &(struct question){.type = KEYS_REWRAP,
                                       .payload = &request,
                                       .size = sizeof request,
                                       .answer_type = KEYS_REWRAPPED,
                                       .answer = &answer,
                                       .answer_size = sizeof answer});
    if (r < 0)
        return r;
    if (answer.outcome == KEYS_CURRENT)
        return KEYS_CURRENT;
    r = answer_error(answer.outcome);
    if (r == 0)
        memcpy(ret_wrapped, answer.wrapped, sizeof answer.wrapped);
    return r;
}

int keys_client_generations(struct keys_client *client, struct keys_generations *ret_generations)
{
    struct keys_generations answer;
    int r = ask(client, &(struct question){.type = KEYS_LIST,
                                           .answer_type = KEYS_LISTED,
                                           .answer = &answer,
                                           .answer_size = sizeof answer});
    if (r < 0)
        return r;
    if (answer.count == 0 || answer.count > KEYS_GENERATION_MAX)
        return -EPROTO;
    *ret_generations = answer;
    return 0;
}

int keys_client_status(struct keys_client *client, uint64_t instance,
                       const struct keys_uses *recorded, struct keys_status *ret_status)
{
    const struct keys_ask_status request = {.instance = instance, .recorded = *recorded};
    struct keys_status answer;
    int r = ask(client, &(struct question){.type = KEYS_ASK_STATUS,
                                           .payload = &request,
                                           .size = sizeof request,
                                           .answer_type = KEYS_STATUS,
                                           .answer = &answer,
                                           .answer_size = sizeof answer});
    if (r < 0)
        return r;
    if (!ipc_text_ok(answer.subject, sizeof answer.subject) ||
        answer.master_source >= KEYS_SOURCE_END || answer.tls_source >= KEYS_SOURCE_END ||
        answer.token >= KEYS_TOKEN_END || answer.generation_count > KEYS_GENERATION_MAX)
        return -EPROTO;
    *ret_status = answer;
    return 0;
}

int keys_client_sign_checkpoint(struct keys_client *client, const void *statement, size_t size,
                                uint8_t ret_signature[KEYS_SIGNATURE_SIZE],
                                uint8_t ret_public_key[KEYS_PUBLIC_KEY_SIZE])
{
    struct keys_signed answer = {0};
    if (size == 0 || size > KEYS_STATEMENT_MAX)
        return -EINVAL;
    int r = ask(client, &(struct question){.type = KEYS_SIGN,
                                           .payload = statement,
                                           .size = size,
                                           .answer_type = KEYS_SIGNED,
                                           .answer = &answer,
                                           .answer_size = sizeof answer});
    if (r == 0)
        r = answer_error(answer.error);
    if (r == 0) {
        memcpy(ret_signature, answer.signature, sizeof answer.signature);
        memcpy(ret_public_key, answer.public_key, sizeof answer.public_key);
    }
    return r;
}
