/*
 * The decision: may this caller read this certificate, and may it be fetched for him? Made before
 * anything is fetched and again immediately before the reply. Deny by default.
 *
 * Roles, the first that fits: scanner; root (uid 0); reader, when an affair or a grant gives the
 * right; backup, which reads whatever is stored and never causes a fetch. An affair gives the right
 * when it names the caller, a pattern matches the request id, the format is listed, today is within
 * its validity, now is within its hours, and its opens of the day are not used up; among several
 * the first in the file counts.
 *
 * Thread rule: any thread. A decision waits for nobody longer than an exchange of pointers takes;
 * it is made wholly under the policy it began with.
 */
#ifndef FS_ACCESS_H
#define FS_ACCESS_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "fs/access_policy.h"
#include "fs/caller.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct access;
struct grants;
struct json;
struct seals;

/* What is asked. The opens of the day count where an open is at stake; not in look-ups and
 * attributes, since programs ask for these after they have opened. */
enum access_want {
    ACCESS_LOOKUP, /* LOOKUP, GETATTR, ACCESS */
    ACCESS_XATTR,
    ACCESS_LIST,  /* a name that cannot be opened must not be listed */
    ACCESS_OPEN,  /* before a fetch */
    ACCESS_REPLY, /* immediately before the reply to an open: takes one of the day's opens */
};

struct access_question {
    enum access_want want;
    bool stored;         /* the certificate is in the store and valid */
    int64_t now_s;       /* wall clock */
    uint64_t connection; /* with ACCESS_REPLY: drawn at random when the file system was mounted */
    uint64_t unique;     /* with ACCESS_REPLY: the kernel's number of the request */
};

enum access_role {
    ACCESS_ROLE_NONE = 0,
    ACCESS_ROLE_READER,
    ACCESS_ROLE_BACKUP,
    ACCESS_ROLE_SCANNER,
    ACCESS_ROLE_ROOT, /* uid 0 that is not treated as a reader */
};

/* Why. Of several affairs that refuse, the one that came nearest gives the reason: the values from
 * NOT_READER to OPENS_USED_UP are in the order in which the conditions are tried. */
enum access_reason {
    ACCESS_BY_AFFAIR = 0,
    ACCESS_BY_GRANT,
    ACCESS_BY_ROLE,
    ACCESS_NOT_READER,
    ACCESS_ID_OUTSIDE,
    ACCESS_FORMAT_OUTSIDE,
    ACCESS_NOT_YET_VALID,
    ACCESS_NO_LONGER_VALID,
    ACCESS_OUT_OF_HOURS,
    ACCESS_OPENS_USED_UP,
    ACCESS_ROOT_EXCLUDED,
    ACCESS_SCANNER_EXCLUDED,
    ACCESS_NOT_STORED, /* may read, but only what is stored already */
    ACCESS_COUNT_LOST, /* the open could not be counted: memory or disk */
    ACCESS_SEALED,     /* an emergency seal stands before it */
    ACCESS_REASON_COUNT,
};

enum { ACCESS_SENTENCE_SIZE = 240 };

struct access_decision {
    bool may_read;  /* what is stored */
    bool may_fetch; /* what is not; never without may_read */
    enum access_role role;
    enum access_reason reason;
    uint64_t grant_id;                 /* with ACCESS_BY_GRANT */
    char affair[ACCESS_NAME_SIZE];     /* that gave the right, or came nearest; may be empty */
    char purpose[ACCESS_PURPOSE_SIZE]; /* of that affair, or the reason of the grant */
};

/*
 * Opens the day's counts in the state directory (the descriptor stays the caller's). `grants` must
 * outlive it. The policy is copied. Errors: those of the file, -EINVAL for a policy that
 * access_policy_valid() refuses, -ENOMEM.
 */
_must_use_ int access_new(const struct access_policy *policy, struct grants *grants, int state_fd,
                          struct access **ret_access);
struct access *access_free(struct access *access);

/* Decisions ask these seals first, whoever has a right; they outlive it. Before other threads ask.
 */
void access_set_seals(struct access *access, struct seals *seals);

/* From now on decisions follow this policy; -EINVAL and -ENOMEM leave the old one in force. The
 * counts of affairs that keep their name are kept. */
_must_use_ int access_replace(struct access *access, const struct access_policy *policy);

