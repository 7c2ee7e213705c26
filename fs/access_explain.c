/* The decision in words and as a table. */
#include "fs/access.h"

#include "base/json.h"
#include "fs/access_affair.h"
#include "fs/grants.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *name;
    const char *sentence; /* %s: the affair */
} reasons[ACCESS_REASON_COUNT] = {
    [ACCESS_BY_AFFAIR] = {"affair", "Affair %s gives the right."},
    [ACCESS_BY_GRANT] = {"grant", "A grant of this certificate gives the right."},
    [ACCESS_BY_ROLE] = {"role", "The caller's role may read what is stored."},
    [ACCESS_NOT_READER] = {"not_reader", "No affair names this user or one of his groups as "
                                         "reader; add him to [affair …] readers or use kosekictl "
                                         "grant."},
    [ACCESS_ID_OUTSIDE] = {"id_outside", "Affair %s does not cover this request id; see its ids."},
    [ACCESS_FORMAT_OUTSIDE] = {"format_outside", "Affair %s does not cover this format; see its "
                                                 "formats."},
    [ACCESS_NOT_YET_VALID] = {"not_yet_valid", "Affair %s has not begun; see its valid_from."},
    [ACCESS_NO_LONGER_VALID] = {"no_longer_valid", "Affair %s is over; see its valid_to."},
    [ACCESS_OUT_OF_HOURS] = {"out_of_hours", "Affair %s is closed at this time; see its hours."},
    [ACCESS_OPENS_USED_UP] = {"opens_used_up", "The user has no open left today in affair %s; see "
                                               "its opens_per_day."},
    [ACCESS_ROOT_EXCLUDED] = {"root_excluded", "root reads nothing; read as the user who has the "
                                               "right, or see [roles] root."},
    [ACCESS_SCANNER_EXCLUDED] = {"scanner_excluded", "Scanners read nothing; see [roles] "
                                                     "scanner_access."},
    [ACCESS_NOT_STORED] = {"not_stored", "The caller's role reads what is stored and never causes "
                                         "a fetch; a reader must open this certificate first."},
    [ACCESS_COUNT_LOST] = {"count_lost", "The open cannot be counted in the state directory, so "
                                         "it is refused; look at its free space."},
    [ACCESS_SEALED] = {"sealed", "An emergency seal is in force; see kosekictl seals."},
};

static const char *const role_names[] = {
    [ACCESS_ROLE_NONE] = "none",     [ACCESS_ROLE_READER] = "reader",
    [ACCESS_ROLE_BACKUP] = "backup", [ACCESS_ROLE_SCANNER] = "scanner",
    [ACCESS_ROLE_ROOT] = "root",
};

const char *access_reason_name(enum access_reason reason)
{
    return reasons[reason].name;
}

int access_reason_errno(enum access_reason reason)
{
    return reason == ACCESS_SEALED || reason == ACCESS_COUNT_LOST ? EPERM : EACCES;
}

const char *access_role_name(enum access_role role)
{
    return role_names[role];
}

void access_sentence(const struct access_decision *decision, char out[ACCESS_SENTENCE_SIZE])
{
    const char *sentence = reasons[decision->reason].sentence;
    const char *gap = strstr(sentence, "%s");
    if (gap)
        snprintf(out, ACCESS_SENTENCE_SIZE, "%.*s%s%s", (int)(gap - sentence), sentence,
                 decision->affair, gap + 2);
    else
        snprintf(out, ACCESS_SENTENCE_SIZE, "%s", sentence);
}

static int explain_affair(struct access *access, const struct access_policy *policy,
                          const struct access_affair *affair, struct caller *caller,
                          const struct certname *name, int64_t now_s, struct json *rows)
{
    uint32_t opens = opens_today_count(access_opens(access), access_policy_day(policy, now_s),
                                       caller->uid, affair->name);
    bool used_up = affair->opens_per_day > 0 && opens >= affair->opens_per_day;
    bool reader = access_subjects_name(&affair->readers, caller);
    enum access_reason reason = access_affair_conditions(policy, affair, name, now_s);
    if (reason == ACCESS_BY_AFFAIR && used_up)
        reason = ACCESS_OPENS_USED_UP;
    if (!reader)
        reason = ACCESS_NOT_READER;

    _cleanup_json_ struct json *row = json_object_new();
    if (!row || json_set_text(row, "affair", affair->name) < 0 ||
        json_set_integer(row, "line", affair->line) < 0 ||
        json_set_bool(row, "reader", reader) < 0 ||
        json_set_bool(row, "ids", access_affair_covers_id(affair, name)) < 0 ||
        json_set_bool(row, "formats", access_affair_covers_format(affair, name)) < 0 ||
        json_set_bool(row, "valid",
                      access_affair_began(affair, now_s) && !access_affair_over(affair, now_s)) <
            0 ||
        json_set_bool(row, "hours", access_affair_in_hours(policy, affair, now_s)) < 0 ||
        json_set_integer(row, "opens_today", opens) < 0 ||
        json_set_integer(row, "opens_per_day", affair->opens_per_day) < 0 ||
        json_set_bool(row, "gives", reason == ACCESS_BY_AFFAIR) < 0 ||
        json_set_text(row, "reason", access_reason_name(reason)) < 0)
        return -ENOMEM;
    return json_append(rows, steal_ptr(&row));
}

