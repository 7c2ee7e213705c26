/* See fs/trust_tell.h. */
#include "fs/trust_tell.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/list_import.h"
#include "fs/mountfs.h"

#include <inttypes.h>
#include <stdio.h>

enum { DAY_S = 24 * 60 * 60, SUBJECT_SHOWN = 60 };

static void record(struct mountfs *fs, const struct audit_event *event)
{
    if (audit_write(fs->audit, event) < 0)
        log_warning("a change of trust could not be recorded");
}

void trust_tell_list(void *context, const struct list_news *news)
{
    struct mountfs *fs = context;
    const struct crl_info *info = news->info;
    char entries[16], number[2 * CRL_NUMBER_MAX + 1], issued[RFC3339_SIZE], next[RFC3339_SIZE];
    bool taken = news->decision == REVOCATION_TAKEN;
    if (news->asker)
        list_import_hear(fs->list_import, news);
    if (news->decision == REVOCATION_KNOWN)
        return;
    snprintf(entries, sizeof entries, "%u", info->entries);
    hex_encode(info->number, info->number_size, number);
    rfc3339_format(info->issued_s, issued);
    rfc3339_format(info->next_s, next);
    const struct audit_event event = {
        .kind = AUDIT_TRUST,
        .result = taken ? AUDIT_OK : AUDIT_FAILED,
        .reason = "revocation_list",
        .text = taken ? NULL : news->text,
        .detail = {{"entries", entries},
                   {"issuer", info->issuer},
                   {"next_update", next},
                   {"number", number},
                   {"source", news->source},
                   {"this_update", issued}},
    };
    record(fs, &event);
    /* A copy that is older than what is in force, or one of an issuer that nobody needs, is no
     * trouble, and a person sees what is said. */
    if (news->decision == REVOCATION_REFUSED && info->outcome != CRL_UNKNOWN_ISSUER && !news->asker)
        alerts_raise(fs->alerts, ALERT_WARNING, ALERT_TRUST, "revocation list",
                     "See kosekictl crl show; the list before it stays in force.",
                     "A revocation list of %.*s is refused: %.100s", SUBJECT_SHOWN,
                     info->issuer[0] ? info->issuer : "nobody known", news->text);
}

static const char *standing(enum signer_outcome outcome)
{
    static const char *const names[] = {"good", "good_earlier", "unknown", "suspended", "revoked"};
    return names[outcome];
}

/* Every decision refuses by now; what was decided before has reached the kernel when this returns,
 * and who has a file open must ask again: what nobody has open cannot be read without being asked
 * for. */
void trust_tell_signer(void *context, const struct signer_status *status, bool changed)
{
    struct mountfs *fs = context;
    struct signer_judgement judgement;
    char digest[2 * SHA256_SIZE + 1];
    int64_t now_s = clock_realtime_s();
    if (changed) {
        delivery_settle(fs->delivery);
        mountfs_drop_refused(fs);
    }
    signer_judge(status, now_s, now_s, &judgement);
    hex_encode(status->sha256, SHA256_SIZE, digest);
    const struct audit_event event = {
        .kind = AUDIT_TRUST,
        .reason = "signer",
        .text = judgement.text[0] ? judgement.text : NULL,
        .detail = {{"certificate", digest},
                   {"status", standing(judgement.outcome)},
                   {"subject", status->subject}},
    };
    record(fs, &event);
    if (judgement.outcome >= SIGNER_HELD)
        alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_TRUST, "signer",
                     "Ask the Ministry what happened; see kosekictl trust show and the audit trail "
                     "for the certificates concerned.",
                     "A signer may no longer be trusted: %.180s", judgement.text);
}

void trust_tell_restated(void *context, const struct cache_entry *entry,
                         const struct signer_judgement *judgement)
{
    struct mountfs *fs = context;
    char digest[2 * SHA256_SIZE + 1];
    bool served = judgement->outcome <= SIGNER_GOOD_EARLIER;
    hex_encode(entry->sha256, SHA256_SIZE, digest);
    const struct audit_event event = {
        .kind = AUDIT_VERDICT,
        .result = served ? AUDIT_OK : AUDIT_FAILED,
        .name = entry->name.text,
        .reason =
            verdict_indication_text(served                                 ? VERDICT_TOTAL_PASSED
                                    : judgement->outcome == SIGNER_REVOKED ? VERDICT_TOTAL_FAILED
                                                                           : VERDICT_INDETERMINATE),
        .text = judgement->text[0] ? judgement->text : NULL,
        .followed = true, /* by trust_tell_swept() */
        .detail = {{"document_sha256", digest}},
    };
    if (!served && fs->session)
        session_invalidate(fs->session, entry->inode);
    record(fs, &event);
}

