/* See fs/mountfs.h. */
#include "fs/mountfs.h"

void mountfs_withdraw(struct mountfs *fs, uint64_t inode)
{
    delivery_settle(fs->delivery);
    if (fs->session)
        session_invalidate(fs->session, inode);
}
