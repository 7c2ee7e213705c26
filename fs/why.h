/*
 * Why the caller's own last attempt at a name failed: what .kosekifs/why/<name> and `kosekictl why`
 * show. Kept in memory only, per user and name, the oldest leaving first.
 *
 * Thread rule: any thread; own lock, innermost.
 */
#ifndef FS_WHY_H
#define FS_WHY_H

#include "base/certname.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { WHY_MAX = 4096, WHY_REASON_MAX = 240 };

struct why;

struct why_note {
    struct certname name;
    uid_t uid;
    int error; /* positive errno; 0: the last attempt succeeded */
    int64_t at_s;
    char reason[WHY_REASON_MAX];
};

struct why *why_new(void); /* NULL when memory is short */
struct why *why_free(struct why *why);

void why_record(struct why *why, uid_t uid, const struct certname *name, int error,
                const char *reason);
bool why_find(struct why *why, uid_t uid, const struct certname *name, struct why_note *ret_note);
/* Of any user, the newest: for operators. */
bool why_find_any(struct why *why, const struct certname *name, struct why_note *ret_note);

#endif
