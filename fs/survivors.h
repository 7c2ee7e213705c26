/*
 * What outlives a supervisor: the connection to the kernel, the request journal, the table of open
 * files, the listening control socket, and a record of what they belong to. They come to the next
 * supervisor as descriptors with names, as sd_listen_fds(3) has it: from systemd's store when the
 * last one crashed, from itself when it was replaced by exec.
 *
 * Processes do not outlive it: each ends when its connection to the supervisor closes, and what was
 * under way is in the journal.
 */
#ifndef FS_SURVIVORS_H
#define FS_SURVIVORS_H

#include "base/cleanup.h"
#include "base/crypto.h"
#include "fs/mountpoint.h"
#include "fs/supervisor_inputs.h"

#include <stdint.h>

enum survivor {
    SURVIVOR_RECORD = 0,
    SURVIVOR_FUSE,
    SURVIVOR_JOURNAL,
    SURVIVOR_OPEN_FILES,
    SURVIVOR_CONTROL,
    SURVIVOR_COUNT,
    SURVIVORS_NONE = 1, /* expected outcome: this is a first start */
};

struct survivors {
    int fds[SURVIVOR_COUNT]; /* -1: not there */
};

/* In a sealed memory file. Paths are in fields of fixed size, so both ends know them to the byte.
 */
struct survivor_record {
    uint32_t magic, version;
    char argument[PATH_MAX]; /* the mount point as it was given */
    char path[PATH_MAX];
    char device[32];
    uint32_t privileged, allow_other;
    char state_directory[PATH_MAX], control_socket[PATH_MAX];
    uint64_t control_device, control_inode;
    uint32_t control_group, mount_uid;
    int64_t gone_ms; /* clock_monotonic_ms() since when nobody has answered; 0 = not known */
    uint8_t generation[SHA256_SIZE]; /* of programs and configuration: fs/generation.h */
};

void survivors_init(struct survivors *survivors);
void survivors_close(struct survivors *survivors);

/* Takes what the environment names and clears it there. SURVIVORS_NONE; -EBADMSG after a message:
 * incomplete, or of another version; all are closed then. */
_must_use_ int survivors_take(struct survivors *ret_survivors, struct survivor_record *ret_record);

/* A record of a mount, sealed. */
_must_use_ int survivors_record(const char *argument, const struct mountpoint *mountpoint,
                                const struct supervisor_inputs *inputs,
                                const uint8_t generation[SHA256_SIZE], int64_t gone_ms,
                                int *ret_fd);
/* Gives the mount point and the control socket of the record to a supervisor that goes on. */
void survivors_restore(const struct survivor_record *record, struct survivors *survivors,
                       struct mountpoint *ret_mountpoint, struct supervisor_inputs *inputs);
/* NULL if a supervisor with these inputs can go on with the record; else what cannot change while
 * mounted. */
const char *survivors_misfit(const struct survivor_record *record, const char *argument,
                             const struct supervisor_inputs *inputs);

/* Into systemd's store, if there is one, and out again. */
void survivors_store(const struct survivors *survivors);
void survivors_unstore(void);

/* Executes `program` with the survivors, from the directory that kosekifs was started in. Returns
 * only when it fails: a negative errno, and descriptors from 3 on may be others by then. */
int survivors_exec(const struct survivors *survivors, const char *program, char *const arguments[],
                   int directory_fd);

#endif
