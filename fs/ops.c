/* See ops.h: the table, the small requests, and what the ops files share. */
#include "fs/ops.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/attributes.h"
#include "fs/errno_table.h"
#include "fs/hidden.h"
#include "fs/ops_private.h"

#include <errno.h>
#include <string.h>

enum { READAHEAD_MAX = 1 << 20, WRITE_MAX = 4096 };

/* --- shared ----------------------------------------------------------------------------------- */

void ops_caller(fuse_req_t request, struct caller *ret_caller)
{
    const struct fuse_ctx *context = fuse_req_ctx(request);
    caller_of(ops_fs(request)->callers, context->uid, context->gid, context->pid, ret_caller);
}

void ops_fill_entry(struct mountfs *fs, const struct cache_entry *entry, bool kept,
                    struct fuse_entry_param *ret_param)
{
    double timeout_s = kept ? (double)fs->config->entry_timeout / 1000 : 0;
    *ret_param = (struct fuse_entry_param){
        .ino = entry->inode,
        .generation = cache_generation(fs->cache),
        .entry_timeout = timeout_s,
        .attr_timeout = timeout_s,
    };
    attributes_of_entry(fs, entry, &ret_param->attr);
}

void ops_reply_entry(fuse_req_t request, const struct cache_entry *entry, bool kept)
{
    struct fuse_entry_param param;
    ops_fill_entry(ops_fs(request), entry, kept, &param);
    fuse_reply_entry(request, &param);
}

void ops_reply_failure(fuse_req_t request, uid_t uid, const struct certname *name, int error,
                       const char *reason)
{
    struct mountfs *fs = ops_fs(request);
    char digest[2 * SHA256_SIZE + 1] = "?";
    uint8_t sum[SHA256_SIZE];
    if (error != ENOENT && error != EACCES && error != EINTR) {
        /* Names may be personal data: the log has their digests, the audit trail the names. */
        if (sha256(name->text, strlen(name->text), sum) == 0)
            hex_encode(sum, sizeof sum, digest);
        log_info("name sha256:%.16s: %s: %s", digest, errno_name(error), reason);
    }
    atomic_fetch_add(&fs->failures, 1);
    why_record(fs->why, uid, name, error, reason);
    fuse_reply_err(request, error);
}

static void parked_interrupted(fuse_req_t request, void *argument)
{
    struct parked *parked = argument;
    session_note_interrupt(ops_fs(request)->session, parked->place);
    provide_interrupt(ops_fs(request)->provide, &parked->waiter);
}

struct parked *parked_new(fuse_req_t request, const struct certname *name,
                          void (*complete)(struct waiter *, const struct outcome *))
{
    const struct fuse_ctx *context = fuse_req_ctx(request);
    struct parked *parked = calloc(1, sizeof *parked);
    if (!parked)
        return NULL;
    parked->waiter.complete = complete;
    parked->waiter.tid = context->pid;
    parked->waiter.uid = context->uid;
    parked->request = request;
    parked->uid = context->uid;
    parked->gid = context->gid;
    parked->pid = context->pid;
    parked->name = *name;
    parked->unique = session_current_unique();
    if (session_park(ops_fs(request)->session, &parked->place) < 0) {
        free(parked);
        return NULL;
    }
    atomic_store(&parked->waiter.interrupted,
                 session_was_interrupted(ops_fs(request)->session, parked->place));
    fuse_req_interrupt_func(request, parked_interrupted, parked);
    return parked;
}

fuse_req_t parked_request(struct parked *parked)
{
    fuse_req_interrupt_func(parked->request, NULL, NULL);
    return parked->request;
}

void parked_done(struct mountfs *fs, struct parked *parked)
{
    session_unpark(fs->session, parked->place);
    free(parked);
}

void parked_leave(struct parked *parked)
{
    fuse_reply_none(parked_request(parked)); /* says nothing to the kernel */
    free(parked);
}

/* --- small requests --------------------------------------------------------------------------- */

static void ops_init(void *userdata, struct fuse_conn_info *connection)
{
    (void)userdata;
    connection->want |= connection->capable & (FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_PARALLEL_DIROPS |
                                               FUSE_CAP_EXPLICIT_INVAL_DATA);
    /* POSIX_ACL would make the kernel decide, unseen by the audit trail. */
    connection->want &=
        ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_POSIX_ACL | FUSE_CAP_SPLICE_READ |
                    FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_WRITEBACK_CACHE |
                    FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS);
    connection->max_write = WRITE_MAX;
    connection->max_readahead = READAHEAD_MAX;
}

