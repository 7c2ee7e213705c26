/*
 * One verdict, at the three times of docs/validation-policy.md, "Time": what would be said of the
 * document if its existence were proven at the time of signing that it claims, at receipt, and not
 * before now. What is known of the certificates is always what is known now; only the proof of
 * existence differs (EN 319 102-1 5.6.2.3). The one at receipt decides whether it is served.
 *
 * Made when somebody asks, of a verdict of any age and of the signer's status now, so that nothing
 * more is stored. Pure functions.
 */
#ifndef BASE_VERDICT_TIMES_H
#define BASE_VERDICT_TIMES_H

#include "base/signer.h"
#include "base/verdict.h"

enum verdict_moment { VERDICT_AT_SIGNING, VERDICT_AT_RECEIPT, VERDICT_AT_NOW, VERDICT_AT_COUNT };

struct verdict_at {
    int64_t time_s;     /* 0: the document claims no time of signing */
    uint8_t indication; /* enum verdict_indication */
    uint8_t sub;        /* enum verdict_sub */
    char check[VERDICT_CHECK_MAX];
    char text[VERDICT_TEXT_MAX]; /* why; empty for a plain pass */
};

/* `status` is that of the verdict's signer, NULL if he is not known: then, as when something else
 * than time speaks against the document, it is the same at all three. */
void verdict_at_times(const struct verdict *verdict, const struct signer_status *status,
                      int64_t received_s, int64_t now_s,
                      struct verdict_at ret_at[VERDICT_AT_COUNT]);

const char *verdict_moment_text(enum verdict_moment moment); /* "signing" "receipt" "now" */

/* "at receipt (2026-…Z): TOTAL-FAILED REVOKED path-not-revoked: …", without line feed. */
enum { VERDICT_AT_LINE_MAX = VERDICT_TEXT_MAX + VERDICT_CHECK_MAX + 120 };
void verdict_at_line(enum verdict_moment moment, const struct verdict_at *at,
                     char ret_line[VERDICT_AT_LINE_MAX]);

/* {"time", "indication", "sub_indication", "check", "text"}; NULL when memory is short. */
struct json *verdict_at_report(const struct verdict_at *at);
/* The member "times" of a report, as described in docs/report.md; NULL when memory is short. */
struct json *verdict_times_report(const struct verdict_at at[VERDICT_AT_COUNT]);

#endif
