/*
 * OPEN, READ, RELEASE. An open of what is ready is answered at once; everything else is parked with
 * provide. Right and record come immediately before the reply, in grant().
 */
#include "base/clock.h"
#include "base/log.h"
#include "fs/errno_table.h"
#include "fs/hidden.h"
#include "fs/ops_private.h"
#include "fs/uses.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct opening {
    fuse_req_t request;
    struct fuse_file_info *file;
    struct caller *caller;
    uint64_t unique;
};

static int record_open(struct mountfs *fs, const struct opening *opening,
                       const struct certname *name, enum audit_result result, int error,
                       const struct access_decision *decision, const char *text)
{
    const struct audit_event event = {
        .kind = AUDIT_OPEN,
        .result = result,
        .error = error,
        .caller = opening->caller,
        .name = name->text,
        .role = decision ? access_role_name(decision->role) : NULL,
        .affair = decision ? decision->affair : NULL,
        .purpose = decision ? decision->purpose : NULL,
        .reason = decision ? access_reason_name(decision->reason) : errno_name(error),
        .text = text,
        .connection = fs->connection,
        .unique = opening->unique,
    };
    return audit_write(fs->audit, &event);
}

static void refuse(struct mountfs *fs, const struct opening *opening, const struct certname *name,
                   const struct access_decision *decision)
{
    if (decision->may_read && decision->reason == ACCESS_NOT_STORED) {
        fuse_reply_err(opening->request, ENOENT);
        return;
    }
    atomic_fetch_add(&fs->denials, 1);
    int error = access_reason_errno(decision->reason);
    if (record_open(fs, opening, name, AUDIT_DENIED, error, decision, NULL) < 0)
        error = EPERM;
    ops_reply_failure(opening->request, opening->caller->uid, name, error, "");
}

static void fail(struct mountfs *fs, const struct opening *opening, const struct certname *name,
                 int error, const char *reason)
{
    if (record_open(fs, opening, name, AUDIT_FAILED, error, NULL, reason) < 0)
        error = EPERM;
    ops_reply_failure(opening->request, opening->caller->uid, name, error, reason);
}

/* Notes the open file, puts it on record and answers. */
static void answer(struct mountfs *fs, const struct opening *opening,
                   const struct cache_entry *entry, const struct access_decision *decision)
{
    int noted = delivery_opened(fs->delivery, opening->unique, entry->inode, opening->caller->uid,
                                delivery_affair(decision->affair));
    if (noted < 0) {
        fail(fs, opening, &entry->name, -noted, "too many open files");
        return;
    }
    if (record_open(fs, opening, &entry->name, AUDIT_OK, 0, decision, NULL) < 0) {
        delivery_closed(fs->delivery, opening->unique);
        ops_reply_failure(opening->request, opening->caller->uid, &entry->name, EPERM,
                          "audit trail");
        return;
    }
    atomic_fetch_add(&fs->opens, 1);
    uses_note(fs->uses, entry->inode, clock_realtime_s());
    why_record(fs->why, opening->caller->uid, &entry->name, 0, "");
    opening->file->keep_cache = 1;
    opening->file->noflush = 1;
    opening->file->fh = opening->unique;
    /* An open that was interrupted meanwhile is not released. */
    if (fuse_reply_open(opening->request, opening->file) < 0 && noted != DELIVERY_KNOWN)
        delivery_closed(fs->delivery, opening->unique);
}

/* Seals and right. Inside the gate. */
static void decide(struct mountfs *fs, const struct opening *opening,
                   const struct cache_entry *entry)
{
    struct access_decision decision;
    const struct access_question question = {
        .want = ACCESS_REPLY,
        .stored = true,
        .now_s = clock_realtime_s(),
        .connection = fs->connection,
        .unique = opening->unique,
    };
    if (!access_decide(fs->access, opening->caller, &entry->name, &question, &decision)) {
        refuse(fs, opening, &entry->name, &decision);
        return;
    }
    /* Pages that he would read are pages of theirs. */
    if (delivery_blocked(fs->delivery, entry->inode)) {
        fail(fs, opening, &entry->name, EPERM, "somebody under a seal still has it open");
        return;
    }
    answer(fs, opening, entry, &decision);
}

/* The last checks of what is stored: state, seals and right, in this order, then the answer.
 * Nothing was answered if the state that it returns is not PROVIDE_READY. */
static enum provide_state grant(struct mountfs *fs, const struct opening *opening,
                                const struct cache_entry *entry)
{
    unsigned entered = delivery_enter(fs->delivery);
    enum provide_state state = provide_state_of(fs->provide, entry);
    if (state == PROVIDE_READY)
        decide(fs, opening, entry);
    delivery_leave(fs->delivery, entered);
    return state;
}

/* It is stored, and what is known of its signer now forbids it. */
static void fail_rejected(struct mountfs *fs, const struct opening *opening,
                          const struct cache_entry *entry)
{
    char reason[VERDICT_TEXT_MAX] = "";
    int error = provide_rejection(fs->provide, entry, reason);
    fail(fs, opening, &entry->name, error, reason);
}

/* After a wait: nothing is fetched or verified for it once more. */
static void grant_or_fail(struct mountfs *fs, const struct opening *opening,
                          const struct cache_entry *entry)
{
    enum provide_state state = grant(fs, opening, entry);
    if (state == PROVIDE_REJECTED || state == PROVIDE_STALE)
        fail_rejected(fs, opening, entry);
    else if (state != PROVIDE_READY)
        fail(fs, opening, &entry->name, ENOKEY, "trust changed while the certificate was read");
}

