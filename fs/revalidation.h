/*
 * Verifying everything stored once more, by the programs, trust, lists, schemas and levels of now,
 * and comparing with the verdicts that are kept: what would change, and if asked for, changing it.
 * A new trust is carried through by provide itself (provide_reverify()); what is left for this are
 * verdicts that another version of the program gave, that could not be decided then, or that were
 * damaged.
 *
 * Life of a run: begun → one certificate after the other, in order of inode numbers: loaded,
 * verified, compared, and with `apply` revised → ended or stopped. One at a time. Other documents
 * go before its own, and at most half of the verifying processes work for it. It waits while
 * provide verifies by itself, and for certificates with which something is under way. Nothing of it
 * outlives the process: what was revised stays, and a new run can begin after the last certificate
 * that was done.
 *
 * Thread rule: any thread.
 */
#ifndef FS_REVALIDATION_H
#define FS_REVALIDATION_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "base/verdict_times.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { REVALIDATION_ROWS_MAX = 4096 }; /* kept for whoever looks: the newest */

enum revalidation_change {
    REVALIDATION_VERDICT,    /* it would be another */
    REVALIDATION_REMARKS,    /* the same, with other warnings or another schema */
    REVALIDATION_UNDECIDED,  /* it cannot be decided now; what is kept stays */
    REVALIDATION_UNREADABLE, /* no verdict was reached: `after.text` says why */
    REVALIDATION_SEALED,     /* for nobody to read, so it was not decrypted */
    REVALIDATION_CHANGES,
};
const char *revalidation_change_text(enum revalidation_change change); /* "verdict" … */

struct revalidation_row {
    uint64_t serial; /* from 1, in each run */
    struct certname name;
    enum revalidation_change change;
    struct verdict_at before; /* as it counts now, of the stored verdict; not of the last two */
    struct verdict_at after;
    bool applied;
};

struct revalidation_totals {
    uint64_t number; /* of the run since the start; 0: there was none */
    bool running, stopped, apply;
    uid_t asked_by;
    uint64_t total;     /* stored when it began */
    uint64_t rejected;  /* rejections without content, which are verified when fetched again */
    uint64_t looked_at; /* the sum of the next two and of those that are gone by now */
    uint64_t unchanged;
    uint64_t changed[REVALIDATION_CHANGES];
    uint64_t applied;
    uint32_t reached; /* all up to this inode number are done */
    int64_t milliseconds;
};

struct provide;

/* Begins a run after this inode number (0: with the first). -EBUSY: one is under way; -ENOMEM; or
 * what the store says. */
_must_use_ int provide_revalidate(struct provide *provide, bool apply, uint32_t after,
                                  uid_t asked_by);
/* It ends with what is under way. */
void provide_revalidate_stop(struct provide *provide);

/* How far it is or came; fills at most `most` rows after this serial number, returns how many. */
size_t provide_revalidation(struct provide *provide, uint64_t after,
                            struct revalidation_totals *ret_totals,
                            struct revalidation_row *ret_rows, size_t most);

#endif
