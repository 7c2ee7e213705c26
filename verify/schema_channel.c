/* See verify/schema_channel.h. */
#include "verify/schema_channel.h"

#include "base/clock.h"
#include "verify/schema_worker.h"

static void drop(struct schema_channel *channel)
{
    cleanup_close(&channel->fd);
    channel->fd = -1;
}

static int validate(void *context, struct bytes schemas, struct bytes document,
                    struct schema_answer *ret_answer)
{
    struct schema_channel *channel = context;
    int64_t left_ms = channel->deadline_ms - clock_monotonic_ms();
    if (left_ms <= 0)
        return -ETIMEDOUT;
    if (channel->fd < 0) {
        channel->lost = true;
        return -EPIPE;
    }
    int r = schema_worker_ask(channel->fd, channel->next_id++, schemas, document, (int)left_ms,
                              ret_answer);
    if (r < 0) {
        drop(channel);
        channel->lost = r != -ETIMEDOUT;
        /* Whatever it is doing, nobody waits for it any more. */
        channel->stuck = true;
    }
    return r;
}

void schema_channel_init(struct schema_channel *channel)
{
    *channel =
        (struct schema_channel){.fd = -1, .hook = {.validate = validate, .context = channel}};
}

void schema_channel_done(struct schema_channel *channel)
{
    drop(channel);
}

void schema_channel_connect(struct schema_channel *channel, int fd)
{
    drop(channel);
    channel->fd = fd;
}

void schema_channel_begin(struct schema_channel *channel)
{
    channel->deadline_ms = clock_monotonic_ms() + SCHEMA_CHANNEL_MS;
    channel->lost = false;
    channel->stuck = false;
}

void schema_channel_again(struct schema_channel *channel)
{
    channel->lost = false;
}