static void ops_forget(fuse_req_t request, fuse_ino_t inode, uint64_t count)
{
    (void)inode; /* inode numbers are persistent: there is nothing to forget */
    (void)count;
    fuse_reply_none(request);
}

static void ops_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
    (void)count;
    (void)forgets;
    fuse_reply_none(request);
}

static void ops_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct mountfs *fs = ops_fs(request);
    struct cache_entry entry;
    struct stat status;
    double timeout_s = 0;
    (void)file;
    if (inode == INODE_ROOT || hidden_is_directory(inode)) {
        attributes_of_directory(fs, inode, &status);
    } else if (hidden_owns(inode)) {
        attributes_of_file(fs, inode, &status);
    } else {
        int found = cache_find_inode(fs->cache, (uint32_t)inode, &entry);
        if (found != 0) {
            fuse_reply_err(request, found < 0 ? errno_of_store(found) : ESTALE);
            return;
        }
        attributes_of_entry(fs, &entry, &status);
        if (entry.state == CACHE_STORED)
            timeout_s = (double)fs->config->entry_timeout / 1000;
    }
    fuse_reply_attr(request, &status, timeout_s);
}

/* Decides on an inode of a certificate; answers the request and returns false when it may not. */
static bool decide_inode(fuse_req_t request, fuse_ino_t inode, enum access_want want,
                         enum audit_kind kind, struct cache_entry *ret_entry)
{
    struct mountfs *fs = ops_fs(request);
    struct access_decision decision;
    struct caller caller;
    int found = cache_find_inode(fs->cache, (uint32_t)inode, ret_entry);
    if (found != 0) {
        fuse_reply_err(request, found < 0 ? errno_of_store(found) : ESTALE);
        return false;
    }
    const struct access_question question = {
        .want = want,
        .stored = ret_entry->state == CACHE_STORED,
        .now_s = clock_realtime_s(),
    };
    ops_caller(request, &caller);
    if (access_decide(fs->access, &caller, &ret_entry->name, &question, &decision) ||
        decision.may_read)
        return true;
    const struct audit_event event = {
        .kind = kind,
        .result = AUDIT_DENIED,
        .error = access_reason_errno(decision.reason),
        .caller = &caller,
        .name = ret_entry->name.text,
        .role = access_role_name(decision.role),
        .affair = decision.affair,
        .reason = access_reason_name(decision.reason),
    };
    atomic_fetch_add(&fs->denials, 1);
    fuse_reply_err(request, audit_write(fs->audit, &event) < 0 ? EPERM : event.error);
    return false;
}

static void ops_access(fuse_req_t request, fuse_ino_t inode, int mask)
{
    struct cache_entry entry;
    bool certificate = inode != INODE_ROOT && !hidden_owns(inode);
    if (mask & W_OK)
        fuse_reply_err(request, EROFS);
    else if ((mask & X_OK) && inode != INODE_ROOT && !hidden_is_directory(inode))
        fuse_reply_err(request, EACCES);
    else if (!certificate || decide_inode(request, inode, ACCESS_LOOKUP, AUDIT_LOOKUP, &entry))
        fuse_reply_err(request, 0);
}

static void reply_value(fuse_req_t request, const char *value, ssize_t length, size_t size)
{
    if (length < 0)
        fuse_reply_err(request, (int)-length);
    else if (size == 0)
        fuse_reply_xattr(request, (size_t)length);
    else if ((size_t)length > size)
        fuse_reply_err(request, ERANGE);
    else
        fuse_reply_buf(request, value, (size_t)length);
}

static void ops_getxattr(fuse_req_t request, fuse_ino_t inode, const char *name, size_t size)
{
    char value[ATTRIBUTES_VALUE_MAX];
    struct cache_entry entry;
    if (inode == INODE_ROOT || hidden_owns(inode))
        fuse_reply_err(request, ENODATA);
    else if (decide_inode(request, inode, ACCESS_XATTR, AUDIT_XATTR, &entry))
        reply_value(request, value, attributes_get(ops_fs(request), &entry, name, value), size);
}

