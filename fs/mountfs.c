/* See fs/mountfs.h. */
#include "fs/mountfs.h"

void mountfs_withdraw(struct mountfs *fs, uint64_t inode)
{
    delivery_settle(fs->delivery);
    if (fs->session)
        session_invalidate(fs->session, inode);
}

static void drop_refused(void *context, uint32_t inode)
{
    struct mountfs *fs = context;
    struct cache_entry entry;
    if (cache_find_inode(fs->cache, inode, &entry) != 0 || entry.state != CACHE_STORED ||
        provide_read_refused(fs->provide, &entry))
        session_invalidate(fs->session, inode);
}

void mountfs_drop_refused(struct mountfs *fs)
{
    if (fs->session)
        delivery_walk(fs->delivery, drop_refused, fs);
}
