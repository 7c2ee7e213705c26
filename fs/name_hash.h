/*
 * Hash of a certificate name for tables in memory (FNV-1a, 64 bit, with a start value drawn at
 * random: names come from outside, and nobody shall choose collisions).
 */
#ifndef FS_NAME_HASH_H
#define FS_NAME_HASH_H

#include "base/certname.h"

#include <stdint.h>

static inline uint64_t name_hash(uint64_t seed, const struct certname *name)
{
    uint64_t hash = seed ^ 0xcbf29ce484222325u;
    for (const char *c = name->text; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    return hash ^ (hash >> 32);
}

#endif
