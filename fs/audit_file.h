/*
 * The files of the trail: `trail-00000001.jsonl` and so on in one directory, the one with the
 * highest number being written. Records are put at a known offset, so that what is left of a short
 * write never becomes part of a line.
 *
 * Thread rule: the owner's lock.
 */
#ifndef FS_AUDIT_FILE_H
#define FS_AUDIT_FILE_H

#include "base/cleanup.h"
#include "base/crypto.h"
#include "fs/audit.h"

#include <stdbool.h>
#include <stdint.h>

struct replay;

struct audit_file {
    int fd;
    uint64_t number;
    uint64_t size; /* up to the end of the last whole line */
    bool torn;     /* bytes of a failed write lie behind it */
};

/* Where the trail stands when it is opened. */
struct audit_tail {
    uint64_t sequence;         /* of the last record; 0 = the trail is empty */
    uint8_t hash[SHA256_SIZE]; /* of the last record; zeros */
    uint64_t cut;              /* bytes of a torn last line that were cut off */
    bool empty;                /* the newest file holds no record yet */
    uint64_t damaged;          /* offset of the last line if it is not what was written; 0 */
    bool is_damaged;
};

/* An answer given before a crash and one given after it are the same record only if they say the
 * same: the policy may have changed between them. */
static inline uint64_t audit_replay_key(uint64_t unique, enum audit_result result)
{
    return unique ? unique * AUDIT_RESULT_COUNT + result : 0;
}

/*
 * Opens the newest file (makes number 1 if there is none), cuts a torn last line, finds the last
 * record and puts the answered opens near the end into `replay`.
 */
_must_use_ int audit_file_open(int directory_fd, struct replay *replay, struct audit_file *ret_file,
                               struct audit_tail *ret_tail);
/* Begins the file with the next number, which must not exist. `file` is the old one or the new one,
 * never neither; the old descriptor goes to *ret_old_fd. */
_must_use_ int audit_file_next(int directory_fd, struct audit_file *file, int *ret_old_fd);

/* All or nothing: a write that fell short is taken back, at the latest before the next one. */
_must_use_ int audit_file_append(struct audit_file *file, const void *line, size_t size);

/* True if `name` is that of a file of the trail. */
bool audit_file_number(const char *name, uint64_t *ret_number);

#endif
