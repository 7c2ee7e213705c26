/*
 * LOOKUP: name grammar and access first, both local; then the store; then a HEAD with a short
 * deadline, since programs ask for the size before they open.
 */
#include "base/clock.h"
#include "fs/errno_table.h"
#include "fs/hidden.h"
#include "fs/ops_private.h"

#include "fs/attributes.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

enum { MALFORMED_KEPT_S = 60 };

static void reply_nothing(fuse_req_t request, double kept_s)
{
    const struct fuse_entry_param nothing = {.entry_timeout = kept_s};
    fuse_reply_entry(request, &nothing);
}

static void reply_directory(fuse_req_t request, uint64_t inode)
{
    struct mountfs *fs = ops_fs(request);
    struct fuse_entry_param param = {.ino = inode};
    /* The kernel wants 0 for the root. */
    param.generation = inode == INODE_ROOT ? 0 : cache_generation(fs->cache);
    attributes_of_directory(fs, inode, &param.attr);
    fuse_reply_entry(request, &param);
}

static void reply_hidden(fuse_req_t request, uint64_t inode)
{
    struct mountfs *fs = ops_fs(request);
    struct fuse_entry_param param = {.ino = inode, .generation = cache_generation(fs->cache)};
    if (hidden_is_directory(inode)) {
        reply_directory(request, inode);
        return;
    }
    attributes_of_file(fs, inode, &param.attr);
    fuse_reply_entry(request, &param);
}

static void lookup_hidden(fuse_req_t request, struct caller *caller, uint64_t parent,
                          const char *name)
{
    uint64_t inode = hidden_lookup(ops_fs(request), caller, parent, name);
    if (inode)
        reply_hidden(request, inode);
    else
        fuse_reply_err(request, ENOENT);
}

static void looked_up(struct waiter *waiter, const struct outcome *outcome)
{
    struct parked *parked = (struct parked *)waiter;
    if (outcome->left) {
        parked_leave(parked);
        return;
    }
    fuse_req_t request = parked_request(parked);
    struct mountfs *fs = ops_fs(request);
    if (outcome->error == ENOENT)
        alerts_observe_missing(fs->alerts, parked->uid, parked->name.text);
    if (outcome->error)
        ops_reply_failure(request, parked->uid, &parked->name, outcome->error, outcome->reason);
    else if (seals_cover(fs->seals, parked->uid, &parked->name, NULL))
        ops_reply_failure(request, parked->uid, &parked->name, EPERM, "");
    else
        ops_reply_entry(request, &outcome->entry, false);
    parked_done(fs, parked);
}

static void lookup_upstream(fuse_req_t request, const struct caller *caller,
                            const struct certname *name)
{
    struct mountfs *fs = ops_fs(request);
    struct parked *parked = parked_new(request, name, looked_up);
    int error = parked ? provide_lookup(fs->provide, name, &parked->waiter) : ENOMEM;
    if (!error)
        return;
    if (parked)
        parked_request(parked);
    if (error == ENOENT)
        alerts_observe_missing(fs->alerts, caller->uid, name->text);
    ops_reply_failure(request, caller->uid, name, error,
                      error == ENOENT ? "the link system said so a moment ago" : "");
    if (parked)
        parked_done(fs, parked);
}

static void lookup_denied(fuse_req_t request, struct caller *caller, const struct certname *name,
                          const struct access_decision *decision)
{
    struct mountfs *fs = ops_fs(request);
    if (decision->may_read) { /* what is not stored does not exist for him */
        fuse_reply_err(request, ENOENT);
        return;
    }
    atomic_fetch_add(&fs->denials, 1);
    const struct audit_event event = {
        .kind = AUDIT_LOOKUP,
        .result = AUDIT_DENIED,
        .error = access_reason_errno(decision->reason),
        .caller = caller,
        .name = name->text,
        .role = access_role_name(decision->role),
        .affair = decision->affair,
        .reason = access_reason_name(decision->reason),
    };
    int error = audit_write(fs->audit, &event) < 0 ? EPERM : event.error;
    ops_reply_failure(request, caller->uid, name, error, "");
}

static void lookup_certificate(fuse_req_t request, struct caller *caller,
                               const struct certname *name)
{
    struct mountfs *fs = ops_fs(request);
    struct cache_entry entry = {0};
    struct access_decision decision;
    int found = cache_find(fs->cache, name, &entry);
    if (found < 0) {
        ops_reply_failure(request, caller->uid, name, errno_of_store(found), "store");
        return;
    }
    bool stored = entry.state == CACHE_STORED || entry.state == CACHE_WITHHELD;
    bool ready = stored && provide_state_of(fs->provide, &entry) == PROVIDE_READY;
    const struct access_question question = {
        .want = ACCESS_LOOKUP, .stored = ready, .now_s = clock_realtime_s()};
    if (!access_decide(fs->access, caller, name, &question, &decision))
        lookup_denied(request, caller, name, &decision);
    else if (stored)
        ops_reply_entry(request, &entry, ready);
    else if (found == 0 && provide_described(fs->provide, name))
        ops_reply_entry(request, &entry, false);
    else
        lookup_upstream(request, caller, name);
}

/* "." and ".." of an inode: how a file handle that an NFS server kept becomes a file again, also
 * after a restart. Whether it may be read is decided when it is opened. */
static void lookup_by_handle(fuse_req_t request, uint64_t inode, const char *name)
{
    struct mountfs *fs = ops_fs(request);
    struct cache_entry entry;
    if (strcmp(name, "..") == 0)
        reply_directory(request, hidden_owns(inode) ? hidden_parent(inode) : INODE_ROOT);
    else if (inode == INODE_ROOT)
        reply_directory(request, INODE_ROOT);
    else if (hidden_owns(inode) && hidden_exists(fs, inode))
        reply_hidden(request, inode);
    else if (hidden_owns(inode) || cache_find_inode(fs->cache, (uint32_t)inode, &entry) != 0)
        fuse_reply_err(request, ESTALE);
    else
        ops_reply_entry(request, &entry, false);
}

void ops_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct mountfs *fs = ops_fs(request);
    struct certname certname;
    struct caller caller;
    ops_caller(request, &caller);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        lookup_by_handle(request, parent, name);
    } else if (hidden_owns(parent)) {
        lookup_hidden(request, &caller, parent, name);
    } else if (parent != INODE_ROOT) {
        fuse_reply_err(request, ENOTDIR);
    } else if (strcmp(name, ".kosekifs") == 0) {
        reply_directory(request, INODE_HIDDEN);
    } else if (!certname_parse(name, &certname)) {
        reply_nothing(request, MALFORMED_KEPT_S);
    } else {
        char id[REQUEST_ID_MAX + 1];
        snprintf(id, sizeof id, "%.*s", (int)certname_id_size(&certname), certname.text);
        if (fnmatch(fs->config->id_pattern, id, 0) != 0)
            reply_nothing(request, MALFORMED_KEPT_S);
        else
            lookup_certificate(request, &caller, &certname);
    }
}
