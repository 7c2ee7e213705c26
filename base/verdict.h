/*
 * The verdict on one document: the flat record that verify writes, that travels to kosekifs-mount,
 * and that cache stores. Words of ETSI EN 319 102-1 clause 5.1.3. A verdict is born rejected;
 * only the last line of a complete path in verify makes it TOTAL-PASSED.
 */
#ifndef BASE_VERDICT_H
#define BASE_VERDICT_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/crypto.h"

#include <stdbool.h>
#include <stdint.h>

enum verdict_indication {
    VERDICT_INDETERMINATE = 0,
    VERDICT_TOTAL_FAILED = 1,
    VERDICT_TOTAL_PASSED = 2,
};

/* EN 319 102-1 tables 5 and 6; the order is that of the list in verdict.c and goes on disk. */
enum verdict_sub {
    VERDICT_SUB_NONE = 0,
    /* with TOTAL-FAILED */
    VERDICT_FORMAT_FAILURE,
    VERDICT_HASH_FAILURE,
    VERDICT_SIG_CRYPTO_FAILURE,
    VERDICT_REVOKED,
    VERDICT_EXPIRED,
    VERDICT_NOT_YET_VALID,
    /* with INDETERMINATE */
    VERDICT_SIG_CONSTRAINTS_FAILURE,
    VERDICT_CHAIN_CONSTRAINTS_FAILURE,
    VERDICT_CERTIFICATE_CHAIN_GENERAL_FAILURE,
    VERDICT_CRYPTO_CONSTRAINTS_FAILURE,
    VERDICT_POLICY_PROCESSING_ERROR,
    VERDICT_SIGNATURE_POLICY_NOT_AVAILABLE,
    VERDICT_TIMESTAMP_ORDER_FAILURE,
    VERDICT_NO_SIGNING_CERTIFICATE_FOUND,
    VERDICT_NO_CERTIFICATE_CHAIN_FOUND,
    VERDICT_REVOKED_NO_POE,
    VERDICT_REVOKED_CA_NO_POE,
    VERDICT_OUT_OF_BOUNDS_NO_POE,
    VERDICT_NO_POE,
    VERDICT_TRY_LATER,
    VERDICT_SIGNED_DATA_NOT_FOUND,
    VERDICT_SUB_COUNT,
};

/* What became of one check. */
enum verdict_outcome {
    CHECK_PASSED = 0,
    CHECK_FAILED = 1,    /* level fail: rejects */
    CHECK_WARNED = 2,    /* did not hold; its level is warn */
    CHECK_IGNORED = 3,   /* did not hold; its level is ignore */
    CHECK_UNDECIDED = 4, /* cannot be decided (no revocation data, not built): INDETERMINATE */
    CHECK_OUTCOME_COUNT,
};

enum {
    VERDICT_VERSION = 1,
    VERDICT_CHECK_MAX = 40,  /* bytes of a check's name, with NUL */
    VERDICT_CLAUSE_MAX = 48, /* "ISO 32000-1 12.8.1" */
    VERDICT_TEXT_MAX = 240,
    VERDICT_REASON_MAX = 96,
    VERDICT_DN_MAX = 512,
    VERDICT_ENCODED_MAX = 40 * 1024,
};

/* Of a verdict that kosekifs-mount gives itself: the verifying process came to none, twice. */
#define VERDICT_PROCESS_CHECK "verification-process"

struct verdict_reason {
    uint8_t outcome; /* enum verdict_outcome */
    char check[VERDICT_CHECK_MAX];
    char clause[VERDICT_CLAUSE_MAX];
    char text[VERDICT_TEXT_MAX]; /* UTF-8; empty for a plain pass */
};

struct verdict {
    uint8_t indication; /* enum verdict_indication */
    uint8_t sub;        /* enum verdict_sub */
    uint16_t reason_count;
    uint64_t document_size;
    int64_t signing_time_s; /* as the document claims; 0 = unknown */
    int64_t verified_at_s;  /* the time that counted for the path */
    int64_t fresh_until_s;  /* earliest nextUpdate of the CRLs used; 0 = no revocation data used */
    uint8_t document_sha256[SHA256_SIZE];
    uint8_t signer_sha256[SHA256_SIZE];    /* of the signer's certificate; zeros = none found */
    uint8_t trust_generation[SHA256_SIZE]; /* digest of the trust bundle that was used */
    char signer[VERDICT_DN_MAX];           /* RFC 4514; only what a signature vouches for */
    char schema[64];                       /* name and version of the schema; empty = none */
    struct verdict_reason reasons[VERDICT_REASON_MAX];
};

struct json;

/* INDETERMINATE, no reason, all else zero. */
void verdict_init(struct verdict *verdict);

/* Appends a reason; the last slot becomes "more reasons were dropped" when the list is full. */
void verdict_add(struct verdict *verdict, enum verdict_outcome outcome, const char *check,
                 const char *clause, const char *format, ...) _printf_(5, 6);

/* The first reason with CHECK_FAILED, else with CHECK_UNDECIDED, else NULL. */
const struct verdict_reason *verdict_decisive(const struct verdict *verdict);

/* "<check>: <text>" of the decisive reason, or the indication; VERDICT_TEXT_MAX bytes. */
void verdict_explain(const struct verdict *verdict, char *out);

const char *verdict_indication_text(uint8_t indication); /* "TOTAL-PASSED"; "?" if unknown */
const char *verdict_sub_text(uint8_t sub);               /* "HASH_FAILURE"; "" for none */
const char *verdict_outcome_text(uint8_t outcome); /* "pass" "fail" "warn" "ignore" "undecided" */

/* The form for messages and the store: versioned, only the reasons in use. -EINVAL if the verdict
 * contradicts itself: TOTAL-PASSED with a sub-indication or with a reason that failed or is
 * undecided. */
_must_use_ int verdict_encode(const struct verdict *verdict, struct buffer *out);
/* -EBADMSG if it is not such a form, of this version, to the last byte. */
_must_use_ int verdict_decode(struct bytes encoded, struct verdict *ret_verdict);

/* The report: a JSON object as described in docs/report.md; NULL when memory is short. */
struct json *verdict_report(const struct verdict *verdict);

#endif