void trust_tell_swept(void *context, uint64_t withheld, uint64_t served, int64_t elapsed_ms)
{
    struct mountfs *fs = context;
    char withheld_text[24], served_text[24];
    snprintf(withheld_text, sizeof withheld_text, "%" PRIu64, withheld);
    snprintf(served_text, sizeof served_text, "%" PRIu64, served);
    const struct audit_event event = {
        .kind = AUDIT_TRUST,
        .reason = "certificates_of_signer",
        .detail = {{"served", served_text}, {"withheld", withheld_text}},
    };
    record(fs, &event);
    log_info("a signer changed: %" PRIu64 " certificates are withheld, %" PRIu64
             " served; told of in %" PRId64 " ms",
             withheld, served, elapsed_ms);
}

/* Two of a kind are two alerts. */
static const char *name_age(const struct trust_age *age, const char *what,
                            char text[ALERT_SUBJECT_SIZE])
{
    enum { SHOWN = 8 };
    char digest[2 * SHOWN + 1];
    hex_encode(age->sha256, SHOWN, digest);
    snprintf(text, ALERT_SUBJECT_SIZE, "%s: %s", what, digest);
    return text;
}

static void tell_list_age(struct mountfs *fs, const struct trust_age *age)
{
    char ends[RFC3339_SIZE], subject[ALERT_SUBJECT_SIZE];
    rfc3339_format(age->ends_s, ends);
    if (age->left_s <= 0)
        alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_TRUST,
                     name_age(age, "revocation list too old", subject),
                     "Certificates under this authority cannot be read until a newer list comes: "
                     "kosekictl crl show, crl refresh, crl import.",
                     "The revocation list of %.*s no longer counts since %s.", SUBJECT_SHOWN,
                     age->subject, ends);
    else
        alerts_raise(fs->alerts, ALERT_WARNING, ALERT_TRUST,
                     name_age(age, "revocation list gets old", subject),
                     "Find out why no newer list came: kosekictl crl show.",
                     "The revocation list of %.*s counts until %s only.", SUBJECT_SHOWN,
                     age->subject, ends);
}

/* It was set back while kosekifs did not run; what happens meanwhile the trail's own watch sees. */
static void tell_clock_behind(struct mountfs *fs, const struct trust_age *age)
{
    char latest[RFC3339_SIZE];
    rfc3339_format(age->ends_s, latest);
    const struct audit_event event = {
        .kind = AUDIT_CLOCK,
        .reason = "behind",
        .text = "The clock is behind what the store has seen.",
        .detail = {{"latest", latest}},
    };
    record(fs, &event);
    alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_CLOCK, "clock behind",
                 "Set the clock right; how old revocation lists are cannot be told until then.",
                 "The clock is behind: it was %s already.", latest);
}

void trust_tell_ageing(void *context, const struct trust_age *age)
{
    struct mountfs *fs = context;
    if (age->what == AGE_CLOCK) {
        tell_clock_behind(fs, age);
        return;
    }
    if (age->what == AGE_LIST) {
        tell_list_age(fs, age);
        return;
    }
    enum alert_severity severity;
    char subject[ALERT_SUBJECT_SIZE];
    bool anchor = age->what == AGE_ANCHOR;
    /* What was received before the end stays valid: afterwards nobody need do anything. */
    if (age->left_s <= 0 || !alerts_ending(age->left_s, &severity))
        return;
    alerts_raise(
        fs->alerts, severity, ALERT_TRUST,
        name_age(age, anchor ? "trust anchor ends" : "signer's certificate ends", subject),
        anchor ? "Ask for the authority's next certificate: kosekictl trust add."
               : "Nothing, if the Minister's next certificate comes from the same authority.",
        "%.*s: %lld days left.", SUBJECT_SHOWN, age->subject, (long long)(age->left_s / DAY_S));
}
