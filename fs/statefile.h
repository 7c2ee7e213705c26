/*
 * A small file of the state directory that is replaced as a whole: written beside, synced, renamed,
 * directory synced. After a crash at any point the old or the new content is there.
 *
 * Thread rule: one writer a name.
 */
#ifndef FS_STATEFILE_H
#define FS_STATEFILE_H

#include "base/bytes.h"
#include "base/cleanup.h"

/* Durable when it returns 0. Otherwise the old content is there, or, when nothing but the last step
 * failed, the new one, which a crash may take back. */
_must_use_ int statefile_write(int state_fd, const char *name, struct bytes content);

/* Appends the content to `out`, whose ceiling it may not pass (-EMSGSIZE); -ENOENT: no such file.
 */
_must_use_ int statefile_read(int state_fd, const char *name, struct buffer *out);

#endif
