/*
 * What is known of a signer's certificate and of the certificates between it and its trust anchor,
 * and the one written rule (docs/validation-policy.md, "Time") that says what follows from it for a
 * certificate that was received at some time.
 *
 * kosekifs-verify fills the record while it validates a path; kosekifs-mount keeps one per signer,
 * so that thousands of stored certificates change state when one record does. Pure functions.
 */
#ifndef BASE_SIGNER_H
#define BASE_SIGNER_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/crypto.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SIGNER_PATH_MAX = 10,     /* certificates from signer to anchor */
    SIGNER_SUBJECT_MAX = 256, /* RFC 4514; cut */
    SIGNER_TEXT_MAX = 200,
    SIGNER_RECORD_MAX = 56 * 1024, /* a message */
    SIGNER_URLS_MAX = 8,
    SIGNER_URL_MAX = 256,
    SIGNER_FOREVER = 0,  /* of times until something holds */
    SIGNER_SKEW_S = 300, /* lists may be dated so much ahead of our clock */
};

/* RFC 5280 5.3.1. The numbers of the standard. */
enum revocation_reason {
    REASON_UNSPECIFIED = 0,
    REASON_KEY_COMPROMISE = 1,
    REASON_CA_COMPROMISE = 2,
    REASON_AFFILIATION_CHANGED = 3,
    REASON_SUPERSEDED = 4,
    REASON_CESSATION = 5,
    REASON_HOLD = 6,
    REASON_PRIVILEGE_WITHDRAWN = 9,
    REASON_AA_COMPROMISE = 10,
};
const char *revocation_reason_text(uint8_t reason); /* "keyCompromise"; "unknown" */

enum certificate_state {
    CERTIFICATE_UNKNOWN = 0, /* no usable revocation list of its issuer */
    CERTIFICATE_GOOD,
    CERTIFICATE_HELD, /* on certificateHold */
    CERTIFICATE_REVOKED,
    CERTIFICATE_STATE_COUNT,
};

struct certificate_status {
    uint8_t sha256[SHA256_SIZE];
    uint8_t state;  /* enum certificate_state */
    uint8_t reason; /* of REVOKED and HELD */
    int64_t not_before_s, not_after_s;
    int64_t revoked_s;       /* revocation date or, if earlier, invalidity date */
    int64_t list_issued_s;   /* thisUpdate of the list that says so; 0 = no list */
    int64_t list_next_s;     /* its nextUpdate */
    int64_t list_stale_at_s; /* nextUpdate with grace, or the maximum age; 0 = no list */
};

struct signer_status {
    uint8_t sha256[SHA256_SIZE];           /* of the signer's certificate */
    uint8_t trust_generation[SHA256_SIZE]; /* under which the path was built */
    uint8_t crl_generation[SHA256_SIZE];   /* of the revocation lists that were looked at */
    bool stale_accepted;                   /* policy: unknown status does not reject */
    bool later_rejected;                   /* policy: revocation after receipt rejects */
    char subject[SIGNER_SUBJECT_MAX];
    uint8_t path_size; /* signer first, anchor last */
    struct certificate_status path[SIGNER_PATH_MAX];
};

/*
 * Carries over what may not be forgotten: a revocation seen in `before` stays in `status` unless it
 * was a certificateHold that a list no longer has. Returns true if anything was carried over.
 * Certificates are matched by digest.
 */
bool signer_status_keep(struct signer_status *status, const struct signer_status *before);

/* A signer as he is kept: his status, the certificates on his path (signer first, anchor last) and
 * where their issuers offer revocation lists. */
struct signer_record {
    struct signer_status status;
    unsigned certificate_count;
    struct bytes certificates[SIGNER_PATH_MAX]; /* DER; borrowed */
    unsigned url_count;
    char urls[SIGNER_URLS_MAX][SIGNER_URL_MAX]; /* http:// */
};
/* -EMSGSIZE: `out` is too small for these certificates. */
_must_use_ int signer_record_encode(const struct signer_record *record, struct buffer *out);
/* -EBADMSG; the certificates point into `encoded`. */
_must_use_ int signer_record_decode(struct bytes encoded, struct signer_record *ret_record);

enum signer_outcome {
    SIGNER_GOOD = 0,
    SIGNER_GOOD_EARLIER, /* revoked after receipt, for a reason that leaves earlier signatures */
    SIGNER_UNKNOWN,      /* no list, or too old, and no policy that accepts it */
    SIGNER_HELD,
    SIGNER_REVOKED,
};

struct signer_judgement {
    enum signer_outcome outcome;
    bool stale;            /* some status is unknown, accepted or not */
    bool revoked_later;    /* some certificate is revoked as in SIGNER_GOOD_EARLIER */
    int64_t fresh_until_s; /* when a list in use becomes too old; SIGNER_FOREVER */
    unsigned depth;        /* 0 = the signer's certificate */
    char text[SIGNER_TEXT_MAX];
};

/* What follows at `now_s` for a certificate received at `received_s`, the proof of existence. */
void signer_judge(const struct signer_status *status, int64_t received_s, int64_t now_s,
                  struct signer_judgement *ret_judgement);

#endif
