/* What the files of ops share. */
#ifndef FS_OPS_PRIVATE_H
#define FS_OPS_PRIVATE_H

#define FUSE_USE_VERSION 314
#include "fs/mountfs.h"

#include <fuse3/fuse_lowlevel.h>

static inline struct mountfs *ops_fs(fuse_req_t request)
{
    return session_context(fuse_req_userdata(request));
}

/* Who asks, from the request. */
void ops_caller(fuse_req_t request, struct caller *ret_caller);

/* Answers with an entry; `kept` says that the kernel may keep name and attributes a while. */
void ops_reply_entry(fuse_req_t request, const struct cache_entry *entry, bool kept);
/* Fills what ops_reply_entry() sends. */
void ops_fill_entry(struct mountfs *fs, const struct cache_entry *entry, bool kept,
                    struct fuse_entry_param *ret_param);

/* Notes why the caller failed and answers with the errno. */
void ops_reply_failure(fuse_req_t request, uid_t uid, const struct certname *name, int error,
                       const char *reason);

/* ops_open.c */
void ops_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file);
void ops_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
              struct fuse_file_info *file);
void ops_release(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file);

/* ops_lookup.c */
void ops_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);

/* ops_directory.c */
void ops_opendir(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file);
void ops_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                 struct fuse_file_info *file);
void ops_readdirplus(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                     struct fuse_file_info *file);

/*
 * A request that waits. Small, since ten thousand may: the caller's groups are asked for again when
 * it is answered, his thread being still there.
 */
struct parked {
    struct waiter waiter;
    fuse_req_t request;
    uid_t uid;
    gid_t gid;
    pid_t pid;
    struct certname name;
    uint64_t unique;
    struct fuse_in_header *place; /* in the journal */
    struct fuse_file_info file;   /* of an open */
};

/* NULL when memory is short. The interrupt function is set from here on. */
struct parked *parked_new(fuse_req_t request, const struct certname *name,
                          void (*complete)(struct waiter *, const struct outcome *));
/* Takes the interrupt function away and yields the request to be answered. */
fuse_req_t parked_request(struct parked *parked);
/* After the reply: out of the journal. */
void parked_done(struct mountfs *fs, struct parked *parked);
/* kosekifs-mount is ending and the request stays in the journal for the next one. */
void parked_leave(struct parked *parked);

#endif
