/*
 * Which programs with which configuration: a digest that tells whether a reload can leave the
 * processes as they are. Of programs and keys it takes what stat(2) says of their files, of
 * certificates the content. Trust, schemas and access policy are not in it, they are replaced while
 * the processes run.
 */
#ifndef FS_GENERATION_H
#define FS_GENERATION_H

#include "base/crypto.h"
#include "fs/supervisor_inputs.h"

_must_use_ int generation_of(const struct supervisor_inputs *inputs, const char *program,
                             uint8_t ret_generation[SHA256_SIZE]);

#endif
