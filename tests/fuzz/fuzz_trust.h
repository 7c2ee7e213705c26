/*
 * The trust that the fuzz entries judge with: that of tests/vectors/pdf, below $TESTS_VECTORS.
 */
#ifndef TESTS_FUZZ_FUZZ_TRUST_H
#define TESTS_FUZZ_FUZZ_TRUST_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's interface, which AFL++ and fuzz_replay.c know too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
