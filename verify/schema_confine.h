/*
 * What the XSD 1.1 process is kept from. For the time between fork and exec, in a process that has
 * one thread.
 * Used by whoever starts schema_worker.py: kosekictl and the supervisor.
 */
#ifndef VERIFY_SCHEMA_CONFINE_H
#define VERIFY_SCHEMA_CONFINE_H

#include "base/confine.h"

#include <stdint.h>

#define SCHEMA_PYTHON "/usr/bin/python3"

/* Where the program finds its descriptors, beside /dev/null or a log as 0, 1, 2. It is executed as
 * `python3 -I -B /dev/fd/4`, since its path may lead through directories that its user may not
 * walk. */
enum { SCHEMA_SOCKET_FD = 3, SCHEMA_PROGRAM_FD = 4 };

/* A network of its own, that is, none. Before root is given up; for others where the kernel lets
 * them. */
void schema_confine_network(void);

/* From here on the process can read /usr, /lib, the loader's cache and its program, in address
 * space of memory_max bytes, and write nothing. `level` from confine_foresee_program(). */
_must_use_ int schema_confine(uint64_t memory_max, const struct confine_report *level);

#endif
