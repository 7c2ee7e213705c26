/*
 * One line of the audit trail:
 *
 *     {"event":{…},"hash":"<64 hexadecimal digits>"}
 *
 * The event is canonical JSON: members sorted, no blanks, escapes only where JSON demands them.
 * hash = SHA-256("kosekifs-audit-1" ‖ hash of the record before ‖ size of the event, 8 bytes
 * big-endian ‖ event). The first record of a trail follows 32 zero bytes.
 *
 * Written here by hand and not through base/json: 1 µs instead of 9 for each open, under the lock.
 * A test compares every form with what json_print_canonical() makes of it.
 *
 * Thread rule: no shared state.
 */
#ifndef FS_AUDIT_RECORD_H
#define FS_AUDIT_RECORD_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "fs/audit.h"

#include <stdbool.h>
#include <stdint.h>

enum { AUDIT_BOOT_SIZE = 37, AUDIT_FORMAT_VERSION = 1 };

/* What the trail adds to an event. */
struct audit_stamp {
    uint64_t sequence;
    int64_t time_ns;
    bool clock_synchronised;
    char boot[AUDIT_BOOT_SIZE]; /* /proc/sys/kernel/random/boot_id */
};

/* The whole line with its line feed, not NUL-terminated, in ret_line->text + ret_line->begin. */
struct audit_line {
    size_t begin;
    size_t size;
    char text[64 + AUDIT_LINE_MAX];
};

/* Always fits: every text has a ceiling. -ENOMEM from the digest is the only failure. */
_must_use_ int audit_record_format(const struct audit_event *event, const struct audit_stamp *stamp,
                                   const uint8_t previous[SHA256_SIZE], struct audit_line *ret_line,
                                   uint8_t ret_hash[SHA256_SIZE]);

/* The parts of a line without its line feed; the event is borrowed. -EBADMSG: not such a line. */
_must_use_ int audit_record_split(struct bytes line, struct bytes *ret_event,
                                  uint8_t ret_hash[SHA256_SIZE]);

/* The hash that the event must have behind a record with hash `previous`. */
_must_use_ int audit_record_hash(struct bytes event, const uint8_t previous[SHA256_SIZE],
                                 uint8_t ret_hash[SHA256_SIZE]);

/* What the trail itself needs to know of an event that was read; texts may be missing. */
struct audit_fields {
    uint64_t sequence;
    bool is_open; /* an OPEN that answered this request */
    enum audit_result result;
    uint64_t connection, unique;
    bool begins_file; /* first record of a file: it names the hash before it */
    uint8_t previous[SHA256_SIZE];
};
/* -EBADMSG: not an event; -ENOMEM. */
_must_use_ int audit_record_fields(struct bytes event, struct audit_fields *ret_fields);

/* The reason in a TRAIL event that begins a file, and the detail that names the hash before. */
#define AUDIT_REASON_FILE "file"
#define AUDIT_DETAIL_PREVIOUS "previous"

#endif
