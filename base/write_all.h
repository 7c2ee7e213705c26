/* write(2) of all of it. */
#ifndef BASE_WRITE_ALL_H
#define BASE_WRITE_ALL_H

#include "base/cleanup.h"

#include <stddef.h>

/* 0, or -errno of the write that failed; what came before it is written. -EIO: the file takes no
 * byte and gives no reason. */
_must_use_ int write_all(int fd, const void *data, size_t size);

#endif
