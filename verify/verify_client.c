/*
 * The asking side. The answer comes from a process that has parsed hostile bytes, so its form is
 * checked to the last byte; whether it is the answer to the right question is for the caller.
 */
#include "verify/verify_client.h"

#include "base/ipc.h"
#include "verify/verify_message.h"

int verify_client_submit(int fd, uint64_t id, const struct verify_request *request, int memfd)
{
    struct verify_question question = {
        .format = (uint32_t)request->format,
        .time_s = request->time_s,
        .received_s = request->received_s,
    };

    return ipc_send(fd, VERIFY_REQUEST, id, &question, sizeof question, &memfd, 1);
}

int verify_client_set_lists(int fd, int lists_fd)
{
    return ipc_send(fd, VERIFY_LISTS, 0, NULL, 0, &lists_fd, 1);
}

static int send_with_time(int fd, uint32_t type, uint64_t id, int64_t now_s, struct bytes rest,
                          const int *list_fd)
{
    const struct verify_when when = {.now_s = now_s};
    _cleanup_buffer_ struct buffer payload;

    buffer_init(&payload, IPC_PAYLOAD_MAX);
    int r = buffer_append(&payload, &when, sizeof when);
    if (r == 0)
        r = buffer_append(&payload, rest.data, rest.size);
    if (r == 0)
        r = ipc_send(fd, type, id, payload.data, payload.size, list_fd, list_fd ? 1 : 0);
    return r;
}

int verify_client_assess(int fd, uint64_t id, int64_t now_s, struct bytes record)
{
    return send_with_time(fd, VERIFY_ASSESS, id, now_s, record, NULL);
}

int verify_client_examine(int fd, uint64_t id, int64_t now_s, struct bytes authorities, int list_fd)
{
    return send_with_time(fd, VERIFY_LIST, id, now_s, authorities, &list_fd);
}

int verify_client_ask_anchors(int fd, uint64_t id)
{
    return ipc_send(fd, VERIFY_ANCHORS, id, NULL, 0, NULL, 0);
}

static int take_anchors(const struct ipc_message *message, struct verify_answer *answer)
{
    answer->anchor_count = message->size / sizeof answer->anchors[0];
    if (message->size % sizeof answer->anchors[0] != 0 || answer->anchor_count > VERIFY_ANCHORS_MAX)
        return -EBADMSG;
    memcpy(answer->anchors, message->payload, message->size);
    for (size_t i = 0; i < answer->anchor_count; i++) {
        if (!ipc_text_ok(answer->anchors[i].subject, sizeof answer->anchors[i].subject))
            return -EBADMSG;
    }
    return 0;
}

static int take_answer(const struct ipc_message *message, struct verify_answer *answer)
{
    struct bytes payload = bytes_of(message->payload, message->size);
    struct signer_record record;

    answer->id = message->id;
    if (message->fd_count != 0)
        return -EBADMSG;
    switch (message->type) {
    case VERIFY_REPLY:
        answer->kind = ANSWER_VERDICT;
        return verdict_decode(payload, &answer->verdict);
    case VERIFY_SIGNER:
        answer->kind = ANSWER_SIGNER;
        answer->record_size = payload.size;
        if (payload.size > sizeof answer->record ||
            (payload.size && signer_record_decode(payload, &record) < 0))
            return -EBADMSG;
        if (payload.size)
            memcpy(answer->record, payload.data, payload.size);
        return 0;
    case VERIFY_LIST_INFO:
        answer->kind = ANSWER_LIST;
        return crl_info_decode(payload, &answer->list);
    case VERIFY_ANCHOR:
        answer->kind = ANSWER_ANCHORS;
        return take_anchors(message, answer);
    default:
        return -EBADMSG;
    }
}

int verify_client_receive(int fd, struct verify_answer *ret_answer)
{
    _cleanup_free_ struct ipc_message *message = malloc(sizeof *message);

    if (!message)
        return -ENOMEM;
    int r = ipc_receive(fd, message);
    if (r != 0)
        return r;
    r = take_answer(message, ret_answer);
    ipc_message_done(message);
    return r;
}
