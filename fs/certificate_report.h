/*
 * What there is to say about a certificate's verdict: the stored report, and the verdict at
 * signing, at receipt and now, made from it and from what is known of the signer at this moment.
 *
 * Thread rule: any thread.
 */
#ifndef FS_CERTIFICATE_REPORT_H
#define FS_CERTIFICATE_REPORT_H

#include "base/verdict_times.h"
#include "fs/mountfs.h"

struct json;

/* The report as docs/report.md has it; the caller frees. CACHE_MISS: there is no verdict. -ENOMEM,
 * or a negative errno of the store. */
_must_use_ int certificate_report(struct mountfs *fs, const struct cache_entry *entry,
                                  struct json **ret_report);

/* Three lines of text, "at signing (…): …"; CERTIFICATE_TIMES_MAX bytes. Returns as above. */
enum { CERTIFICATE_TIMES_MAX = VERDICT_AT_COUNT * (VERDICT_AT_LINE_MAX + 1) };
_must_use_ int certificate_times(struct mountfs *fs, const struct cache_entry *entry,
                                 char ret_text[CERTIFICATE_TIMES_MAX]);

#endif
