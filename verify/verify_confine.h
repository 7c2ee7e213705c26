/* What kosekifs-verify may still do once its libraries are warm: judge what it is handed. */
#ifndef VERIFY_VERIFY_CONFINE_H
#define VERIFY_VERIFY_CONFINE_H

#include "base/confine.h"

/* memory_max: bytes of address space. */
struct verify_confine {
    struct confine_limit limits[2];
    struct confine table;
};
void verify_confine_init(struct verify_confine *confine, uint64_t memory_max);

#endif
