/* See fs/certificate_report.h. */
#include "fs/certificate_report.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>

/* *ret_verdict is the caller's to free. */
static int judge(struct mountfs *fs, const struct cache_entry *entry, struct verdict **ret_verdict,
                 struct verdict_at ret_at[VERDICT_AT_COUNT])
{
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    _cleanup_free_ struct signer_status *status = malloc(sizeof *status);
    if (!verdict || !status)
        return -ENOMEM;
    int r = cache_verdict(fs->cache, &entry->name, verdict);
    if (r != 0)
        return r;
    bool known = provide_signer(fs->provide, verdict->signer_sha256, status);
    verdict_at_times(verdict, known ? status : NULL, entry->received_at_s, clock_realtime_s(),
                     ret_at);
    *ret_verdict = steal_ptr(&verdict);
    return 0;
}

int certificate_report(struct mountfs *fs, const struct cache_entry *entry,
                       struct json **ret_report)
{
    _cleanup_free_ struct verdict *verdict = NULL;
    struct verdict_at at[VERDICT_AT_COUNT];
    int r = judge(fs, entry, &verdict, at);
    if (r != 0)
        return r;
    _cleanup_json_ struct json *report = verdict_report(verdict);
    if (!report || json_set(report, "times", verdict_times_report(at)) < 0)
        return -ENOMEM;
    *ret_report = steal_ptr(&report);
    return 0;
}

int certificate_times(struct mountfs *fs, const struct cache_entry *entry,
                      char ret_text[CERTIFICATE_TIMES_MAX])
{
    _cleanup_free_ struct verdict *verdict = NULL;
    struct verdict_at at[VERDICT_AT_COUNT];
    size_t size = 0;
    int r = judge(fs, entry, &verdict, at);
    if (r != 0)
        return r;
    for (unsigned i = 0; i < VERDICT_AT_COUNT; i++) {
        char line[VERDICT_AT_LINE_MAX];
        verdict_at_line((enum verdict_moment)i, &at[i], line);
        size += (size_t)snprintf(ret_text + size, CERTIFICATE_TIMES_MAX - size, "%s\n", line);
    }
    return 0;
}
