/*
 * The signed samples of tests/vectors/pdf and the trust they are judged with.
 */
#ifndef TESTS_UNIT_VERIFY_VECTORS_H
#define TESTS_UNIT_VERIFY_VECTORS_H

#include "base/bytes.h"
#include "verify/verify.h"

/* When the samples are judged: their revocation list and certificates are valid then. */
enum { VECTORS_NOW_S = 1798761600 /* 2027-01-01 */ };

struct vector {
    char file[80], expected[16], basis[16];
};

struct vectors {
    struct vector *items;
    size_t count;
};

/* Below $TESTS_VECTORS, which meson sets. Each ends the program when a file cannot be read. */
void vectors_read(struct vectors *ret_vectors);
void vectors_load(const char *file, struct buffer *ret_content);

/* With every policy check at `level`, or as they are by default if it is NULL. */
struct verify_trust *vectors_trust(const char *level);

/* Judges bytes as a PDF document at VECTORS_NOW_S. */
void vectors_judge(struct verify_trust *trust, struct bytes document, struct verdict *ret_verdict);

#endif
