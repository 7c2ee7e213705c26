/*
 * An outcome lives in its transfer until it is sent, so keeping it needs no memory. The outcome of
 * a request that could not be held has one slot; while that is taken, nothing more is read.
 */
#include "transport/mount_channel.h"

#include "base/clock.h"
#include "base/ipc.h"
#include "base/log.h"
#include "transport/link_message.h"
#include "transport/link_test.h"
#include "transport/list_get.h"

#include <fcntl.h>
#include <string.h>

void mount_channel_init(struct mount_channel *channel)
{
    *channel = (struct mount_channel){.fd = -1};
}

void mount_channel_done(struct mount_channel *channel)
{
    cleanup_close(&channel->fd);
    *channel = (struct mount_channel){.fd = -1, .lists = channel->lists, .test = channel->test};
}

int mount_channel_connect(struct mount_channel *channel, int fd)
{
    mount_channel_done(channel);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        cleanup_close(&fd);
        return -EIO;
    }
    channel->fd = fd;
    return 0;
}

static void mount_channel_refuse(struct mount_channel *channel, uint64_t id,
                                 enum link_result result, const char *detail)
{
    struct link_event *event = &channel->refusal;
    memset(event, 0, sizeof *event);
    event->kind = LINK_DONE;
    event->id = id;
    event->result = result;
    link_detail_set(event->detail, "%s", detail);
    channel->refusing = link_message_send_event(channel->fd, event) == -EAGAIN;
}

static void mount_channel_take_request(struct mount_channel *channel, struct transfer_table *table,
                                       struct ipc_message *message)
{
    struct link_request request;
    if (transfer_table_find(table, message->id)) {
        /* An outcome for this one would be taken for that of the other. */
        log_warning("kosekifs-mount used the id of a request that is under way");
        return;
    }
    if (link_message_read_request(message, &request) < 0 ||
        (!request.head && transfer_check_memfd(message->fds[0], request.held) < 0)) {
        mount_channel_refuse(channel, message->id, LINK_INTERNAL, "malformed request");
        return;
    }
    if (transfer_table_full(table)) {
        mount_channel_refuse(channel, message->id, LINK_BUSY, "too many requests at one time");
        return;
    }
    int memfd = request.head ? -1 : steal_fd(&message->fds[0]);
    struct transfer *transfer = transfer_new(message->id, &request, memfd, clock_monotonic_ms());
    if (!transfer || transfer_table_add(table, transfer) < 0) {
        transfer_free(transfer);
        mount_channel_refuse(channel, message->id, LINK_INTERNAL, "out of memory");
    }
}

int mount_channel_read(struct mount_channel *channel, struct transfer_table *table,
                       void (*cancel)(void *context, struct transfer *transfer), void *context)
{
    struct ipc_message message;
    for (unsigned i = 0; i < MOUNT_MESSAGES_MAX; i++) {
        if (channel->fd < 0 || mount_channel_wants_write(channel, table))
            return 0;
        int r = ipc_receive(channel->fd, &message);
        if (r == -EAGAIN)
            return 0;
        if (r == -EBADMSG) {
            log_warning("kosekifs-mount sent something that is not a message");
            continue;
        }
        if (r != 0)
            return IPC_CLOSED;
        struct transfer *transfer = transfer_table_find(table, message.id);
        if (message.type == LINK_REQUEST)
            mount_channel_take_request(channel, table, &message);
        else if (message.type == LINK_LIST)
            list_gets_take(channel->lists, channel->fd, &message);
        else if (message.type == LINK_TEST)
            link_test_take(channel->test, channel->fd, &message);
        else if (message.type == LINK_CANCEL && transfer && transfer->state != TRANSFER_FINISHED)
            cancel(context, transfer);
        else if (message.type != LINK_CANCEL)
            log_warning("kosekifs-mount sent a message of unknown type %u", message.type);
        ipc_message_done(&message);
        mount_channel_send_finished(channel, table);
    }
    return 0;
}

void mount_channel_send_finished(struct mount_channel *channel, struct transfer_table *table)
{
    if (channel->refusing)
        channel->refusing = link_message_send_event(channel->fd, &channel->refusal) == -EAGAIN;
    while (!channel->refusing && table->finished.first) {
        /* Another failure than a full socket: nobody is there to be told. */
        if (channel->fd >= 0 &&
            link_message_send_event(channel->fd, &table->finished.first->event) == -EAGAIN)
            return;
        transfer_table_pop_finished(table);
    }
}

void mount_channel_send_progress(struct mount_channel *channel, struct transfer *transfer,
                                 int64_t now_ms)
{
    if (channel->fd < 0 || now_ms - transfer->progress_told_ms < MOUNT_PROGRESS_EVERY_MS)
        return;
    struct link_event event;
    memset(&event, 0, sizeof event);
    event.kind = LINK_PROGRESS;
    event.id = transfer->id;
    event.size = transfer->written;
    event.resumed = transfer->resumed;
    if (link_message_send_event(channel->fd, &event) == 0)
        transfer->progress_told_ms = now_ms;
}

/* A full socket loses it, as it may lose any progress; the next 202 tells it again. */
void mount_channel_send_preparing(struct mount_channel *channel, const struct transfer *transfer)
{
    struct link_event event;
    if (channel->fd < 0)
        return;
    memset(&event, 0, sizeof event);
    event.kind = LINK_PROGRESS;
    event.id = transfer->id;
    event.status = transfer->event.status;
    int64_t wait_ms = transfer->resume_at_ms - clock_monotonic_ms();
    event.retry_after_s = wait_ms > 0 ? (uint32_t)((wait_ms + 999) / 1000) : 0;
    event.size = transfer->written;
    event.resumed = transfer->resumed;
    if (link_message_send_event(channel->fd, &event) < 0)
        log_debug("kosekifs-mount does not hear that a certificate is being prepared");
}

bool mount_channel_wants_write(const struct mount_channel *channel,
                               const struct transfer_table *table)
{
    return channel->fd >= 0 && (channel->refusing || table->finished.first);
}
