/*
 * Signed checkpoints: "record N of this trail has hash H". Kept beside the trail in
 * `checkpoints.jsonl`, one a line, to be copied to another machine: a trail that was cut off at a
 * line's end, or replaced as a whole, does not agree with the copy.
 *
 *     {"checkpoint":{…},"key":"<public key>","signature":"<hexadecimal>"}
 *
 * Signed are the bytes of the canonical JSON object behind "checkpoint".
 *
 * Thread rule: no shared state.
 */
#ifndef FS_AUDIT_CHECKPOINT_H
#define FS_AUDIT_CHECKPOINT_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "fs/audit.h"

#include <stdbool.h>
#include <stdint.h>

#define AUDIT_CHECKPOINT_FILE "checkpoints.jsonl"

struct audit_checkpoint {
    uint64_t sequence;
    uint8_t hash[SHA256_SIZE];
    int64_t time_s;
    char boot[64];
    uint8_t public_key[AUDIT_PUBLIC_KEY_SIZE];
    uint8_t signature[AUDIT_SIGNATURE_SIZE];
};

/* What is signed. -ENOMEM. The caller frees. */
_must_use_ int audit_checkpoint_statement(const struct audit_checkpoint *checkpoint,
                                          char **ret_statement);
/* The line without its line feed. */
_must_use_ int audit_checkpoint_line(const struct audit_checkpoint *checkpoint, char **ret_line);

/*
 * Reads such a line, or a CHECKPOINT event of the trail as it arrives through syslog, and checks
 * the signature against the key that it names. -EBADMSG: neither of the two; -EKEYREJECTED: the
 * signature is not that of the key.
 */
_must_use_ int audit_checkpoint_parse(struct bytes line, struct audit_checkpoint *ret_checkpoint);

/* Opens the file for appending and cuts a torn last line. */
_must_use_ int audit_checkpoint_open(int directory_fd, int *ret_fd);
/* Durable when it returns 0. */
_must_use_ int audit_checkpoint_append(int fd, const struct audit_checkpoint *checkpoint);

#endif
