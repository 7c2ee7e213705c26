/* See fs/mount_trust.h. */
#include "fs/mount_trust.h"

#include "base/trust.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ACTOR_SIZE = 64 };

static const char *actor_of(const struct room_cause *cause, char text[ACTOR_SIZE])
{
    static const char *const words[ROOM_CAUSE_COUNT] = {
        [ROOM_CAUSE_START] = "start",
        [ROOM_CAUSE_SIGNAL] = "signal of uid",
        [ROOM_CAUSE_COMMAND] = "command of uid",
        [ROOM_CAUSE_PROGRAMS] = "programs changed",
    };
    bool person = cause->kind == ROOM_CAUSE_SIGNAL || cause->kind == ROOM_CAUSE_COMMAND;
    const char *word = cause->kind < ROOM_CAUSE_COUNT ? words[cause->kind] : "unknown";
    int size = snprintf(text, ACTOR_SIZE, "%s", word);
    if (person)
        snprintf(text + size, (size_t)(ACTOR_SIZE - size), " %u", cause->uid);
    return text;
}

static void note_relaxed(struct mountfs *fs, struct bytes bundle)
{
    struct trust_item item;
    size_t offset = 0, used = 0;
    pthread_mutex_lock(&fs->relaxed_lock);
    fs->relaxed[0] = '\0';
    while (trust_bundle_next(bundle, &offset, &item) == 1) {
        if (item.kind != TRUST_POLICY || used + item.content.size + 2 > sizeof fs->relaxed)
            continue;
        int size =
            snprintf(fs->relaxed + used, sizeof fs->relaxed - used, "%s%.*s", used ? " " : "",
                     (int)item.content.size, (const char *)item.content.data);
        used += (size_t)size;
    }
    pthread_mutex_unlock(&fs->relaxed_lock);
}

/* How many anchors' files there are, and a digest of their contents alone: it changes with the
 * anchors and with nothing else. */
static int hash_anchors(struct bytes bundle, unsigned *ret_count, uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    struct trust_item item;
    size_t offset = 0;
    unsigned count = 0;
    int r = stream ? 0 : -ENOMEM;
    while (r == 0 && trust_bundle_next(bundle, &offset, &item) == 1) {
        if (item.kind != TRUST_ANCHOR)
            continue;
        r = sha256_stream_update(stream, item.content.data, item.content.size);
        count++;
    }
    *ret_count = count;
    return r < 0 ? r : sha256_stream_finish(stream, ret_digest);
}

static int record_trust(struct mountfs *fs, struct bytes bundle, const struct room_cause *cause,
                        uint8_t ret_generation[SHA256_SIZE])
{
    char generation[2 * SHA256_SIZE + 1], digest[2 * SHA256_SIZE + 1], actor[ACTOR_SIZE], files[16];
    uint8_t anchors[SHA256_SIZE];
    unsigned count = 0;
    int error = sha256(bundle.data, bundle.size, ret_generation);
    if (error == 0)
        error = hash_anchors(bundle, &count, anchors);
    if (error < 0)
        return error;
    hex_encode(ret_generation, SHA256_SIZE, generation);
    hex_encode(anchors, SHA256_SIZE, digest);
    snprintf(files, sizeof files, "%u", count);
    const struct audit_event event = {
        .kind = AUDIT_TRUST,
        .text = fs->relaxed[0] ? fs->relaxed : NULL,
        .detail = {{"actor", actor_of(cause, actor)},
                   {"anchor_files", files},
                   {"anchors_sha256", digest},
                   {"generation", generation}},
    };
    error = audit_write(fs->audit, &event);
    return error < 0 ? error : 0;
}

static int take_trust(struct mountfs *fs, int fd, const struct room_cause *cause)
{
    _cleanup_mapping_ struct mapping bundle = {0};
    uint8_t generation[SHA256_SIZE];
    int error = mapping_open(fd, TRUST_BUNDLE_MAX, &bundle);
    if (error < 0)
        return error;
    note_relaxed(fs, bytes_of(bundle.data, bundle.size));
    error = record_trust(fs, bytes_of(bundle.data, bundle.size), cause, generation);
    if (error == 0)
        provide_set_trust(fs->provide, generation);
    return error;
}

/* What each of them is will be recorded when it was looked at. */
static int take_lists(struct mountfs *fs, int fd)
{
    _cleanup_mapping_ struct mapping bundle = {0};
    int error = mapping_open(fd, TRUST_BUNDLE_MAX, &bundle);
    if (error == 0)
        provide_set_lists(fs->provide, bytes_of(bundle.data, bundle.size));
    return error;
}

static int record_policy(struct mountfs *fs, const struct room_cause *cause)
{
    char version[ACCESS_VERSION_SIZE], text[2 * SHA256_SIZE + 1], actor[ACTOR_SIZE];
    uint8_t digest[SHA256_SIZE];
    access_version(fs->access, version, digest);
    hex_encode(digest, SHA256_SIZE, text);
    const struct audit_event event = {
        .kind = AUDIT_CONFIGURATION,
        .text = "access policy",
        .detail = {{"actor", actor_of(cause, actor)}, {"sha256", text}, {"version", version}},
    };
    int result = audit_write(fs->audit, &event);
    return result < 0 ? result : 0;
}

int mount_trust_map_policy(int fd, struct mapping *ret_mapping)
{
    struct mapping mapping;
    int error = mapping_open(fd, sizeof(struct access_policy), &mapping);
    if (error < 0)
        return error;
    if (mapping.size != sizeof(struct access_policy) ||
        !access_policy_valid((const struct access_policy *)(const void *)mapping.data)) {
        mapping_close(&mapping);
        return -EBADMSG;
    }
    *ret_mapping = mapping;
    return 0;
}

static int take_policy(struct mountfs *fs, int fd, const struct room_cause *cause)
{
    _cleanup_mapping_ struct mapping mapping = {0};
    int error = mount_trust_map_policy(fd, &mapping);
    if (error < 0)
        return error;
    error = access_replace(fs->access, (const struct access_policy *)(const void *)mapping.data);
    return error < 0 ? error : record_policy(fs, cause);
}

int mount_trust_begin(struct mountfs *fs, int trust_fd)
{
    static const struct room_cause start = {.kind = ROOM_CAUSE_START};
    int error = record_policy(fs, &start);
    return error < 0 ? error : take_trust(fs, trust_fd, &start);
}

int mount_trust_hear(struct mountfs *fs, const struct ipc_message *message)
{
    struct room_cause cause;
    if (message->type == ROOM_LISTS)
        return message->fd_count == 1 ? take_lists(fs, message->fds[0]) : -EBADMSG;
    int error = ipc_message_take(message, &cause, sizeof cause, 1);
    if (error < 0)
        return error;
    return message->type == ROOM_TRUST ? take_trust(fs, message->fds[0], &cause)
                                       : take_policy(fs, message->fds[0], &cause);
}

int mount_trust_record_reload(struct mountfs *fs, const struct room_reloaded *reloaded)
{
    char actor[ACTOR_SIZE];
    const struct audit_event event = {
        .kind = AUDIT_CONFIGURATION,
        .result = reloaded->error ? AUDIT_FAILED : AUDIT_OK,
        .reason = "reload",
        .text = reloaded->text,
        .detail = {{"actor", actor_of(&reloaded->cause, actor)}},
    };
    int result = audit_write(fs->audit, &event);
    return result < 0 ? result : 0;
}
