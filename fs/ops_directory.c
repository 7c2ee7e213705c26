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
    /* Of names looked at for one reply, some ms; the kernel asks for more itself. Of those that
     * have to be decrypted, at 1 us each, there are fewer. */
    NAMES_MAX = 32768,
    FEW = 512, /* names that are looked up one by one; more: the store is walked */
    OFFSET_DOT = 1,
    OFFSET_DOTDOT = 2,
};

struct listing {
    fuse_req_t request;
    bool plus;
    char *out;
    size_t size, used;
    struct access_listing access;
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

static bool wanted(void *context, const struct certname *name)
{
    struct listing *listing = context;
    return access_listing_has(&listing->access, name);
}

static uint64_t standing(void *context)
{
    const struct listing *listing = context;
    return provide_standing(ops_fs(listing->request)->provide);
}

static bool shown(void *context, const struct cache_entry *entry)
{
    const struct listing *listing = context;
    return provide_state_of(ops_fs(listing->request)->provide, entry) == PROVIDE_READY;
}

static bool add_certificate(void *context, uint32_t inode, const struct certname *name,
                            const struct cache_entry *entry)
{
    struct listing *listing = context;
    struct fuse_entry_param param;
    if (listing->plus) {
        ops_fill_entry(ops_fs(listing->request), entry, true, &param);
    } else {
        param.attr.st_ino = inode; /* no more is told */
        param.attr.st_mode = S_IFREG;
    }
    return add(listing, name->text, &param, inode);
}

static int add_of_all(struct listing *listing, uint32_t cursor)
{
    struct mountfs *fs = ops_fs(listing->request);
    const struct cache_walk walk = {.context = listing,
                                    .entries = listing->plus,
                                    .names_max = NAMES_MAX,
                                    .entries_max = CACHE_WALK_ENTRIES_MAX,
                                    .standing = standing,
                                    .wanted = wanted,
                                    .shown = shown,
                                    .add = add_certificate};
    bool end = false;
    int error = 0;
    /* A reply without any entry means the end, so what is not for the caller must be passed over
     * until there is one. */
    do
        error = cache_walk(fs->cache, &walk, &cursor, &end);
    while (error == 0 && !end && listing->used == 0);
    return error;
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

static int add_of_few(struct listing *listing, uint32_t cursor, const uint32_t *inodes,
                      size_t count)
{
    struct mountfs *fs = ops_fs(listing->request);
    for (size_t i = 0; i < count; i++) {
        struct cache_entry entry;
        if (inodes[i] <= cursor) /* told before, or twice within reach */
            continue;
        cursor = inodes[i];
        /* A damaged entry is passed over: a listing never fails because of one certificate. But
         * what cannot be asked for now is not told as if it were not there. */
        int error = cache_find_inode(fs->cache, cursor, &entry);
        if (error < 0 && error != -EIO)
            return error;
        if (error == 0 && entry.state == CACHE_STORED && wanted(listing, &entry.name) &&
            shown(listing, &entry) && !add_certificate(listing, cursor, &entry.name, &entry))
            return 0;
    }
    return 0;
}

/* An entry costs a decryption, a name does not: who may list little asks for little. */
static int add_certificates(struct listing *listing, struct caller *caller, off_t offset)
{
    struct mountfs *fs = ops_fs(listing->request);
    uint32_t cursor = offset < CACHE_INODE_FIRST ? 0 : (uint32_t)offset;
    uint32_t inodes[FEW];
    size_t count = 0;
    struct access_reach reach;
    if (!access_listing_begin(fs->access, caller, clock_realtime_s(), &listing->access))
        return 0;
    access_listing_reach(&listing->access, &reach);
    int error = reach.all ? 0 : find_few(fs, &reach, inodes, &count);
    if (error == 0 && (reach.all || count == FEW))
        error = add_of_all(listing, cursor);
    else if (error == 0)
        error = add_of_few(listing, cursor, inodes, count);
    access_listing_end(&listing->access);
    return error;
}

static void read_directory(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                           bool plus)
{
    _cleanup_free_ char *out = malloc(size ? size : 1);
    struct listing listing;
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
    listing.request = request;
    listing.plus = plus;
    listing.out = out;
    listing.size = size;
    listing.used = 0;
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
