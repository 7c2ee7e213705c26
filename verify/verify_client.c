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

int verify_client_receive(int fd, uint64_t *ret_id, struct verdict *ret_verdict)
{
    _cleanup_free_ struct ipc_message *message = malloc(sizeof *message);

    if (!message)
        return -ENOMEM;
    int r = ipc_receive(fd, message);
    if (r != 0)
        return r;
    r = -EBADMSG;
    if (message->type == VERIFY_REPLY && message->fd_count == 0)
        r = verdict_decode(bytes_of(message->payload, message->size), ret_verdict);
    if (r == 0)
        *ret_id = message->id;
    ipc_message_done(message);
    return r;
}
