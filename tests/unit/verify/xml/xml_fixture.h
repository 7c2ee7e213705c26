/*
 * A trust for the XML vectors, and one verdict.
 */
#ifndef XML_FIXTURE_H
#define XML_FIXTURE_H

#include "base/bytes.h"
#include "base/verdict.h"
#include "verify/verify.h"

#define SIGNER_DN "CN=Minister of Justice,OU=Ministry of Justice,O=Test Government,C=JP"

/* The whole file, from the directory $XML_VECTORS; the caller frees with buffer_done(). Fails the
 * test if there is none. */
struct buffer vector_read(const char *name);

/* A NULL-terminated list of "NAME=LEVEL" and of schema files, each may be NULL. */
struct verify_trust *vector_trust(const char *anchor, const char *crl, const char *const *policies,
                                  const char *const *schemas);

/* Now, as an XML document. */
void vector_verify(struct verify_trust *trust, const void *data, size_t size,
                   struct verdict *ret_verdict);

/* True if a check of this name is a policy check. */
bool is_policy_check(const char *name);

/* "NAME=ignore" for every policy check, NULL-terminated; static. */
const char *const *all_ignored(void);

/* RLIMIT_AS means nothing under sanitizers, and time little. */
bool is_sanitized(void);

#endif