/* How long the certificate may be kept: the longest time of the affairs that cover it; -1 if none
 * of them says. */
int64_t access_keep_s(struct access *access, const struct certname *name);

/* The version of the policy in force and the digest of its file. */
void access_version(struct access *access, char ret_version[ACCESS_VERSION_SIZE],
                    uint8_t ret_sha256[SHA256_SIZE]);

/* True if the request goes on: may_fetch, or may_read of something stored. */
bool access_decide(struct access *access, struct caller *caller, const struct certname *name,
                   const struct access_question *question, struct access_decision *ret_decision);

/*
 * The same question, ACCESS_LIST of what is stored, for many names in a row: what does not depend
 * on the name is decided once. A policy that is replaced meanwhile does not count; a seal does.
 */
struct access_listing {
    struct access *access;
    struct access_ruling *ruling;
    struct caller *caller;
    int64_t now_s;
    bool everything;
    bool grants; /* the caller has some */
    unsigned affair_count;
    const struct access_affair *affairs[ACCESS_AFFAIRS_MAX];
};

/* False: he may list nothing, whatever there is; the store need not be walked, and there is nothing
 * to end. */
bool access_listing_begin(struct access *access, struct caller *caller, int64_t now_s,
                          struct access_listing *ret_listing);
bool access_listing_has(struct access_listing *listing, const struct certname *name);
void access_listing_end(struct access_listing *listing);
/* Where the names begin for which ACCESS_LIST may be granted, as far as that can be known without
 * looking at one: the part of each pattern before its first wildcard, and the names of grants. */
enum { ACCESS_REACH_MAX = 64 };
struct access_reach {
    bool all; /* no beginning is known, or too many are */
    unsigned count;
    char beginnings[ACCESS_REACH_MAX][ACCESS_PATTERN_SIZE];
};
/* The store need be walked for this caller only there. */
void access_listing_reach(const struct access_listing *listing, struct access_reach *ret_reach);

const char *access_reason_name(enum access_reason reason); /* "out_of_hours" */
/* What the program gets that was refused: EACCES, or EPERM if it is not for want of a right. */
int access_reason_errno(enum access_reason reason);
const char *access_role_name(enum access_role role); /* "reader"; "none" */
/* One plain sentence, with what to do, for the operator and for who has a right; a caller without
 * right gets a constant line elsewhere. */
void access_sentence(const struct access_decision *decision, char out[ACCESS_SENTENCE_SIZE]);

/*
 * What stat and getxattr show of the policy for a certificate: owner root; group the first reader
 * group, else root; further readers in the POSIX ACL. Validity counts, hours and opens of the day
 * do not, so that attributes stay the same over the day. The decision never looks at any of this.
 */
enum {
    ACCESS_ACL_ENTRIES_MAX = 500, /* ext4 could not take more from `cp -a`; the rest is not shown */
    ACCESS_ACL_SIZE = 4 + 8 * (ACCESS_ACL_ENTRIES_MAX + 4),
};

struct access_shown {
    uid_t uid;
    gid_t gid;
    mode_t mode;                  /* permission bits only */
    size_t acl_size;              /* 0: mode says it all, getxattr is ENODATA */
    uint8_t acl[ACCESS_ACL_SIZE]; /* system.posix_acl_access, version 2 */
};

void access_show(struct access *access, const struct certname *name, int64_t now_s,
                 struct access_shown *ret_shown);

/*
 * The decision table of `kosekictl access explain`: an object with "decision", "sentence", role,
 * every affair with what each of its conditions says, and every grant on the name. Counts nothing.
 * NULL when memory is short.
 */
struct json *access_explain(struct access *access, struct caller *caller,
                            const struct certname *name, const struct access_question *question);

/*
 * Roles of a peer of the control socket, bits of enum access_control. uid 0 is viewer and operator
 * always (somebody must be able to begin), and what else the policy gives it. Each role implies
 * viewer.
 */
unsigned access_control_roles(struct access *access, struct caller *caller);
/* True if the policy wants a second person to confirm this command. */
bool access_needs_second_person(struct access *access, const char *command);

static inline void cleanup_access(struct access **slot)
{
    access_free(*slot);
}
#define _cleanup_access_ _cleanup_(cleanup_access)

#endif