static void ops_listxattr(fuse_req_t request, fuse_ino_t inode, size_t size)
{
    char list[ATTRIBUTES_VALUE_MAX];
    struct cache_entry entry;
    if (inode == INODE_ROOT || hidden_owns(inode))
        reply_value(request, list, 0, size);
    else if (decide_inode(request, inode, ACCESS_XATTR, AUDIT_XATTR, &entry))
        reply_value(request, list, attributes_list(ops_fs(request), &entry, list), size);
}

static void ops_statfs(fuse_req_t request, fuse_ino_t inode)
{
    struct statvfs status;
    (void)inode;
    if (attributes_of_store(ops_fs(request), &status) < 0)
        fuse_reply_err(request, EIO);
    else
        fuse_reply_statfs(request, &status);
}

static void ops_ioctl(fuse_req_t request, fuse_ino_t inode, unsigned command, void *argument,
                      struct fuse_file_info *file, unsigned flags, const void *in, size_t in_size,
                      size_t out_size)
{
    (void)inode, (void)command, (void)argument, (void)file;
    (void)flags, (void)in, (void)in_size, (void)out_size;
    fuse_reply_err(request, ENOTTY);
}

/* --- whatever would change something ---------------------------------------------------------- */

static void ops_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *status, int which,
                        struct fuse_file_info *file)
{
    (void)inode, (void)status, (void)which, (void)file;
    fuse_reply_err(request, EROFS);
}

static void ops_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                      dev_t device)
{
    (void)parent, (void)name, (void)mode, (void)device;
    fuse_reply_err(request, EROFS);
}

static void ops_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)parent, (void)name, (void)mode;
    fuse_reply_err(request, EROFS);
}

static void ops_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    fuse_reply_err(request, EROFS);
}

static void ops_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    fuse_reply_err(request, EROFS);
}

static void ops_rename(fuse_req_t request, fuse_ino_t parent, const char *name,
                       fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
    (void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
    fuse_reply_err(request, EROFS);
}

static void ops_link(fuse_req_t request, fuse_ino_t inode, fuse_ino_t parent, const char *name)
{
    (void)inode, (void)parent, (void)name;
    fuse_reply_err(request, EROFS);
}

static void ops_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                       struct fuse_file_info *file)
{
    (void)parent, (void)name, (void)mode, (void)file;
    fuse_reply_err(request, EROFS);
}

static void ops_write(fuse_req_t request, fuse_ino_t inode, const char *data, size_t size,
                      off_t offset, struct fuse_file_info *file)
{
    (void)inode, (void)data, (void)size, (void)offset, (void)file;
    fuse_reply_err(request, EROFS);
}

static void ops_fallocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset,
                          off_t length, struct fuse_file_info *file)
{
    (void)inode, (void)mode, (void)offset, (void)length, (void)file;
    fuse_reply_err(request, EROFS);
}

static void ops_setxattr(fuse_req_t request, fuse_ino_t inode, const char *name, const char *value,
                         size_t size, int flags)
{
    (void)inode, (void)name, (void)value, (void)size, (void)flags;
    fuse_reply_err(request, EROFS);
}

static void ops_removexattr(fuse_req_t request, fuse_ino_t inode, const char *name)
{
    (void)inode, (void)name;
    fuse_reply_err(request, EROFS);
}

const struct fuse_lowlevel_ops *ops_table(void)
{
    static const struct fuse_lowlevel_ops table = {
        .init = ops_init,
        .lookup = ops_lookup,
        .forget = ops_forget,
        .forget_multi = ops_forget_multi,
        .getattr = ops_getattr,
        .access = ops_access,
        .open = ops_open,
        .read = ops_read,
        .release = ops_release,
        .opendir = ops_opendir,
        .readdir = ops_readdir,
        .readdirplus = ops_readdirplus,
        .statfs = ops_statfs,
        .getxattr = ops_getxattr,
        .listxattr = ops_listxattr,
        .ioctl = ops_ioctl,
        .setattr = ops_setattr,
        .mknod = ops_mknod,
        .mkdir = ops_mkdir,
        .unlink = ops_unlink,
        .rmdir = ops_unlink,
        .symlink = ops_symlink,
        .rename = ops_rename,
        .link = ops_link,
        .create = ops_create,
        .write = ops_write,
        .fallocate = ops_fallocate,
        .setxattr = ops_setxattr,
        .removexattr = ops_removexattr,
    };
    return &table;
}