static int explain_grants(struct grants *grants, uid_t uid, const struct certname *name,
                          int64_t now_s, struct json *rows)
{
    struct grant grant;
    bool is_void;
    for (uint64_t id = 0; grants && grants_next(grants, id, &grant, &is_void); id = grant.id) {
        if (strcmp(grant.name.text, name->text) != 0)
            continue;
        bool over = grant.until_s != 0 && now_s >= grant.until_s;
        _cleanup_json_ struct json *row = json_object_new();
        if (!row || json_set_integer(row, "id", (int64_t)grant.id) < 0 ||
            json_set_text(row, "user", grant.user) < 0 ||
            json_set_integer(row, "uid", grant.uid) < 0 ||
            json_set_bool(row, "void", is_void) < 0 || json_set_bool(row, "over", over) < 0 ||
            json_set_bool(row, "gives", grant.uid == uid && !is_void && !over) < 0)
            return -ENOMEM;
        int r = json_append(rows, steal_ptr(&row));
        if (r < 0)
            return r;
    }
    return 0;
}

static int explain_decision(struct access *access, struct caller *caller,
                            const struct certname *name, const struct access_question *question,
                            struct json *out)
{
    struct access_decision decision;
    struct access_question asked = *question;
    asked.want = ACCESS_OPEN; /* an explanation takes nothing */
    bool allowed = access_decide(access, caller, name, &asked, &decision);
    char sentence[ACCESS_SENTENCE_SIZE];
    access_sentence(&decision, sentence);
    bool failed = json_set_text(out, "name", name->text) < 0 ||
                  json_set_integer(out, "uid", caller->uid) < 0 ||
                  json_set_bool(out, "groups_known", caller->groups_known) < 0 ||
                  json_set_text(out, "decision", allowed ? "granted" : "denied") < 0 ||
                  json_set_bool(out, "stored", asked.stored) < 0 ||
                  json_set_bool(out, "may_read", decision.may_read) < 0 ||
                  json_set_bool(out, "may_fetch", decision.may_fetch) < 0 ||
                  json_set_text(out, "role", access_role_name(decision.role)) < 0 ||
                  json_set_text(out, "affair", decision.affair) < 0 ||
                  json_set_text(out, "reason", access_reason_name(decision.reason)) < 0 ||
                  json_set_text(out, "sentence", sentence) < 0;
    return failed ? -ENOMEM : 0;
}

struct json *access_explain(struct access *access, struct caller *caller,
                            const struct certname *name, const struct access_question *question)
{
    _cleanup_json_ struct json *out = json_object_new();
    _cleanup_json_ struct json *affairs = json_array_new();
    _cleanup_json_ struct json *grants = json_array_new();
    if (!out || !affairs || !grants)
        return NULL;
    int r = explain_decision(access, caller, name, question, out);

    struct access_ruling *ruling;
    const struct access_policy *policy = access_take_ruling(access, &ruling);
    if (r == 0)
        r = json_set_text(out, "policy_version", policy->version);
    for (uint32_t i = 0; r == 0 && i < policy->affair_count; i++)
        r = explain_affair(access, policy, &policy->affairs[i], caller, name, question->now_s,
                           affairs);
    access_give_ruling(access, ruling);

    if (r == 0)
        r = explain_grants(access_grants(access), caller->uid, name, question->now_s, grants);
    if (r == 0)
        r = json_set(out, "affairs", steal_ptr(&affairs));
    if (r == 0)
        r = json_set(out, "grants", steal_ptr(&grants));
    return r < 0 ? NULL : steal_ptr(&out);
}
