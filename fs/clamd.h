/*
 * One scan by a clamd on a connected socket: command INSTREAM (clamd(8)), the content in chunks,
 * one line back. clamd ends the connection after it.
 *
 * Thread rule: no shared state.
 */
#ifndef FS_CLAMD_H
#define FS_CLAMD_H

#include "base/bytes.h"

#include <stdint.h>

enum {
    CLAMD_FOUND = 1, /* expected outcome: something was found */
    CLAMD_NAME_SIZE = 128,
};

/* 0: clean. CLAMD_FOUND: `ret_text` has the signature's name. Negative errno: not scanned, and
 * `ret_text` says why; -ETIMEDOUT at the deadline (clock_monotonic_ms()). What clamd sends is not
 * believed: letters, digits and a few marks of it are kept. */
_must_use_ int clamd_scan(int fd, struct bytes content, int64_t deadline_ms,
                          char ret_text[CLAMD_NAME_SIZE]);

#endif
