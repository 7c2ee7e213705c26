/*
 * Records on their way into the file: formatted and chained one after the other, then written with
 * one write(2), all or none. Nothing of the trail changes before that has succeeded.
 *
 * Thread rule: the owner's lock.
 */
#ifndef FS_AUDIT_BATCH_H
#define FS_AUDIT_BATCH_H

#include "fs/audit.h"
#include "fs/audit_record.h"

#include <stddef.h>
#include <stdint.h>

enum {
    AUDIT_RELEASES_MAX = 32,
    AUDIT_RELEASE_LINE_MAX = 1024, /* its texts are a name and the boot id */
    AUDIT_BATCH_RECORDS = AUDIT_RELEASES_MAX + 1,
    AUDIT_BATCH_SIZE = AUDIT_RELEASES_MAX * AUDIT_RELEASE_LINE_MAX + AUDIT_LINE_MAX,
};

/* How far it reaches; an assignment takes records behind away again. */
struct audit_batch_end {
    struct audit_stamp stamp; /* of the newest record, as the next */
    uint8_t hash[SHA256_SIZE];
    unsigned count; /* records */
    size_t size;    /* bytes of text */
};

struct audit_batch {
    struct audit_batch_end end;
    struct {
        enum audit_kind kind;
        enum audit_result result;
        int64_t time_ns;
        size_t begin, size; /* in text; with line feed */
    } records[AUDIT_BATCH_RECORDS];
    struct audit_line line;
    char text[AUDIT_BATCH_SIZE];
};

/* An empty batch that continues behind this record. */
void audit_batch_begin(struct audit_batch *batch, const struct audit_stamp *stamp,
                       const uint8_t hash[SHA256_SIZE]);
/* -ENOMEM from the digest; -ENOBUFS: more than was promised above, our bug. */
_must_use_ int audit_batch_add(struct audit_batch *batch, const struct audit_event *event,
                               int64_t time_ns);

#endif
