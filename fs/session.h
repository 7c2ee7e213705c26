/*
 * The FUSE session on a descriptor of /dev/fuse that the supervisor mounted: the threads that read
 * requests, and what libfuse 3.14 does not do by itself.
 *
 * The session may be one of many on the same mount, each taking over from a kosekifs-mount that
 * ended. It is told the kernel's INIT from the journal and gives an answer that the kernel no
 * longer waits for; then it answers what is left in the journal (fs/journal.h), some of it perhaps
 * for the second time: the kernel says ENOENT to such a reply, and no more comes of it.
 *
 * libfuse 3.14 never asks for FUSE_PARALLEL_DIROPS; without it one look-up that waits for the
 * network stops every other look-up and each listing of the directory. The flag is put into the
 * INIT reply on its way to the kernel.
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

struct session;
struct room_alive;
struct journal;
struct fuse_in_header;
struct fuse_lowlevel_ops;

/* Takes fuse_fd; the journal stays the caller's. fuse_req_userdata() yields the session;
 * session_context() yields `context`. */
_must_use_ int session_new(int fuse_fd, struct journal *journal,
                           const struct fuse_lowlevel_ops *ops, void *context,
                           struct session **ret_session);
struct session *session_free(struct session *session);
void *session_context(const struct session *session);

/* Answers what an earlier session left, then requests with `threads` threads until the file system
 * is unmounted or session_stop(); returns 0 then. Takes SIGUSR1 for itself. */
_must_use_ int session_run(struct session *session, unsigned threads);
/* From any thread: lets session_run() return after the requests under way. */
void session_stop(struct session *session);

/* Drops the kernel's cached pages and attributes of an inode. Not from a thread that answers a
 * request on that inode. */
void session_invalidate(struct session *session, uint64_t inode);

/* What the supervisor wants to know (base/room.h). Any thread. */
void session_status(struct session *session, struct room_alive *ret_status);

/* The kernel's number of the request that the calling thread answers now. */
uint64_t session_current_unique(void);
/*
 * The request that the calling thread answers now will be answered later: it keeps a place in the
 * journal until session_unpark(), which follows the reply. -ENOSPC: too many wait.
 */
_must_use_ int session_park(struct session *session, struct fuse_in_header **ret_place);
void session_unpark(struct session *session, struct fuse_in_header *place);
/* The kernel said that the program which waits got a signal; kept beside the request. */
void session_note_interrupt(struct session *session, const struct fuse_in_header *place);
/* True if a signal may have come in an earlier life of kosekifs-mount. Of the request just parked.
 */
bool session_was_interrupted(const struct session *session, const struct fuse_in_header *place);

#endif
