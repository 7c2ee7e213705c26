/*
 * Who asks: the program behind a kernel request, as far as it can be known. uid and gid come from
 * the kernel and are certain. Supplementary groups are those of the calling *thread*, read from
 * /proc/<tid>/status, and only if that thread is visible from here and its fsuid and fsgid are the
 * ones in the request; otherwise uid and primary gid alone count. Rights are never taken away by a
 * group, so knowing fewer groups can only refuse, not admit.
 *
 * Descriptors of /proc/<tid>/ are kept per thread and read again each time: the answer is always
 * the present one (a program may drop groups between two opens), a descriptor of a thread that has
 * ended yields ESRCH even when its number was given away again, and most of the price of open(2) is
 * saved. Nothing is read before it is asked for: groups on the first question that uid and primary
 * gid do not answer (2.4 µs, and the program's name with them), else the name alone (0.3 µs).
 *
 * Thread rule: the table may be used from any thread; a struct caller belongs to one.
 */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    CALLER_GROUPS_MAX = 1024, /* of NGROUPS_MAX 65,536; the ones behind are not counted */
    CALLER_COMM_SIZE = 16,
};

struct caller_table;

/* `proc_fd` is an open directory, /proc; it stays the caller's and must outlive the table. */
_must_use_ int caller_table_new(int proc_fd, struct caller_table **ret_table);
struct caller_table *caller_table_free(struct caller_table *table);

/* 4 KiB: for the stack, not to be kept with a parked request. Keep uid, gid and pid and ask again.
 */
struct caller {
    uid_t uid;
    gid_t gid;
    pid_t pid;                  /* of the thread; 0 = not visible from here */
    struct caller_table *table; /* NULL: groups are given or cannot be known */

    /* Filled by caller_unverified_comm(). */
    bool comm_asked;
    char unverified_comm[CALLER_COMM_SIZE];

    /* Filled by caller_in_group(). */
    bool groups_asked, groups_known;
    uint16_t group_count;
    gid_t groups[CALLER_GROUPS_MAX]; /* ascending */
};

/* Never fails: what cannot be known stays empty. */
void caller_of(struct caller_table *table, uid_t uid, gid_t gid, pid_t pid,
               struct caller *ret_caller);

/* A caller whose groups are given: a peer of the control socket, or the user of an explanation.
 * Groups beyond CALLER_GROUPS_MAX are left out. */
void caller_of_groups(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count,
                      struct caller *ret_caller);

/* True if `gid` is the primary or a supplementary group. */
bool caller_in_group(struct caller *caller, gid_t gid);

/* What the program calls itself: it chose that, so it is for people to read, never for a decision.
 * Printable ASCII; "" if it cannot be known. */
const char *caller_unverified_comm(struct caller *caller);

/* The text of /proc/<tid>/status, which other programs may shape in part (Name). False, and the
 * groups unchanged, unless Uid and Gid show the caller's uid and gid as fsuid and fsgid. Takes the
 * program's name in any case. */
bool caller_parse_status(struct caller *caller, const char *status, size_t size);

static inline void cleanup_caller_table(struct caller_table **slot)
{
    caller_table_free(*slot);
}
#define _cleanup_caller_table_ _cleanup_(cleanup_caller_table)

#endif
