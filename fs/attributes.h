/*
 * What stat(2), statfs(2) and getxattr(2) show of certificates: true, and the same before and after
 * the fetch. Owner, group, mode and ACL come from the access policy and decide nothing.
 */
#ifndef FS_ATTRIBUTES_H
#define FS_ATTRIBUTES_H

#include "fs/mountfs.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

enum { ATTRIBUTES_VALUE_MAX = ACCESS_ACL_SIZE };
_Static_assert((int)ATTRIBUTES_VALUE_MAX >= (int)VERDICT_DN_MAX, "an ACL is the longest value");

void attributes_of_entry(struct mountfs *fs, const struct cache_entry *entry,
                         struct stat *ret_status);
void attributes_of_directory(struct mountfs *fs, uint64_t inode, struct stat *ret_status);
void attributes_of_file(struct mountfs *fs, uint64_t inode, struct stat *ret_status);
_must_use_ int attributes_of_store(struct mountfs *fs, struct statvfs *ret_status);

/* The value of an extended attribute; its size, or -ENODATA, -EIO, -ENOMEM. */
ssize_t attributes_get(struct mountfs *fs, const struct cache_entry *entry, const char *name,
                       char value[ATTRIBUTES_VALUE_MAX]);
/* The names, each with its NUL; their size together. */
ssize_t attributes_list(struct mountfs *fs, const struct cache_entry *entry,
                        char list[ATTRIBUTES_VALUE_MAX]);

#endif
