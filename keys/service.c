/*
 * One message a peer and round, so that a flood from one does not starve the other. Sockets do not
 * block: who does not take its answers is cut off.
 */
#include "keys/service.h"

#include "base/clock.h"
#include "base/log.h"
#include "keys/wrap_protocol.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

int service_init(struct service *service, const struct key_set *set, int64_t now_ms)
{
    *service = (struct service){.set = set};
    rate_init(&service->signatures, set->signatures_per_second, set->signatures_burst, now_ms);
    return random_bytes(&service->instance, sizeof service->instance);
}

static void drop_peer(struct service *service, unsigned index)
{
    cleanup_close(&service->peers[index].fd);
    service->peers[index] = service->peers[--service->peer_count];
}

void service_done(struct service *service)
{
    while (service->peer_count > 0)
        drop_peer(service, service->peer_count - 1);
}

int service_add(struct service *service, const struct room_peer *who, int fd)
{
    _cleanup_close_ int owned = fd;
    if (who->role != ROOM_MOUNT && who->role != ROOM_LINK)
        return -EPERM;
    int flags = fcntl(owned, F_GETFL);
    if (flags < 0 || fcntl(owned, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    for (unsigned i = 0; i < service->peer_count; i++)
        if (service->peers[i].who.role == who->role && service->peers[i].who.index == who->index) {
            drop_peer(service, i);
            break;
        }
    if (service->peer_count == SERVICE_PEER_MAX)
        return -EMFILE;
    service->peers[service->peer_count++] =
        (struct service_peer){.who = *who, .fd = steal_fd(&owned)};
    return 0;
}

unsigned service_poll_set(const struct service *service, struct pollfd *ret_set)
{
    for (unsigned i = 0; i < service->peer_count; i++)
        ret_set[i] = (struct pollfd){.fd = service->peers[i].fd, .events = POLLIN};
    return service->peer_count;
}

static void count(struct service *service, int outcome, uint64_t *use)
{
    uint64_t *slot = outcome < 0 ? &service->uses.failed : use;
    (*slot)++;
}

/* The functions below return false when the peer is to be cut off. */

static bool serve_generate(struct service *service, int fd, const struct ipc_message *message)
{
    struct keys_generate request;
    if (ipc_message_take(message, &request, sizeof request, 0) < 0 ||
        request.aad.size > KEYS_AAD_MAX)
        return false;
    struct keys_generated answer = {0};
    answer.error = master_key_generate(key_ring_current(&service->set->ring), request.aad.bytes,
                                       request.aad.size, answer.key, answer.wrapped);
    count(service, answer.error, &service->uses.wrapped);
    int r = ipc_send(fd, KEYS_GENERATED, message->id, &answer, sizeof answer, NULL, 0);
    wipe(&answer, sizeof answer);
    return r == 0;
}

static bool serve_unwrap(struct service *service, int fd, const struct ipc_message *message)
{
    struct keys_unwrap request;
    if (ipc_message_take(message, &request, sizeof request, 0) < 0 ||
        request.aad.size > KEYS_AAD_MAX)
        return false;
    struct keys_unwrapped answer = {0};
    answer.error = key_ring_unwrap(&service->set->ring, request.aad.bytes, request.aad.size,
                                   request.wrapped, answer.key);
    count(service, answer.error, &service->uses.unwrapped);
    int r = ipc_send(fd, KEYS_UNWRAPPED, message->id, &answer, sizeof answer, NULL, 0);
    wipe(&answer, sizeof answer);
    return r == 0;
}

static bool serve_rewrap(struct service *service, int fd, const struct ipc_message *message)
{
    struct keys_unwrap request;
    if (ipc_message_take(message, &request, sizeof request, 0) < 0 ||
        request.aad.size > KEYS_AAD_MAX)
        return false;
    struct keys_rewrapped answer = {0};
    answer.outcome = key_ring_rewrap(&service->set->ring, request.aad.bytes, request.aad.size,
                                     request.wrapped, answer.wrapped);
    count(service, answer.outcome, &service->uses.wrapped);
    return ipc_send(fd, KEYS_REWRAPPED, message->id, &answer, sizeof answer, NULL, 0) == 0;
}

static bool serve_list(struct service *service, int fd, const struct ipc_message *message)
{
    struct keys_generations answer;
    if (message->size != 0 || message->fd_count != 0)
        return false;
    key_ring_generations(&service->set->ring, &answer);
    return ipc_send(fd, KEYS_LISTED, message->id, &answer, sizeof answer, NULL, 0) == 0;
}

static uint32_t token_word(const struct token *token)
{
    static const uint32_t words[] = {[TOKEN_THERE] = KEYS_TOKEN_THERE,
                                     [TOKEN_GONE] = KEYS_TOKEN_AWAY,
                                     [TOKEN_WITHOUT_LOGIN] = KEYS_TOKEN_NO_LOGIN};
    return token ? words[token_state(token)] : KEYS_TOKEN_UNUSED;
}

static bool serve_status(struct service *service, int fd, const struct ipc_message *message)
{
    const struct key_set *set = service->set;
    struct keys_ask_status request;
    if (ipc_message_take(message, &request, sizeof request, 0) < 0)
        return false;
    if (request.instance == service->instance)
        service->recorded = request.recorded;
    struct keys_status answer = {.instance = service->instance,
                                 .uses = service->uses,
                                 .recorded = service->recorded,
                                 .master_source = set->master_source,
                                 .tls_source = set->tls_source,
                                 .token = token_word(set->token),
                                 .generation_count = set->ring.count,
                                 .not_after_s = set->certificate.not_after_s};
    memcpy(answer.subject, set->certificate.subject, sizeof answer.subject);
    return ipc_send(fd, KEYS_STATUS, message->id, &answer, sizeof answer, NULL, 0) == 0;
}

static bool serve_sign(struct service *service, int fd, const struct ipc_message *message)
{
    struct keys_signed answer = {0};
    if (message->size == 0 || message->size > KEYS_STATEMENT_MAX || message->fd_count != 0)
        return false;
    answer.error = master_key_sign(key_ring_current(&service->set->ring), message->payload,
                                   message->size, answer.signature, answer.public_key);
    count(service, answer.error, &service->uses.checkpoints);
    return ipc_send(fd, KEYS_SIGNED, message->id, &answer, sizeof answer, NULL, 0) == 0;
}

static bool serve_mount(struct service *service, int fd, const struct ipc_message *message)
{
    bool served = false;
    if (message->type == KEYS_GENERATE)
        served = serve_generate(service, fd, message);
    else if (message->type == KEYS_UNWRAP)
        served = serve_unwrap(service, fd, message);
    else if (message->type == KEYS_REWRAP)
        served = serve_rewrap(service, fd, message);
    else if (message->type == KEYS_LIST)
        served = serve_list(service, fd, message);
    else if (message->type == KEYS_ASK_STATUS)
        served = serve_status(service, fd, message);
    else if (message->type == KEYS_SIGN)
        served = serve_sign(service, fd, message);
    if (served)
        return true;
    struct keys_refused refused = {.error = -EPERM};
    (void)!ipc_send(fd, KEYS_REFUSED, message->id, &refused, sizeof refused, NULL, 0);
    return false;
}

static void count_signature(struct service *service, int error, uint64_t *use)
{
    if (error == -EPERM)
        service->uses.refused++;
    else
        count(service, error, use);
}

static bool sign13(struct service *service, const struct ipc_message *message,
                   struct sign_reply *reply)
{
    struct sign_request request;
    if (ipc_message_take(message, &request, sizeof request, 0) < 0)
        return false;
    tls_signer_sign(service->set->signer, &request, reply);
    count_signature(service, reply->error, &service->uses.tls13_signatures);
    return true;
}

static bool sign12(struct service *service, const struct ipc_message *message,
                   struct sign_reply *reply)
{
    uint32_t scheme;
    if (!service->set->tls12 || message->fd_count != 0 || message->size < sizeof scheme)
        return false;
    memcpy(&scheme, message->payload, sizeof scheme);
    tls_signer_sign12(service->set->signer, scheme,
                      bytes_of(message->payload + sizeof scheme, message->size - sizeof scheme),
                      reply);
    count_signature(service, reply->error, &service->uses.tls12_signatures);
    return true;
}

static bool serve_link(struct service *service, int fd, const struct ipc_message *message)
{
    struct sign_reply reply = {.error = -EPERM};
    bool understood = service->set->signer &&
                      (message->type == SIGN_REQUEST || message->type == SIGN_REQUEST_TLS12);
    if (understood && !rate_take(&service->signatures, clock_monotonic_ms())) {
        reply.error = -EAGAIN;
        service->uses.limited++;
    } else if (understood) {
        understood = message->type == SIGN_REQUEST ? sign13(service, message, &reply)
                                                   : sign12(service, message, &reply);
    }
    if (!understood)
        service->uses.refused++;
    return ipc_send(fd, SIGN_REPLY, message->id, &reply, sizeof reply, NULL, 0) == 0 && understood;
}

static bool serve_peer(struct service *service, const struct service_peer *peer)
{
    struct ipc_message message;
    int r = ipc_receive(peer->fd, &message);
    if (r == -EAGAIN)
        return true;
    if (r != 0)
        return false;
    bool keep = peer->who.role == ROOM_MOUNT ? serve_mount(service, peer->fd, &message)
                                             : serve_link(service, peer->fd, &message);
    ipc_message_done(&message);
    return keep;
}

void service_serve(struct service *service, const struct pollfd *set)
{
    /* Backwards: dropping one moves the last, which has been served, into its place. */
    for (unsigned i = service->peer_count; i-- > 0;) {
        if (set[i].revents == 0)
            continue;
        if (!serve_peer(service, &service->peers[i])) {
            log_debug("connection of %s ended", room_role_name(service->peers[i].who.role));
            drop_peer(service, i);
        }
    }
}
