/*
 * Memory files: how document bytes travel between processes. Written by one, sealed by
 * kosekifs-mount, then read by the others; a sealed file can change no more, so the bytes verified
 * are the bytes stored.
 */
#ifndef BASE_MEMFD_H
#define BASE_MEMFD_H

#include "base/bytes.h"
#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/* An empty file that allows sealing. `label` shows in /proc only. */
_must_use_ int memfd_new(const char *label, int *ret_fd);

/* A sealed file with these bytes. */
_must_use_ int memfd_of(const char *label, const void *data, size_t size, int *ret_fd);

/* Applies write, grow, shrink and seal seals. -EBUSY: somebody still holds a writable mapping. */
_must_use_ int memfd_seal(int fd);

/* -EPERM unless fd is a memory file with all four seals; -EFBIG if larger than size_max. */
_must_use_ int memfd_check_sealed(int fd, size_t size_max, size_t *ret_size);

/* Read-only view of a sealed file; an empty file gives size 0 and a valid pointer. */
struct mapping {
    const uint8_t *data;
    size_t size;
};
/* Checks as memfd_check_sealed() does, then maps. */
_must_use_ int mapping_open(int fd, size_t size_max, struct mapping *ret_mapping);
void mapping_close(struct mapping *mapping);

#define _cleanup_mapping_ _cleanup_(mapping_close)

#endif
