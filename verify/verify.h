/*
 * Verification as a function: bytes, trust, time -> verdict. No network, clock, environment or
 * store. Runs in kosekifs-verify and in `kosekictl verify`.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/bytes.h"
#include "base/certname.h"
#include "base/crl.h"
#include "base/signer.h"
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

/* The revocation lists are those of this bundle (TRUST_CRL items only) from now on, in place of
 * those before. After a failure the trust can only be freed. */
_must_use_ int verify_trust_set_crls(struct verify_trust *trust, struct bytes bundle,
                                     char *ret_message);

struct verify_request {
    enum certformat format;
    int64_t time_s;     /* now: how old revocation lists are */
    int64_t received_s; /* proof of existence, when certificates must be valid; 0 = now */
};

static inline int64_t verify_received_s(const struct verify_request *request)
{
    return request->received_s ? request->received_s : request->time_s;
}

/* Returns 0 with a verdict (rejections included), -ENOMEM otherwise. */
_must_use_ int verify_document(struct verify_trust *trust, const struct verify_request *request,
                               struct bytes document, struct verdict *ret_verdict);

/* The signer of the document judged last; false if no path could be built for him. His certificates
 * are borrowed until the next call with the same trust. */
_must_use_ bool verify_signer_last(struct verify_trust *trust, struct signer_record *ret_signer);

/* A signer by the newest lists, without a document, for verify_signer_last(). `certificates` are
 * his and what lies on the path. -EBADMSG, -ENOMEM. */
_must_use_ int verify_assess(struct verify_trust *trust, const struct bytes *certificates,
                             unsigned count, int64_t now_s);

/*
 * Looks at one revocation list, PEM or DER, and says what it is and whether it can be used: form,
 * times, scope, and the signature by an anchor or one of the `authorities`, certificates from paths
 * that held. -ENOMEM.
 */
_must_use_ int verify_crl(struct verify_trust *trust, struct bytes list,
                          const struct bytes *authorities, size_t authority_count, int64_t now_s,
                          struct crl_info *ret_info);

enum { VERIFY_ANCHORS_MAX = 64 };
struct verify_anchor {
    char subject[VERDICT_DN_MAX];
    uint8_t sha256[SHA256_SIZE];
    int64_t not_before_s, not_after_s;
    uint16_t key_bits;
    uint8_t authority; /* 1: may certify others; else only what it signed itself is trusted */
};
/* The anchors in order of the bundle; false after the last. */
_must_use_ bool verify_trust_anchor(struct verify_trust *trust, unsigned index,
                                    struct verify_anchor *ret_anchor);

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