static void opened(struct waiter *waiter, const struct outcome *outcome)
{
    struct parked *parked = (struct parked *)waiter;
    struct mountfs *fs = ops_fs(parked->request);
    int error = outcome->error;
    if (outcome->left) {
        parked_leave(parked);
        return;
    }
    /* Trust changed while it was stored: it is verified once more rather than refused. */
    if (!error && provide_state_of(fs->provide, &outcome->entry) == PROVIDE_UNVERIFIED) {
        error = provide_content(fs->provide, &outcome->entry.name, waiter);
        if (!error)
            return;
    }
    struct caller caller;
    caller_of(fs->callers, parked->uid, parked->gid, parked->pid, &caller);
    const struct opening opening = {.request = parked_request(parked),
                                    .file = &parked->file,
                                    .caller = &caller,
                                    .unique = parked->unique};
    if (error)
        fail(fs, &opening, &parked->name, error, outcome->reason);
    else
        grant_or_fail(fs, &opening, &outcome->entry);
    parked_done(fs, parked);
}

static void park(struct mountfs *fs, const struct opening *opening, const struct cache_entry *entry)
{
    struct parked *parked = parked_new(opening->request, &entry->name, opened);
    if (parked)
        parked->file = *opening->file;
    int error = parked ? provide_content(fs->provide, &entry->name, &parked->waiter) : ENOMEM;
    if (!error)
        return;
    if (parked)
        parked_request(parked);
    fail(fs, opening, &entry->name, error, "");
    if (parked)
        parked_done(fs, parked);
}

static void open_certificate(struct mountfs *fs, const struct opening *opening,
                             const struct cache_entry *entry)
{
    struct access_decision decision;
    enum provide_state state = grant(fs, opening, entry);
    if (state == PROVIDE_READY)
        return;
    const struct access_question question = {
        .want = ACCESS_OPEN,
        .stored = state == PROVIDE_UNVERIFIED,
        .now_s = clock_realtime_s(),
    };
    if (!access_decide(fs->access, opening->caller, &entry->name, &question, &decision)) {
        refuse(fs, opening, &entry->name, &decision);
        return;
    }
    if (state == PROVIDE_STALE || state == PROVIDE_REJECTED)
        fail_rejected(fs, opening, entry);
    else
        park(fs, opening, entry);
}

void ops_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct mountfs *fs = ops_fs(request);
    struct cache_entry entry;
    struct caller caller;
    if ((file->flags & O_ACCMODE) != O_RDONLY || (file->flags & O_TRUNC)) {
        fuse_reply_err(request, EROFS);
        return;
    }
    ops_caller(request, &caller);
    if (hidden_owns(inode)) {
        int error = hidden_open(fs, &caller, inode, session_current_unique(), &file->fh);
        file->direct_io = 1;
        file->noflush = 1;
        if (error)
            fuse_reply_err(request, error);
        else
            fuse_reply_open(request, file);
        return;
    }
    const struct opening opening = {request, file, &caller, session_current_unique()};
    int found = cache_find_inode(fs->cache, (uint32_t)inode, &entry);
    if (found != 0)
        fuse_reply_err(request, found < 0 ? errno_of_store(found) : ESTALE);
    else
        open_certificate(fs, &opening, &entry);
}

/* A positive errno, or 0. */
static int read_certificate(struct mountfs *fs, uint32_t inode, uint64_t offset, char *out,
                            size_t size, size_t *ret_got)
{
    if (seals_cover_all(fs->seals) || delivery_blocked(fs->delivery, inode))
        return EPERM;
    struct cache_entry entry;
    int refused = cache_find_inode(fs->cache, inode, &entry) == 0
                      ? provide_read_refused(fs->provide, &entry)
                      : 0;
    if (refused)
        return refused;
    int result = cache_read(fs->cache, inode, offset, out, size, ret_got);
    if (result == -EIO)
        alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_STORE, "store",
                     "Check the disk; fetch the certificate again.",
                     "a stored certificate is damaged");
    else if (result < 0)
        alerts_raise(fs->alerts, ALERT_WARNING, ALERT_KEYS, "keys",
                     "Look at the log and at kosekictl status.",
                     "a stored certificate could not be read: %s", strerror(-result));
    return result < 0 ? errno_of_store(result) : result > 0 ? EIO : 0;
}

void ops_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
              struct fuse_file_info *file)
{
    struct mountfs *fs = ops_fs(request);
    _cleanup_free_ char *out = malloc(size ? size : 1);
    size_t got = 0;
    int error = out ? 0 : ENOMEM;
    unsigned entered = delivery_enter(fs->delivery);
    if (!error && hidden_owns(inode)) {
        struct caller caller;
        ops_caller(request, &caller);
        got = hidden_read(fs, &caller, inode, file->fh, (uint64_t)offset, out, size, &error);
    } else if (!error) {
        error = read_certificate(fs, (uint32_t)inode, (uint64_t)offset, out, size, &got);
    }
    if (error)
        fuse_reply_err(request, error);
    else
        fuse_reply_buf(request, out, got);
    delivery_leave(fs->delivery, entered);
}

static void release_certificate(struct mountfs *fs, uint32_t inode, uint64_t handle)
{
    struct cache_entry entry;
    delivery_closed(fs->delivery, handle);
    /* The kernel does not say who closed last; the numbers lead to the open. */
    if (cache_find_inode(fs->cache, inode, &entry) == 0 &&
        audit_release(fs->audit, &entry.name, fs->connection, handle) < 0)
        log_debug("release not recorded");
}

void ops_release(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct mountfs *fs = ops_fs(request);
    if (hidden_owns(inode))
        hidden_release(fs, file->fh);
    else
        release_certificate(fs, (uint32_t)inode, file->fh);
    fuse_reply_err(request, 0);
}
