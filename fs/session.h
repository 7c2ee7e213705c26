/*
 * The FUSE session on a descriptor of /dev/fuse that the supervisor mounted: the threads that read
 * requests, and what libfuse 3.14 does not do by itself.
 *
 * libfuse 3.14 never asks for FUSE_PARALLEL_DIROPS; without it one look-up that waits for the
 * network stops every other look-up and each listing of the directory. The flag is put into the
 * INIT reply on its way to the kernel.
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include "base/cleanup.h"

#include <stdint.h>

struct session;
struct fuse_lowlevel_ops;

/* Takes fuse_fd. fuse_req_userdata() yields the session; session_context() yields `context`. */
_must_use_ int session_new(int fuse_fd, const struct fuse_lowlevel_ops *ops, void *context,
                           struct session **ret_session);
struct session *session_free(struct session *session);
void *session_context(const struct session *session);

/* Answers requests with `threads` threads until the file system is unmounted or session_stop();
 * returns 0 then. Takes SIGUSR1 for itself. */
_must_use_ int session_run(struct session *session, unsigned threads);
/* From any thread: lets session_run() return after the requests under way. */
void session_stop(struct session *session);

/* Drops the kernel's cached pages and attributes of an inode. Not from a thread that answers a
 * request on that inode. */
void session_invalidate(struct session *session, uint64_t inode);

/* The kernel's number of the request that the calling thread answers now. */
uint64_t session_current_unique(void);

#endif
