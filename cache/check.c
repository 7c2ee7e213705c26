/*
 * fsck. Content first, each certificate in a short transaction of its own, since that takes long;
 * then names, spare rows, slots and totals, which must fit one another, in one transaction that
 * only walks over keys (cache/structure.h).
 */
#include "cache/erasure.h"
#include "cache/rebuild.h"
#include "cache/stored.h"
#include "cache/structure.h"

enum { INODES_AT_ONCE = 1000, PIECE_SIZE = 1024 * 1024 };

struct checking {
    struct cache *cache;
    const struct cache_check *check;
    struct cache_checked total;
    uint8_t *piece; /* of content, in clear */
};

static void tell(struct checking *checking, enum cache_damage what, const struct certname *name)
{
    checking->total.damages++;
    checking->check->damaged(checking->check->context, what, name);
}

static bool stopped(const struct checking *checking)
{
    return checking->check->stop && checking->check->stop(checking->check->context);
}

/* 0; CACHE_MISS: it is gone meanwhile; -EIO. */
static int read_all(struct checking *checking, const struct cache_entry *entry)
{
    _cleanup_sha256_stream_ struct sha256_stream *hash = sha256_stream_new();
    uint8_t digest[SHA256_SIZE];
    int r = hash ? 0 : -ENOMEM;
    for (uint64_t offset = 0; r == 0 && offset < entry->size;) {
        size_t got;
        r = cache_load_part(checking->cache, entry->inode, offset, checking->piece, PIECE_SIZE,
                            &got);
        if (r == 0 && got == 0)
            r = CACHE_MISS; /* another version, a shorter one */
        if (r == 0)
            r = sha256_stream_update(hash, checking->piece, got);
        offset += r == 0 ? got : 0;
    }
    if (r == 0)
        r = sha256_stream_finish(hash, digest);
    if (r == 0 && memcmp(digest, entry->sha256, sizeof digest) != 0)
        r = -EIO;
    return r;
}

/* Whether the entry is still the one that was looked at. */
static bool unchanged(struct checking *checking, const struct cache_entry *entry)
{
    struct cache_entry now;
    return cache_find_inode(checking->cache, entry->inode, &now) == 0 &&
           now.state == entry->state && memcmp(now.sha256, entry->sha256, sizeof now.sha256) == 0;
}

/* What is sealed with the content: by inode, since the name may be what is damaged. */
static int read_verdict(struct cache *cache, const struct stored *stored)
{
    _cleanup_free_ uint8_t *encoded = malloc(VERDICT_ENCODED_MAX);
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    size_t size;
    if (!encoded || !verdict)
        return -ENOMEM;
    int r = stored_verdict(cache, stored, encoded, &size);
    if (r == 0)
        r = verdict_decode(bytes_of(encoded, size), verdict);
    return r == -EBADMSG ? -EIO : r;
}

static int check_content(struct checking *checking, const struct cache_entry *entry)
{
    struct stored stored = {0};
    int r = stored_open(checking->cache, entry->inode, STORED_OR_WITHHELD, &stored);
    int judged = r == 0 ? read_verdict(checking->cache, &stored) : 0;
    stored_close(&stored);
    if (r == -EIO && unchanged(checking, entry)) {
        tell(checking, CACHE_DAMAGE_KEY, &entry->name);
        return 0;
    }
    if (r == 0)
        r = read_all(checking, entry);
    if (r == -EIO && unchanged(checking, entry))
        tell(checking, CACHE_DAMAGE_CONTENT, &entry->name);
    if (judged == -EIO && unchanged(checking, entry))
        tell(checking, CACHE_DAMAGE_VERDICT, &entry->name);
    checking->total.certificates++;
    checking->total.bytes += entry->size;
    if (r == 0)
        r = judged;
    return r == -EIO || r == CACHE_MISS ? 0 : r;
}

static int check_inode(struct checking *checking, uint32_t inode)
{
    struct cache_entry entry;
    int r = cache_find_inode(checking->cache, inode, &entry);
    if (r != 0) /* a damaged one is told of with its name, in the second part */
        return r == CACHE_MISS || r == -EIO ? 0 : r;
    if (entry.state == CACHE_STORED || entry.state == CACHE_WITHHELD)
        return check_content(checking, &entry);
    return 0;
}

static int check_contents(struct checking *checking)
{
    uint32_t inodes[INODES_AT_ONCE];
    uint32_t next = 0;
    unsigned count = 0;
    do {
        int r = entry_inodes(checking->cache, &next, inodes, INODES_AT_ONCE, &count);
        for (unsigned i = 0; r == 0 && i < count; i++)
            r = stopped(checking) ? -ECANCELED : check_inode(checking, inodes[i]);
        if (r < 0)
            return r;
    } while (count > 0);
    return 0;
}

static int check_structure(struct checking *checking)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(checking->cache, MDB_RDONLY, &transaction);
    return r < 0 ? r
                 : structure_walk(checking->cache, transaction, false, checking->check,
                                  &checking->total.damages);
}

int cache_check(struct cache *cache, const struct cache_check *check,
                struct cache_checked *ret_checked)
{
    struct checking checking = {.cache = cache, .check = check, .piece = malloc(PIECE_SIZE)};
    int r = checking.piece ? check_contents(&checking) : -ENOMEM;
    if (checking.piece)
        wipe(checking.piece, PIECE_SIZE);
    free(checking.piece);
    if (r == 0)
        r = check_structure(&checking);
    if (r == 0)
        *ret_checked = checking.total;
    return r;
}

static void say_nothing(void *context, enum cache_damage what, const struct certname *name)
{
    (void)context;
    (void)what;
    (void)name;
}

static int mend(struct cache *cache, uint64_t *ret_mended)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    const struct cache_check check = {.damaged = say_nothing};
    uint64_t mended = 0;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = structure_walk(cache, transaction, true, &check, &mended);
    if (r == 0)
        r = rebuild_unask(cache, transaction);
    if (r == 0)
        r = store_commit(cache, &transaction);
    if (r == 0)
        *ret_mended = mended;
    return r;
}

int cache_mend(struct cache *cache, uint64_t *ret_mended)
{
    int r = erasure_finish(cache);
    if (r == 0 && cache->erasures_pending)
        r = -ENOSPC;
    if (r < 0)
        return r;
    r = mend(cache, ret_mended);
    if (r == 0)
        r = erasure_finish(cache);
    /* Not these rows alone: they are made anew from all others, before anybody reads. */
    return r == -EIO && cache_ask_rebuild(cache) == 0 ? CACHE_PENDING : r;
}

int cache_ask_rebuild(struct cache *cache)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = rebuild_ask(cache, transaction);
    return r < 0 ? r : store_commit(cache, &transaction);
}
