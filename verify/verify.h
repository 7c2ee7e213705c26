/*
 * Verification as a function: bytes, trust, time -> verdict. No network, clock, environment or
 * store. Runs in kosekifs-verify and in `kosekictl verify`.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/bytes.h"
#include "base/certname.h"
#include "base/trust.h"
#include "base/verdict.h"

#include <stdint.h>

/* A parsed trust bundle. Immutable after creation but for a cache of signer verdicts, so one
 * thread at a time. */
struct verify_trust;

/* Parses a bundle. On -EBADMSG or -EINVAL ret_message (VERDICT_TEXT_MAX bytes) names item and
 * reason for the operator: unparsable anchor or CRL, unknown policy, no anchor, no signer DN. */
_must_use_ int verify_trust_new(struct bytes bundle, char *ret_message,
                                struct verify_trust **ret_trust);
struct verify_trust *verify_trust_free(struct verify_trust *trust);

struct verify_request {
    enum certformat format;
    int64_t time_s; /* the time that counts for paths and revocation */
};

/* Returns 0 with a verdict (rejections included), -ENOMEM otherwise. */
_must_use_ int verify_document(struct verify_trust *trust, const struct verify_request *request,
                               struct bytes document, struct verdict *ret_verdict);

/* The list of checks, for `kosekictl verify --explain`: start with index 0; NULL at the end. */
struct verify_check {
    const char *name;    /* "byterange-covers-file" */
    const char *clause;  /* "ISO 32000-1 12.8.1" */
    const char *meaning; /* one plain sentence */
    const char *basis;   /* what demands it: "crypto", "pki", "profile" or "policy" */
    bool policy;         /* prudence: its level can be set; else fixed */
};
const struct verify_check *verify_check_at(unsigned index);

#endif
