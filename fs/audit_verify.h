/*
 * Checks a trail, or an exported part of one, line by line: what was edited, deleted, inserted,
 * moved or cut off, and where. Needs files only, no daemon. Against a cut at a line's end, and
 * against a trail that somebody wrote anew as a whole, only checkpoints kept elsewhere help.
 *
 * The sequence is: audit_verify_new(), checkpoints, then the files in order with
 * audit_verify_file(), audit_verify_finish().
 *
 * Thread rule: one thread.
 */
#ifndef FS_AUDIT_VERIFY_H
#define FS_AUDIT_VERIFY_H

#include "base/cleanup.h"
#include "base/crypto.h"
#include "fs/audit.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    AUDIT_FAULTS_MAX = 1000, /* told; the rest is only counted */
    AUDIT_CHECKPOINTS_MAX = 1000000,
};

enum audit_fault {
    AUDIT_FAULT_FORM = 0,   /* not a line of a trail */
    AUDIT_FAULT_HASH,       /* content or hash was changed, here or in the line before */
    AUDIT_FAULT_MISSING,    /* lines before this one were taken away */
    AUDIT_FAULT_MOVED,      /* the line stands where it does not belong: inserted, doubled, moved */
    AUDIT_FAULT_TORN,       /* the last line has no line feed */
    AUDIT_FAULT_CHECKPOINT, /* differs from a signed checkpoint: a history was written anew */
    AUDIT_FAULT_TRUNCATED,  /* ends before the newest checkpoint */
    AUDIT_FAULT_SIGNATURE,  /* a checkpoint that its key did not sign, or of a foreign key */
    AUDIT_FAULT_COUNT,
};

/* Line 0: the file as a whole. */
typedef void audit_fault_report(void *context, enum audit_fault fault, const char *file,
                                uint64_t line, const char *text);

struct audit_verify;

_must_use_ int audit_verify_new(audit_fault_report *report, void *context,
                                struct audit_verify **ret_verify);
struct audit_verify *audit_verify_free(struct audit_verify *verify);

/* Each master key has its own key for checkpoints, so a long trail has several. */
enum { AUDIT_KEY_MAX = 8 };
struct audit_keys {
    size_t count;
    uint8_t keys[AUDIT_KEY_MAX][AUDIT_PUBLIC_KEY_SIZE];
};
/* Checkpoints must be signed with one of these; without any every key is believed and named. */
void audit_verify_set_keys(struct audit_verify *verify, const struct audit_keys *keys);

/* Reads checkpoints.jsonl, or lines of a trail that came through syslog. -EFBIG, -ENOMEM, -EIO. */
_must_use_ int audit_verify_checkpoints(struct audit_verify *verify, FILE *in, const char *name);

/* -ENOMEM, -EIO; faults are reported, not returned. */
_must_use_ int audit_verify_file(struct audit_verify *verify, FILE *in, const char *name);

struct audit_verified {
    uint64_t records, first, last; /* sequences */
    uint8_t hash[SHA256_SIZE];     /* of the last record */
    uint64_t faults;
    uint64_t checkpoints; /* that were compared with a record */
    uint64_t covered;     /* the highest sequence that a checkpoint vouches for */
    bool from_beginning;  /* the first record of the trail was there */
    bool key_set;
    uint8_t key[AUDIT_PUBLIC_KEY_SIZE]; /* of the newest checkpoint */
};
/* After the last file. */
void audit_verify_finish(struct audit_verify *verify, struct audit_verified *ret_verified);

/* The first line of an exported part: the hash that the first record builds upon. */
#define AUDIT_EXPORT_HEAD "{\"previous\":\""

const char *audit_fault_name(enum audit_fault fault); /* "changed", "missing", … */

static inline void cleanup_audit_verify(struct audit_verify **slot)
{
    audit_verify_free(*slot);
}
#define _cleanup_audit_verify_ _cleanup_(cleanup_audit_verify)

#endif
