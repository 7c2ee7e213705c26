/*
 * Answers are matched by id: one that comes after its question was given up is dropped, not taken
 * for the next one's.
 */
#include "transport/sign_channel.h"

#include "base/clock.h"
#include "base/ipc.h"

#include <string.h>

void sign_channel_init(struct sign_channel *channel, bool tls12)
{
    *channel = (struct sign_channel){.fd = -1, .tls12 = tls12};
}

void sign_channel_done(struct sign_channel *channel)
{
    cleanup_close(&channel->fd);
    channel->fd = -1;
}

void sign_channel_connect(struct sign_channel *channel, int fd)
{
    sign_channel_done(channel);
    channel->fd = fd;
    channel->resting_until_ms = 0;
}

/* RFC 8446 4.4.3: 64 spaces, the context string, a zero byte, a transcript hash. */
static bool is_tls13(struct bytes content)
{
    static const char context[] = "TLS 1.3, client CertificateVerify"; /* its NUL is the zero */
    enum { SPACES = 64 };
    if (content.size <= SPACES + sizeof context)
        return false;
    size_t hash_size = content.size - SPACES - sizeof context;
    if (hash_size != 32 && hash_size != 48)
        return false;
    for (size_t i = 0; i < SPACES; i++) {
        if (content.data[i] != ' ')
            return false;
    }
    return memcmp(content.data + SPACES, context, sizeof context) == 0;
}

/* The reasons that have words of their own. */
static int sign_channel_error(int32_t error)
{
    switch (error) {
    case -EPERM:
    case -ENODEV:
    case -EACCES:
        return error;
    case -EAGAIN:
        return -EBUSY;
    default:
        return -EIO;
    }
}

/* 0, or -EAGAIN for an answer to an earlier question. */
static int sign_channel_take(const struct ipc_message *message, uint64_t id, uint8_t *ret_signature,
                             size_t ret_max, size_t *ret_size)
{
    struct sign_reply reply;
    if (message->type != SIGN_REPLY)
        return -EBADMSG;
    int r = ipc_message_take(message, &reply, sizeof reply, 0);
    if (r < 0)
        return r;
    if (message->id != id)
        return message->id < id ? -EAGAIN : -EBADMSG;
    if (reply.error != 0)
        return sign_channel_error(reply.error);
    if (reply.signature_size == 0 || reply.signature_size > sizeof reply.signature)
        return -EBADMSG;
    if (reply.signature_size > ret_max)
        return -ENOBUFS;
    memcpy(ret_signature, reply.signature, reply.signature_size);
    *ret_size = reply.signature_size;
    return 0;
}

static int sign_channel_await(struct sign_channel *channel, uint64_t id, uint8_t *ret_signature,
                              size_t ret_max, size_t *ret_size)
{
    struct ipc_message message;
    int64_t deadline_ms = clock_monotonic_ms() + SIGN_TIMEOUT_MS;
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return -ETIMEDOUT;
        int r = ipc_receive_timeout(channel->fd, (int)left_ms, &message);
        if (r == IPC_CLOSED)
            return -EHOSTDOWN;
        if (r < 0)
            return r;
        r = sign_channel_take(&message, id, ret_signature, ret_max, ret_size);
        ipc_message_done(&message);
        if (r != -EAGAIN)
            return r;
    }
}

static int sign_channel_send(struct sign_channel *channel, uint32_t scheme, struct bytes content)
{
    struct sign_request request = {.scheme = scheme, .content_size = (uint32_t)content.size};
    memcpy(request.content, content.data, content.size);
    return ipc_send(channel->fd, SIGN_REQUEST, channel->next_id, &request, sizeof request, NULL, 0);
}

/* TLS 1.2 signs all handshake messages so far; whether they are that is for kosekifs-keys to see.
 */
static int sign_channel_send12(struct sign_channel *channel, uint32_t scheme, struct bytes content)
{
    uint8_t message[sizeof scheme + SIGN_HANDSHAKE_MAX];
    memcpy(message, &scheme, sizeof scheme);
    memcpy(message + sizeof scheme, content.data, content.size);
    return ipc_send(channel->fd, SIGN_REQUEST_TLS12, channel->next_id, message,
                    sizeof scheme + content.size, NULL, 0);
}

static int sign_channel_ask(struct sign_channel *channel, enum sign_scheme scheme,
                            struct bytes content, uint8_t *ret_signature, size_t ret_max,
                            size_t *ret_size)
{
    bool tls13 = is_tls13(content);
    if (tls13 ? content.size > SIGN_CONTENT_MAX
              : !channel->tls12 || content.size > SIGN_HANDSHAKE_MAX)
        return -EPERM;
    if (channel->fd < 0)
        return -EHOSTDOWN;
    if (clock_monotonic_ms() < channel->resting_until_ms)
        return -ETIMEDOUT;

    channel->next_id++;
    int r = tls13 ? sign_channel_send(channel, scheme, content)
                  : sign_channel_send12(channel, scheme, content);
    if (r < 0)
        return r == -EPIPE || r == -ECONNRESET ? -EHOSTDOWN : r;
    return sign_channel_await(channel, channel->next_id, ret_signature, ret_max, ret_size);
}

int sign_channel_sign(struct sign_channel *channel, enum sign_scheme scheme, struct bytes content,
                      uint8_t *ret_signature, size_t ret_max, size_t *ret_size)
{
    int r = sign_channel_ask(channel, scheme, content, ret_signature, ret_max, ret_size);
    if (r == 0) {
        channel->signature_count++;
        return 0;
    }
    channel->failure_count++;
    channel->last_error = r;
    if (r == -EHOSTDOWN)
        sign_channel_done(channel); /* its successor comes with a connection of its own */
    else if (r == -ETIMEDOUT && channel->resting_until_ms <= clock_monotonic_ms())
        channel->resting_until_ms = clock_monotonic_ms() + SIGN_REST_MS;
    return r;
}

const char *sign_channel_reason(const struct sign_channel *channel)
{
    switch (channel->last_error) {
    case -EPERM:
        return "it refuses";
    case -EHOSTDOWN:
        return "it is not running";
    case -ETIMEDOUT:
        return "it does not answer";
    case -EBADMSG:
        return "its answer makes no sense";
    case -EBUSY:
        return "too many signatures in a short time";
    case -ENODEV:
        return "the token with the key is not there";
    case -EACCES:
        return "no login to the token with the key";
    default:
        return strerror(-channel->last_error);
    }
}
