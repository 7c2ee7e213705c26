/*
 * Emergency seals: what must not be served any more, whoever has a right to it. A seal covers
 * everything, the certificates opened under one affair, one user, or one certificate. It is in
 * force at once, even where it cannot be made durable, and it stays until it is taken away. A list
 * that cannot be read seals everything.
 *
 * A seal refuses decisions (access_decide() asks here). What was decided before is ended by
 * fs/seal_now.h.
 *
 * Thread rule: questions from any thread; changes from one thread at a time.
 */
#ifndef FS_SEALS_H
#define FS_SEALS_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "fs/access_policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SEALS_MAX = 4096,
    SEAL_REASON_SIZE = 256,
    SEAL_SUBJECT_SIZE = CERTNAME_MAX + 1 > ACCESS_NAME_SIZE ? CERTNAME_MAX + 1 : ACCESS_NAME_SIZE,
};

enum seal_scope { SEAL_ALL = 0, SEAL_AFFAIR, SEAL_USER, SEAL_NAME, SEAL_SCOPE_COUNT };

struct seal {
    uint64_t id; /* from 1; 0: the list could not be read */
    enum seal_scope scope;
    char subject[SEAL_SUBJECT_SIZE]; /* affair, user's name, certificate; "" with SEAL_ALL */
    uid_t uid;                       /* SEAL_USER */
    int64_t since_s;
    uid_t by;
    char reason[SEAL_REASON_SIZE];
};

struct seals;

/* Reads seals.json of the state directory, whose descriptor stays the caller's. A damaged list is
 * no error: everything is sealed then. -ENOMEM. */
_must_use_ int seals_open(int state_fd, struct seals **ret_seals);
struct seals *seals_close(struct seals *seals);

struct seal_added {
    uint64_t id;
    int unkept; /* 0: durable; negative errno: in force, but a restart may not find it */
};

/* In force when it returns 0; id, since_s of `seal` are not looked at. The same again makes durable
 * what was not. -EEXIST: the same subject is sealed already; -ENOSPC: SEALS_MAX. */
_must_use_ int seals_add(struct seals *seals, const struct seal *seal, int64_t now_s,
                         struct seal_added *ret_added);
/* -ENOENT; errors of the file: the seal stays in force, but a restart may not find it. */
_must_use_ int seals_remove(struct seals *seals, uint64_t id);

/* The seal with the lowest id that is greater than `after`; start with after = -1. */
bool seals_next(struct seals *seals, int64_t after, struct seal *ret_seal);

unsigned seals_count(const struct seals *seals);
bool seals_cover_all(const struct seals *seals);
/* True if nobody at all may read it. */
bool seals_cover_everyone(struct seals *seals, const struct certname *name);
/* True if anything stands between this user and this certificate; an affair of NULL or "" is none.
 */
bool seals_cover(struct seals *seals, uid_t uid, const struct certname *name, const char *affair);

const char *seal_scope_name(enum seal_scope scope); /* "all" "affair" "user" "name" */
bool seal_scope_parse(const char *text, enum seal_scope *ret_scope);

static inline void cleanup_seals(struct seals **slot)
{
    seals_close(*slot);
}
#define _cleanup_seals_ _cleanup_(cleanup_seals)

#endif
