/*
 * The record of erasures: one line for each certificate that somebody had destroyed, signed by
 * kosekifs-keys, to be shown to whoever asks for proof of disposal. Kept in the ledger's directory
 * if there is one, else in the state directory; docs/recovery.md has its form.
 *
 * Thread rule: erasures_add() from one thread.
 */
#ifndef FS_ERASURES_H
#define FS_ERASURES_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/crypto.h"
#include "cache/cache.h"
#include "fs/audit.h"

#include <stdbool.h>
#include <sys/types.h>

#define ERASURES_FILE "erasures.jsonl"

enum { ERASURES_LINE_MAX = 4096 };

struct erasure_note {
    const struct cache_entry *entry;
    const char *reason, *approver;
    uid_t asked_by, approved_by;
    int64_t at_s;
};

/* Durable when it returns 0, and with -EHOSTDOWN too: then it has no signature, as kosekifs-keys is
 * away. */
_must_use_ int erasures_add(int directory_fd, audit_sign *sign, void *context,
                            const struct erasure_note *note);

/* Checks one line without its line feed. -EBADMSG: no such line, or unsigned; -EKEYREJECTED: the
 * signature is wrong. ret_key: whose it is. */
_must_use_ int erasures_check(struct bytes line, uint8_t ret_key[32]);

#endif
