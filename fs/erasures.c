/* See fs/erasures.h. {"record":{…},"key":"<public key>","signature":"<hexadecimal>"}; signed is
 * "kosekifs erasure 1\n" and the SHA-256, in hexadecimal, of the canonical form of the record. */
#include "fs/erasures.h"

#include "base/clock.h"
#include "base/ed25519.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char label[] = "kosekifs erasure 1\n";

enum { STATEMENT_SIZE = sizeof label - 1 + 2 * SHA256_SIZE };

static struct json *record_of(const struct erasure_note *note)
{
    char at[RFC3339_SIZE];
    const struct cache_entry *entry = note->entry;
    rfc3339_format(note->at_s, at);
    _cleanup_json_ struct json *record = json_object_new();
    if (!record || json_set_integer(record, "v", 1) < 0 || json_set_text(record, "at", at) < 0 ||
        json_set_text(record, "name", entry->name.text) < 0 ||
        json_set_integer(record, "size", (int64_t)entry->size) < 0 ||
        json_set_hex(record, "sha256", entry->sha256, sizeof entry->sha256) < 0 ||
        json_set_text(record, "reason", note->reason) < 0 ||
        json_set_text(record, "approver", note->approver) < 0 ||
        json_set_integer(record, "asked_by", note->asked_by) < 0 ||
        json_set_integer(record, "approved_by", note->approved_by) < 0)
        return NULL;
    return steal_ptr(&record);
}

static int statement_of(const struct json *record, char ret_statement[STATEMENT_SIZE + 1])
{
    uint8_t digest[SHA256_SIZE];
    _cleanup_free_ char *text = json_print_canonical(record);
    int r = text ? sha256(text, strlen(text), digest) : -ENOMEM;
    if (r < 0)
        return r;
    memcpy(ret_statement, label, sizeof label - 1);
    hex_encode(digest, sizeof digest, ret_statement + sizeof label - 1);
    return 0;
}

/* A torn last line, of a crash, stays as it is: the next one begins on a line of its own. */
static int append(int directory_fd, const char *text)
{
    _cleanup_buffer_ struct buffer line;
    char last = '\n';
    buffer_init(&line, ERASURES_LINE_MAX);
    _cleanup_close_ int fd = openat(directory_fd, ERASURES_FILE,
                                    O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0 || (end > 0 && pread(fd, &last, 1, end - 1) != 1))
        return -EIO;
    int r = last != '\n' ? buffer_append(&line, "\n", 1) : 0;
    if (r == 0)
        r = buffer_append(&line, text, strlen(text));
    if (r == 0)
        r = buffer_append(&line, "\n", 1);
    if (r < 0)
        return r;
    ssize_t written = write(fd, line.data, line.size);
    if (written != (ssize_t)line.size)
        return written < 0 ? -errno : -ENOSPC;
    return fdatasync(fd) < 0 || (end == 0 && fsync(directory_fd) < 0) ? -errno : 0;
}

int erasures_add(int directory_fd, audit_sign *sign, void *context, const struct erasure_note *note)
{
    char statement[STATEMENT_SIZE + 1];
    uint8_t signature[AUDIT_SIGNATURE_SIZE], key[AUDIT_PUBLIC_KEY_SIZE];
    _cleanup_json_ struct json *record = record_of(note);
    _cleanup_json_ struct json *line = json_object_new();
    if (!record || !line)
        return -ENOMEM;
    int r = statement_of(record, statement);
    if (r < 0)
        return r;
    bool is_signed = sign(context, statement, STATEMENT_SIZE, signature, key) == 0;
    if (json_set(line, "record", steal_ptr(&record)) < 0 ||
        (is_signed && (json_set_hex(line, "key", key, sizeof key) < 0 ||
                       json_set_hex(line, "signature", signature, sizeof signature) < 0)))
        return -ENOMEM;
    _cleanup_free_ char *text = json_print_canonical(line);
    r = text ? append(directory_fd, text) : -ENOMEM;
    return r < 0 ? r : is_signed ? 0 : -EHOSTDOWN;
}

int erasures_check(struct bytes line, uint8_t ret_key[32])
{
    char statement[STATEMENT_SIZE + 1];
    uint8_t signature[ED25519_SIGNATURE_SIZE], key[ED25519_KEY_SIZE];
    _cleanup_json_ struct json *object = NULL;
    if (line.size > ERASURES_LINE_MAX ||
        json_parse((const char *)line.data, line.size, &object) < 0)
        return -EBADMSG;
    const struct json *record = json_get(object, "record");
    const char *key_text = json_get_text(object, "key");
    const char *signature_text = json_get_text(object, "signature");
    if (!json_is_object(record) || !key_text || !signature_text ||
        !hex_decode(key_text, strlen(key_text), key, sizeof key) ||
        !hex_decode(signature_text, strlen(signature_text), signature, sizeof signature))
        return -EBADMSG;
    int r = statement_of(record, statement);
    if (r < 0)
        return r;
    if (!ed25519_verify(key, statement, STATEMENT_SIZE, signature))
        return -EKEYREJECTED;
    memcpy(ret_key, key, sizeof key);
    return 0;
}
