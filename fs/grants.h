/*
 * Grants of a single certificate to a single user, given and taken back with `kosekictl grant` and
 * `revoke`. A grant names its user twice, by login name and by uid; it is void as soon as the two
 * no longer belong together, so whoever gets a uid that was used before inherits nothing.
 *
 * Kept in one file of the state directory, replaced as a whole and durable before a call returns.
 * The caller writes the audit record *before* he adds or revokes.
 *
 * Thread rule: any thread. Look-ups wait for no writer of the file; the login name is asked for
 * again after GRANTS_USER_TTL_MS.
 */
#ifndef FS_GRANTS_H
#define FS_GRANTS_H

#include "base/certname.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    GRANTS_MAX = 4096,
    GRANT_USER_SIZE = 64,
    GRANT_REASON_SIZE = 200,
    GRANTS_USER_TTL_MS = 2000, /* how long the answer that name and uid belong together is used */
    GRANTS_USER_STALE_MS = 60000, /* … while another caller waits for a newer one */
};

struct grant {
    uint64_t id; /* given by grants_add() */
    struct certname name;
    char user[GRANT_USER_SIZE];
    uid_t uid;
    int64_t given_at_s;
    int64_t until_s; /* the first second that is not granted; 0 = until revoked */
    uid_t given_by;
    char reason[GRANT_REASON_SIZE];
};

/* The login name of a uid, into `out`: 0, or a negative errno when there is none or it cannot be
 * found out now, on which the grants of that uid are void. */
typedef int grants_user_name(void *context, uid_t uid, char *out, size_t out_size);

struct grants;

/*
 * `user_name` NULL: getpwuid_r(3). A file that does not exist means no grants; one that is damaged
 * is -EBADMSG, and the mount should not start, since a revocation may be among what is lost.
 */
_must_use_ int grants_open(int state_fd, grants_user_name *user_name, void *context,
                           struct grants **ret_grants);
struct grants *grants_close(struct grants *grants);

/* -ENOSPC: GRANTS_MAX are there; -EINVAL: name and uid do not belong together, or the certificate
 * is named wrongly. A second grant of the same name to the same user replaces the first. */
_must_use_ int grants_add(struct grants *grants, const struct grant *grant, uint64_t *ret_id);
/* -ENOENT: no such grant. */
_must_use_ int grants_revoke(struct grants *grants, uid_t uid, const struct certname *name);

/* True if the user holds a grant that is neither void nor over. */
bool grants_find(struct grants *grants, uid_t uid, const struct certname *name, int64_t now_s,
                 struct grant *ret_grant);

/* The certificates, at most `most`, of which the user holds a grant that is in force; returns their
 * number. */
size_t grants_names(struct grants *grants, uid_t uid, int64_t now_s, struct certname *ret_names,
                    size_t most);

/* The users, at most `most`, whose grant of this certificate is in force; returns their number. */
size_t grants_users(struct grants *grants, const struct certname *name, int64_t now_s,
                    uid_t *ret_uids, size_t most);

/* Grants in order of their id, with id > after; false at the end. `ret_void` says whether name and
 * uid no longer belong together. */
bool grants_next(struct grants *grants, uint64_t after, struct grant *ret_grant, bool *ret_void);

static inline void cleanup_grants(struct grants **slot)
{
    grants_close(*slot);
}
#define _cleanup_grants_ _cleanup_(cleanup_grants)

#endif
