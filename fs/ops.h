/*
 * The kernel's requests (FUSE low-level API). Each is answered at once or parked with provide and
 * answered later, exactly once. Policy is asked, never made here.
 */
#ifndef FS_OPS_H
#define FS_OPS_H

struct fuse_lowlevel_ops;

/* The table for session_new(), whose context is a struct mountfs. */
const struct fuse_lowlevel_ops *ops_table(void);

#endif
