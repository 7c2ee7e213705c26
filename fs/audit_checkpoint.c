#include "fs/audit_checkpoint.h"

#include "base/clock.h"
#include "base/ed25519.h"
#include "base/json.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHECKPOINT_KIND "kosekifs-audit-checkpoint-1"

static struct json *statement_of(const struct audit_checkpoint *checkpoint)
{
    char time[RFC3339_SIZE];
    rfc3339_format(checkpoint->time_s, time);
    _cleanup_json_ struct json *json = json_object_new();
    if (!json || json_set_text(json, "boot", checkpoint->boot) < 0 ||
        json_set_hex(json, "hash", checkpoint->hash, SHA256_SIZE) < 0 ||
        json_set_text(json, "kind", CHECKPOINT_KIND) < 0 ||
        json_set_integer(json, "seq", (int64_t)checkpoint->sequence) < 0 ||
        json_set_text(json, "time", time) < 0)
        return NULL;
    return steal_ptr(&json);
}

static int print(const struct json *json, char **ret_text)
{
    char *text = json ? json_print_canonical(json) : NULL;
    if (!text)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

int audit_checkpoint_statement(const struct audit_checkpoint *checkpoint, char **ret_statement)
{
    _cleanup_json_ struct json *statement = statement_of(checkpoint);
    return print(statement, ret_statement);
}

int audit_checkpoint_line(const struct audit_checkpoint *checkpoint, char **ret_line)
{
    _cleanup_json_ struct json *json = json_object_new();
    if (!json || json_set(json, "checkpoint", statement_of(checkpoint)) < 0 ||
        json_set_hex(json, "key", checkpoint->public_key, AUDIT_PUBLIC_KEY_SIZE) < 0 ||
        json_set_hex(json, "signature", checkpoint->signature, AUDIT_SIGNATURE_SIZE) < 0)
        return -ENOMEM;
    return print(json, ret_line);
}

static bool get_hex(const struct json *object, const char *key, void *out, size_t size)
{
    const char *text = json_get_text(object, key);
    return text && hex_decode(text, strlen(text), out, size);
}

/* `signed_by` holds key and signature. The statement is made anew from what was understood and has
 * to come out the same: nothing in it is signed unseen. */
static int take_statement(const struct json *statement, const struct json *signed_by,
                          struct audit_checkpoint *ret_checkpoint)
{
    struct audit_checkpoint checkpoint = {0};
    const char *boot = json_get_text(statement, "boot");
    const char *kind = json_get_text(statement, "kind");
    const char *time = json_get_text(statement, "time");
    int64_t sequence;
    if (!boot || strlen(boot) >= sizeof checkpoint.boot || !kind ||
        strcmp(kind, CHECKPOINT_KIND) != 0 || !time || !rfc3339_parse(time, &checkpoint.time_s) ||
        !json_get_integer(statement, "seq", &sequence) || sequence <= 0 ||
        !get_hex(statement, "hash", checkpoint.hash, SHA256_SIZE) ||
        !get_hex(signed_by, "key", checkpoint.public_key, AUDIT_PUBLIC_KEY_SIZE) ||
        !get_hex(signed_by, "signature", checkpoint.signature, AUDIT_SIGNATURE_SIZE))
        return -EBADMSG;
    checkpoint.sequence = (uint64_t)sequence;
    memcpy(checkpoint.boot, boot, strlen(boot) + 1);

    _cleanup_free_ char *given = NULL, *understood = NULL;
    int r = print(statement, &given);
    if (r == 0)
        r = audit_checkpoint_statement(&checkpoint, &understood);
    if (r < 0)
        return r;
    if (strcmp(given, understood) != 0)
        return -EBADMSG;
    if (!ed25519_verify(checkpoint.public_key, given, strlen(given), checkpoint.signature))
        return -EKEYREJECTED;
    *ret_checkpoint = checkpoint;
    return 0;
}

int audit_checkpoint_parse(struct bytes line, struct audit_checkpoint *ret_checkpoint)
{
    _cleanup_json_ struct json *json = NULL;
    int r = json_parse((const char *)line.data, line.size, &json);
    if (r < 0)
        return r;
    const struct json *statement = json_get(json, "checkpoint");
    if (statement && json_is_object(statement))
        return take_statement(statement, json, ret_checkpoint);

    /* The event in the trail carries the statement as a text. */
    const struct json *event = json_get(json, "event");
    const struct json *detail = event ? json_get(event, "detail") : NULL;
    const char *text = detail ? json_get_text(detail, "checkpoint") : NULL;
    _cleanup_json_ struct json *inner = NULL;
    if (!text)
        return -EBADMSG;
    r = json_parse(text, strlen(text), &inner);
    return r < 0 ? r : take_statement(inner, detail, ret_checkpoint);
}

int audit_checkpoint_open(int directory_fd, int *ret_fd)
{
    _cleanup_close_ int fd = openat(directory_fd, AUDIT_CHECKPOINT_FILE,
                                    O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    char tail[AUDIT_LINE_MAX];
    off_t begin = status.st_size > (off_t)sizeof tail ? status.st_size - (off_t)sizeof tail : 0;
    ssize_t got = pread(fd, tail, sizeof tail, begin);
    if (got < 0)
        return -errno;
    const char *feed = memrchr(tail, '\n', (size_t)got);
    off_t end = feed ? begin + (feed - tail) + 1 : begin;
    if (end < status.st_size && ftruncate(fd, end) < 0)
        return -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

int audit_checkpoint_append(int fd, const struct audit_checkpoint *checkpoint)
{
    _cleanup_free_ char *line = NULL;
    int r = audit_checkpoint_line(checkpoint, &line);
    if (r < 0)
        return r;
    size_t size = strlen(line);
    off_t end = lseek(fd, 0, SEEK_END);
    line[size] = '\n'; /* in place of the NUL: one write */
    ssize_t put = write(fd, line, size + 1);
    if (put != (ssize_t)size + 1) {
        r = put < 0 ? -errno : -ENOSPC;
        if (end >= 0 && put >= 0)
            (void)!ftruncate(fd, end);
        return r;
    }
    return fdatasync(fd) < 0 ? -errno : 0;
}
