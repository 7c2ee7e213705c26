/* See base/verdict_times.h; the rule in words: docs/validation-policy.md, "Time". */
#include "base/verdict_times.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>

/* The checks that time decides, as verify/checks_path.h names them. After one that ends the run
 * nothing else was looked at. */
static const struct {
    const char *name;
    bool ends_run;
} checks_of_time[] = {
    {"path-not-revoked", true}, {"path-not-suspended", true}, {"path-begun", true},
    {"path-not-expired", true}, {"revoked-later", false},     {"revocation", false},
};

const char *verdict_moment_text(enum verdict_moment moment)
{
    static const char *const names[] = {"signing", "receipt", "now"};
    return names[moment];
}

/* False: something else than time speaks against the document. */
static bool time_decides(const struct verdict *verdict, bool *ret_ended)
{
    const struct verdict_reason *reason = verdict_decisive(verdict);
    *ret_ended = false;
    if (verdict->indication == VERDICT_TOTAL_PASSED)
        return true;
    for (size_t i = 0; reason && i < sizeof checks_of_time / sizeof *checks_of_time; i++) {
        if (strcmp(reason->check, checks_of_time[i].name) == 0) {
            *ret_ended = checks_of_time[i].ends_run;
            return true;
        }
    }
    return false;
}

static void say(struct verdict_at *at, enum verdict_indication indication, enum verdict_sub sub,
                const char *check, const char *text)
{
    at->indication = (uint8_t)indication;
    at->sub = (uint8_t)sub;
    snprintf(at->check, sizeof at->check, "%s", check);
    snprintf(at->text, sizeof at->text, "%s", text);
}

static void repeat(const struct verdict *verdict, struct verdict_at *at)
{
    const struct verdict_reason *reason = verdict_decisive(verdict);
    say(at, (enum verdict_indication)verdict->indication, (enum verdict_sub)verdict->sub,
        reason ? reason->check : "", reason ? reason->text : "");
}

/* Validity of every certificate on the path, the anchor's too. False: said. */
static bool judge_validity(const struct signer_status *status, struct verdict_at *at)
{
    char text[VERDICT_TEXT_MAX], date[RFC3339_SIZE];
    for (unsigned i = 0; i < status->path_size; i++) {
        const struct certificate_status *certificate = &status->path[i];
        bool begun = at->time_s >= certificate->not_before_s;
        if (begun && at->time_s < certificate->not_after_s)
            continue;
        rfc3339_format(begun ? certificate->not_after_s : certificate->not_before_s, date);
        snprintf(text, sizeof text, "%s %s at %s",
                 i == 0 ? "the signer's certificate" : "a certificate of an authority",
                 begun ? "expired" : "becomes valid", date);
        if (begun)
            say(at, VERDICT_INDETERMINATE, VERDICT_OUT_OF_BOUNDS_NO_POE, "path-not-expired", text);
        else
            say(at, VERDICT_TOTAL_FAILED, VERDICT_NOT_YET_VALID, "path-begun", text);
        return false;
    }
    return true;
}

/* In the order of the checks of a path: a revoked certificate is called revoked even when it has
 * expired. */
static void judge(const struct signer_status *status, int64_t now_s, struct verdict_at *at)
{
    struct signer_judgement judgement;
    signer_judge(status, at->time_s, now_s, &judgement);
    if (judgement.outcome == SIGNER_REVOKED)
        say(at, VERDICT_TOTAL_FAILED, VERDICT_REVOKED, "path-not-revoked", judgement.text);
    else if (judgement.outcome == SIGNER_HELD)
        say(at, VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "path-not-suspended", judgement.text);
    else if (!judge_validity(status, at))
        return;
    else if (judgement.outcome == SIGNER_UNKNOWN)
        say(at, VERDICT_INDETERMINATE, VERDICT_TRY_LATER, "revocation", judgement.text);
    else
        say(at, VERDICT_TOTAL_PASSED, VERDICT_SUB_NONE,
            judgement.revoked_later ? "revoked-later" : "", judgement.text);
}

/* The verdict ended at a check that would hold at this time; what comes after it is not known. */
static void withdraw_pass(enum verdict_moment moment, const char *check, struct verdict_at *at)
{
    if (moment == VERDICT_AT_SIGNING)
        say(at, VERDICT_INDETERMINATE, VERDICT_NO_POE, check,
            "it would hold by the time of signing that the document claims, which nothing proves");
    else
        say(at, VERDICT_INDETERMINATE, VERDICT_TRY_LATER, check,
            "it would hold at this time; the other checks are made when it is verified again");
}

void verdict_at_times(const struct verdict *verdict, const struct signer_status *status,
                      int64_t received_s, int64_t now_s, struct verdict_at ret_at[VERDICT_AT_COUNT])
{
    const int64_t times_s[] = {verdict->signing_time_s, received_s, now_s};
    bool ended, by_time = time_decides(verdict, &ended) && status;
    for (unsigned i = 0; i < VERDICT_AT_COUNT; i++) {
        struct verdict_at *at = &ret_at[i];
        *at = (struct verdict_at){.time_s = times_s[i]};
        if (!by_time)
            repeat(verdict, at);
        else if (at->time_s == 0)
            say(at, VERDICT_INDETERMINATE, VERDICT_NO_POE, "",
                "the document claims no time of signing");
        else
            judge(status, now_s, at);
        if (by_time && ended && at->indication == VERDICT_TOTAL_PASSED)
            withdraw_pass((enum verdict_moment)i, verdict_decisive(verdict)->check, at);
    }
}

void verdict_at_line(enum verdict_moment moment, const struct verdict_at *at,
                     char ret_line[VERDICT_AT_LINE_MAX])
{
    const char *sub = verdict_sub_text(at->sub);
    char time[RFC3339_SIZE] = "not said";
    if (at->time_s)
        rfc3339_format(at->time_s, time);
    snprintf(ret_line, VERDICT_AT_LINE_MAX, "at %s (%s): %s%s%s%s%s%s%s",
             verdict_moment_text(moment), time, verdict_indication_text(at->indication),
             *sub ? " " : "", sub, *at->check ? " " : "", at->check, *at->text ? ": " : "",
             at->text);
}

struct json *verdict_at_report(const struct verdict_at *at)
{
    char time[RFC3339_SIZE] = "";
    _cleanup_json_ struct json *object = json_object_new();
    if (at->time_s)
        rfc3339_format(at->time_s, time);
    if (!object || json_set_text_or_null(object, "time", time) < 0 ||
        json_set_text(object, "indication", verdict_indication_text(at->indication)) < 0 ||
        json_set_text_or_null(object, "sub_indication", verdict_sub_text(at->sub)) < 0 ||
        json_set_text_or_null(object, "check", at->check) < 0 ||
        json_set_text_or_null(object, "text", at->text) < 0)
        return NULL;
    return steal_ptr(&object);
}

struct json *verdict_times_report(const struct verdict_at at[VERDICT_AT_COUNT])
{
    _cleanup_json_ struct json *object = json_object_new();
    for (unsigned i = 0; object && i < VERDICT_AT_COUNT; i++)
        if (json_set(object, verdict_moment_text((enum verdict_moment)i),
                     verdict_at_report(&at[i])) < 0)
            return NULL;
    return steal_ptr(&object);
}
