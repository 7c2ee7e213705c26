/*
 * Landlock: what a process may still do with files, TCP and signals, whatever its user may. It
 * holds for the calling thread and all that come from it, for ever. Kernels differ in what they can
 * forbid; their versions (ABI) count up:
 *
 *   1  (5.13)  files and directories        4  (6.7)   TCP: bind and connect
 *   2  (5.19)  files moved between          5  (6.10)  ioctl on devices
 *              directories                  6  (6.12)  signals and abstract sockets of processes
 *   3  (6.2)   truncation                              outside
 *
 * The constants are our own: the headers of Debian 12 end with ABI 2.
 *
 * Thread rule: before the first thread.
 */
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

enum { LANDLOCK_ABI_FULL = 6 };

/* Rights on files and directories, as the kernel numbers them. */
enum {
    LANDLOCK_EXECUTE = 1 << 0,
    LANDLOCK_WRITE_FILE = 1 << 1,
    LANDLOCK_READ_FILE = 1 << 2,
    LANDLOCK_READ_DIR = 1 << 3,
    LANDLOCK_REMOVE_DIR = 1 << 4,
    LANDLOCK_REMOVE_FILE = 1 << 5,
    LANDLOCK_MAKE_CHAR = 1 << 6,
    LANDLOCK_MAKE_DIR = 1 << 7,
    LANDLOCK_MAKE_REG = 1 << 8,
    LANDLOCK_MAKE_SOCK = 1 << 9,
    LANDLOCK_MAKE_FIFO = 1 << 10,
    LANDLOCK_MAKE_BLOCK = 1 << 11,
    LANDLOCK_MAKE_SYM = 1 << 12,
    LANDLOCK_REFER = 1 << 13,
    LANDLOCK_TRUNCATE = 1 << 14,
    LANDLOCK_IOCTL_DEV = 1 << 15,

    LANDLOCK_READ = LANDLOCK_READ_FILE | LANDLOCK_READ_DIR,
    /* All that a program does in a directory of its own. */
    LANDLOCK_KEEP = LANDLOCK_READ | LANDLOCK_WRITE_FILE | LANDLOCK_TRUNCATE | LANDLOCK_MAKE_REG |
                    LANDLOCK_MAKE_DIR | LANDLOCK_REMOVE_FILE | LANDLOCK_REMOVE_DIR | LANDLOCK_REFER,
};

/* A file, or a directory with all below it. */
struct landlock_path {
    const char *path; /* NULL: `fd`. One that is not there is passed over */
    int fd;
    uint32_t rights;
};

/* The kernel's version, at most abi_max; 0: none. */
int landlock_abi(int64_t abi_max);

/* What this version cannot forbid, such as "TCP, device ioctl"; "" if nothing is missing. Valid for
 * ever. */
const char *landlock_missing(int abi);

/*
 * From here on only `paths` are open, and TCP leads to these ports only. Port 0 allows to bind to
 * one of the kernel's choice, and without it nothing may be bound; no signal and no abstract socket
 * reaches a process outside. Needs no_new_privs. abi > 0, from landlock_abi().
 */
_must_use_ int landlock_restrict(int abi, const struct landlock_path *paths, size_t path_count,
                                 const uint16_t *ports, size_t port_count);

#endif
