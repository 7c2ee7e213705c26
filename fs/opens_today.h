/*
 * How often each reader has opened certificates of an affair today. Kept in a file of the state
 * directory, so that a restart gives nobody new opens: one record of fixed size appended for each
 * open, the file emptied when the day changes. Not synced: what a power cut takes is the count of
 * the last seconds, not a record of who read (that is the audit trail's).
 *
 * Thread rule: any thread, own lock, innermost.
 */
#ifndef FS_OPENS_TODAY_H
#define FS_OPENS_TODAY_H

#include "base/cleanup.h"

#include <stdint.h>
#include <sys/types.h>

enum {
    OPENS_READERS_MAX = 1000000, /* pairs of reader and affair counted in a day */
    OPENS_RECORDS_MAX = 16 * 1024 * 1024,
    OPENS_AGAIN = 1,   /* this request was counted before */
    OPENS_USED_UP = 2, /* no open left */
};

struct opens_today;

/* `state_fd` stays the caller's. A torn or foreign record at the end is cut off. */
_must_use_ int opens_today_open(int state_fd, struct opens_today **ret_opens);
struct opens_today *opens_today_close(struct opens_today *opens);

/* `day` as access_policy_day() gives it. */
uint32_t opens_today_count(struct opens_today *opens, int64_t day, uid_t uid, const char *affair);

/* Takes one of `most` opens. 0, OPENS_AGAIN, OPENS_USED_UP, or a negative errno: not counted. */
_must_use_ int opens_today_take(struct opens_today *opens, int64_t day, uid_t uid,
                                const char *affair, uint32_t most, uint64_t connection,
                                uint64_t unique);

#endif
