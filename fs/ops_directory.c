/*
 * Listings: only what is stored, valid and openable by the caller, so that listing, indexing and
 * backup never fetch and never meet an error. The offset of an entry is its inode number, which is
 * never reused: additions and removals make no listing repeat or skip.
 */
#include "base/clock.h"
#include "fs/attributes.h"
#include "fs/hidden.h"
#include "fs/ops_private.h"

#include <errno.h>
#include <string.h>

enum {
    PAGE = 32,
    LOOKED_AT_MAX = 1024, /* certificates for one reply, 2.5 ms; the kernel asks for more itself */
    FEW = 512,            /* names that are looked up one by one; more: the store is walked */
    OFFSET_DOT = 1,
    OFFSET_DOTDOT = 2,
};

struct listing {
    fuse_req_t request;
    bool plus;
    char *out;
    size_t size, used;
};

void ops_opendir(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct mountfs *fs = ops_fs(request);
    struct caller caller;
    if (inode != INODE_ROOT && !hidden_is_directory(inode)) {
        fuse_reply_err(request, ENOTDIR);
        return;
    }
    if (inode == INODE_ROOT) {
        ops_caller(request, &caller);
        /* An empty listing would look as if there were no certificates. */
        bool sealed = seals_cover_all(fs->seals);
        const struct audit_event event = {.kind = AUDIT_LIST,
                                          .result = sealed ? AUDIT_DENIED : AUDIT_OK,
                                          .error = sealed ? EPERM : 0,
                                          .caller = &caller,
                                          .reason = sealed ? "sealed" : NULL};
        if (audit_write(fs->audit, &event) < 0 || sealed) {
            fuse_reply_err(request, EPERM);
            return;
        }
    }
    file->fh = 0;
    fuse_reply_open(request, file);
}

/* False when the buffer is full. */
static bool add(struct listing *listing, const char *name, const struct fuse_entry_param *param,
                off_t next)
{
    char *where = listing->out + listing->used;
    size_t left = listing->size - listing->used;
    size_t needed =
        listing->plus ? fuse_add_direntry_plus(listing->request, where, left, name, param, next)
                      : fuse_add_direntry(listing->request, where, left, name, &param->attr, next);
    if (needed > left)
        return false;
    listing->used += needed;
    return true;
}

static bool add_dots(struct listing *listing, uint64_t inode, off_t offset)
{
    struct fuse_entry_param param = {0}; /* node id 0: the kernel keeps no reference */
    param.attr.st_mode = S_IFDIR;
    param.attr.st_ino = inode;
    if (offset < OFFSET_DOT && !add(listing, ".", &param, OFFSET_DOT))
        return false;
    param.attr.st_ino = inode == INODE_ROOT ? INODE_ROOT : hidden_parent(inode);
    return offset >= OFFSET_DOTDOT || add(listing, "..", &param, OFFSET_DOTDOT);
}

static bool listable(struct mountfs *fs, struct caller *caller, const struct cache_entry *entry,
                     int64_t now_s)
{
    const struct access_question question = {.want = ACCESS_LIST, .stored = true, .now_s = now_s};
    struct access_decision decision;
    return provide_state_of(fs->provide, entry) == PROVIDE_READY &&
           access_decide(fs->access, caller, &entry->name, &question, &decision);
}

static bool add_entry(struct listing *listing, const struct cache_entry *entry)
{
    struct fuse_entry_param param;
    ops_fill_entry(ops_fs(listing->request), entry, true, &param);
    return add(listing, entry->name.text, &param, entry->inode);
}

static int add_of_all(struct listing *listing, struct caller *caller, uint32_t cursor,
                      int64_t now_s)
{
    struct mountfs *fs = ops_fs(listing->request);
    /* A reply without any entry means the end, so what is not for the caller must be passed over
     * until there is one. */
    for (size_t looked_at = 0; looked_at < LOOKED_AT_MAX || listing->used == 0; looked_at += PAGE) {
        struct cache_entry page[PAGE];
        size_t filled = 0;
        int error = cache_list(fs->cache, &cursor, page, PAGE, &filled);
        if (error < 0 || filled == 0)
            return error;
        for (size_t i = 0; i < filled; i++)
            if (listable(fs, caller, &page[i], now_s) && !add_entry(listing, &page[i]))
                return 0;
    }
    return 0;
}

static int compare_inodes(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* The inode numbers within reach, ascending; FEW of them mean that there may be more. */
static int find_few(struct mountfs *fs, const struct access_reach *reach, uint32_t inodes[FEW],
                    size_t *ret_count)
{
    size_t count = 0;
    for (unsigned i = 0; i < reach->count && count < FEW; i++) {
        size_t filled = 0;
        int error =
            cache_list_names(fs->cache, reach->beginnings[i], inodes + count, FEW - count, &filled);
        if (error < 0)
            return error;
        count += filled;
    }
    qsort(inodes, count, sizeof *inodes, compare_inodes);
    *ret_count = count;
    return 0;
}

static void add_of_few(struct listing *listing, struct caller *caller, uint32_t cursor,
                       int64_t now_s, const uint32_t *inodes, size_t count)
{
    struct mountfs *fs = ops_fs(listing->request);
    for (size_t i = 0; i < count; i++) {
        struct cache_entry entry;
        if (inodes[i] <= cursor) /* told before, or twice within reach */
            continue;
        cursor = inodes[i];
        /* A damaged entry is passed over: a listing never fails because of one certificate. */
        if (cache_find_inode(fs->cache, cursor, &entry) == 0 && entry.state == CACHE_STORED &&
            listable(fs, caller, &entry, now_s) && !add_entry(listing, &entry))
            return;
    }
}

/* An entry costs a decryption, a name does not: who may list little asks for little. */
static int add_certificates(struct listing *listing, struct caller *caller, off_t offset)
{
    struct mountfs *fs = ops_fs(listing->request);
    int64_t now_s = clock_realtime_s();
    uint32_t cursor = offset < CACHE_INODE_FIRST ? 0 : (uint32_t)offset;
    uint32_t inodes[FEW];
    size_t count = 0;
    struct access_reach reach;
    access_reach(fs->access, caller, now_s, &reach);
    int error = reach.all ? 0 : find_few(fs, &reach, inodes, &count);
    if (error < 0)
        return error;
    if (reach.all || count == FEW)
        return add_of_all(listing, caller, cursor, now_s);
    add_of_few(listing, caller, cursor, now_s, inodes, count);
    return 0;
}

static void read_directory(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                           bool plus)
{
    _cleanup_free_ char *out = malloc(size ? size : 1);
    struct listing listing = {.request = request, .plus = plus, .out = out, .size = size};
    struct caller caller;
    int error = 0;
    if (!out || offset < 0 || offset > CACHE_INODE_LAST) {
        fuse_reply_err(request, out ? EINVAL : ENOMEM);
        return;
    }
    if (inode == INODE_ROOT && seals_cover_all(ops_fs(request)->seals)) {
        fuse_reply_err(request, EPERM);
        return;
    }
    ops_caller(request, &caller);
    if (add_dots(&listing, inode, offset) && inode == INODE_ROOT)
        error = add_certificates(&listing, &caller, offset);
    if (error < 0 && listing.used == 0)
        fuse_reply_err(request, EIO);
    else
        fuse_reply_buf(request, out, listing.used);
}

void ops_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                 struct fuse_file_info *file)
{
    (void)file;
    read_directory(request, inode, size, offset, false);
}

void ops_readdirplus(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                     struct fuse_file_info *file)
{
    (void)file;
    read_directory(request, inode, size, offset, true);
}
