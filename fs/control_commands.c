/*
 * The commands of the control socket: one row each with the role it takes. A command is recorded in
 * the audit trail before it is carried out; what cannot be recorded is not done.
 */
#include "fs/control.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/certificate_report.h"
#include "fs/control_backup.h"
#include "fs/control_fetch.h"
#include "fs/control_inventory.h"
#include "fs/control_keep.h"
#include "fs/control_link.h"
#include "fs/control_purge.h"
#include "fs/control_incident.h"
#include "fs/control_reload.h"
#include "fs/control_revalidate.h"
#include "fs/control_scan.h"
#include "fs/control_schema.h"
#include "fs/control_trust.h"
#include "fs/control_seal.h"
#include "fs/errno_table.h"
#include "fs/list_import.h"
#include "fs/second_person.h"
#include "fs/status.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum { LIST_PAGE = 500, GROUPS_MAX = 256 };

typedef struct json *control_handler(const struct control_call *call, bool *ret_later);

/* --- replies ---------------------------------------------------------------------------------- */

struct json *control_reply_ok(void)
{
    _cleanup_json_ struct json *reply = json_object_new();
    if (!reply || json_set_bool(reply, "ok", true) < 0)
        return NULL;
    return steal_ptr(&reply);
}

struct json *control_reply_error(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    _cleanup_json_ struct json *reply = json_object_new();
    if (!reply || json_set_bool(reply, "ok", false) < 0 || json_set_text(reply, "error", text) < 0)
        return NULL;
    return steal_ptr(&reply);
}

/* Takes `value`. */
static struct json *reply_with(const char *key, struct json *value)
{
    _cleanup_json_ struct json *reply = control_reply_ok();
    if (!reply) {
        json_free(value);
        return NULL;
    }
    return json_set(reply, key, value) < 0 ? NULL : steal_ptr(&reply);
}

static bool name_of(const struct control_call *call, struct certname *ret_name)
{
    const char *text = json_get_text(call->request, "name");
    return text && certname_parse(text, ret_name);
}

/* --- looking ---------------------------------------------------------------------------------- */

static struct json *command_status(const struct control_call *call, bool *ret_later)
{
    (void)ret_later;
    return reply_with("status", status_object(call->fs));
}

static const char *state_text(struct mountfs *fs, const struct cache_entry *entry)
{
    switch (provide_state_of(fs->provide, entry)) {
    case PROVIDE_READY:
        return "ready";
    case PROVIDE_UNVERIFIED:
        return "to be verified again";
    case PROVIDE_STALE:
        return "revocation data too old";
    case PROVIDE_REJECTED:
        return "rejected";
    case PROVIDE_FETCHABLE:
        break;
    }
    return "known";
}

static struct json *entry_object(struct mountfs *fs, const struct cache_entry *entry)
{
    char stored[RFC3339_SIZE] = "";
    if (entry->stored_at_s)
        rfc3339_format(entry->stored_at_s, stored);
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "name", entry->name.text) < 0 ||
        json_set_text(object, "state", state_text(fs, entry)) < 0 ||
        json_set_integer(object, "size", (int64_t)entry->size) < 0 ||
        json_set_integer(object, "inode", entry->inode) < 0 ||
        json_set_text(object, "stored_at", stored) < 0)
        return NULL;
    return steal_ptr(&object);
}

/* A page of stored certificates; `next` goes into the next request's `after`. */
static struct json *command_list(const struct control_call *call, bool *ret_later)
{
    _cleanup_free_ struct cache_entry *page = calloc(LIST_PAGE, sizeof *page);
    _cleanup_json_ struct json *names = json_array_new();
    _cleanup_json_ struct json *reply = control_reply_ok();
    int64_t after = 0;
    size_t filled = 0;
    (void)ret_later;
    if (!page || !names || !reply)
        return NULL;
    if (json_get_integer(call->request, "after", &after) && (after < 0 || after > CACHE_INODE_LAST))
        return control_reply_error("after is out of range");
    uint32_t cursor = (uint32_t)after;
    int error = cache_list(call->fs->cache, &cursor, page, LIST_PAGE, &filled);
    if (error < 0)
        return control_reply_error("the store cannot be read: %s", strerror(-error));
    for (size_t i = 0; i < filled; i++)
        if (json_append(names, entry_object(call->fs, &page[i])) < 0)
            return NULL;
    if (json_set(reply, "certificates", steal_ptr(&names)) < 0 ||
        json_set_integer(reply, "next", filled ? page[filled - 1].inode : 0) < 0)
        return NULL;
    return steal_ptr(&reply);
}

static int add_note(struct mountfs *fs, const struct certname *name, struct json *reply)
{
    struct why_note note;
    char at[RFC3339_SIZE];
    if (!why_find_any(fs->why, name, &note))
        return 0;
    rfc3339_format(note.at_s, at);
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "at", at) < 0 ||
        json_set_integer(object, "uid", note.uid) < 0 ||
        json_set_text(object, "errno", note.error ? errno_name(note.error) : "0") < 0 ||
        json_set_text(object, "meaning", note.error ? errno_meaning(note.error) : "opened") < 0 ||
        json_set_text(object, "reason", note.reason) < 0 ||
        json_set_text(object, "advice", note.error ? errno_advice(note.error) : "") < 0)
        return -ENOMEM;
    return json_set(reply, "last_attempt", steal_ptr(&object));
}

static struct json *command_why(const struct control_call *call, bool *ret_later)
{
    struct certname name;
    struct cache_entry entry;
    (void)ret_later;
    if (!name_of(call, &name))
        return control_reply_error("not the name of a certificate");
    _cleanup_json_ struct json *reply = control_reply_ok();
    if (!reply || add_note(call->fs, &name, reply) < 0)
        return NULL;
    int found = cache_find(call->fs->cache, &name, &entry);
    if (found < 0)
        return control_reply_error("the store cannot be read: %s", strerror(-found));
    if (found == CACHE_MISS)
        return json_set_text(reply, "state", "not known here") < 0 ? NULL : steal_ptr(&reply);
    if (json_set_text(reply, "state", state_text(call->fs, &entry)) < 0)
        return NULL;
    _cleanup_json_ struct json *report = NULL;
    found = certificate_report(call->fs, &entry, &report);
    if (found == -ENOMEM || (found == 0 && json_set(reply, "report", steal_ptr(&report)) < 0))
        return NULL;
    return steal_ptr(&reply);
}

static bool explained_user(const struct control_call *call, struct caller *ret_user)
{
    const struct json *list = json_get(call->request, "groups");
    int64_t uid, gid;
    gid_t groups[GROUPS_MAX];
    size_t count = json_array_count(list);
    if (!json_get_integer(call->request, "uid", &uid) || uid < 0 || uid > UINT32_MAX ||
        !json_get_integer(call->request, "gid", &gid) || gid < 0 || gid > UINT32_MAX ||
        count > GROUPS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t group;
        if (!json_as_integer(json_array_at(list, i), &group) || group < 0 || group > UINT32_MAX)
            return false;
        groups[i] = (gid_t)group;
    }
    caller_of_groups((uid_t)uid, (gid_t)gid, groups, count, ret_user);
    return true;
}

static struct json *command_access(const struct control_call *call, bool *ret_later)
{
    struct certname name;
    struct caller user;
    struct cache_entry entry;
    (void)ret_later;
    if (!name_of(call, &name))
        return control_reply_error("not the name of a certificate");
    if (!explained_user(call, &user))
        return control_reply_error("uid, gid and groups of the user are needed");
    const struct access_question question = {
        .want = ACCESS_OPEN,
        .stored = cache_find(call->fs->cache, &name, &entry) == 0 &&
                  provide_state_of(call->fs->provide, &entry) == PROVIDE_READY,
        .now_s = clock_realtime_s(),
    };
    return reply_with("explanation", access_explain(call->fs->access, &user, &name, &question));
}

/* --- grants ----------------------------------------------------------------------------------- */

static bool copy_text(const struct json *request, const char *key, char *out, size_t size)
{
    const char *text = json_get_text(request, key);
    if (!text || !text[0] || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static struct json *command_grant(const struct control_call *call, bool *ret_later)
{
    struct grant grant = {.given_at_s = clock_realtime_s(), .given_by = call->asked_by};
    int64_t uid = -1;
    uint64_t id = 0;
    (void)ret_later;
    if (!name_of(call, &grant.name))
        return control_reply_error("not the name of a certificate");
    if (!json_get_integer(call->request, "uid", &uid) || uid < 0 || uid >= UINT32_MAX ||
        !copy_text(call->request, "user", grant.user, sizeof grant.user) ||
        !copy_text(call->request, "reason", grant.reason, sizeof grant.reason))
        return control_reply_error("user, uid and reason are needed");
    grant.uid = (uid_t)uid;
    if (json_get_integer(call->request, "until", &grant.until_s) &&
        grant.until_s <= grant.given_at_s)
        return control_reply_error("until lies in the past");
    int error = grants_add(call->fs->grants, &grant, &id);
    if (error < 0)
        return control_reply_error("not granted: %s", strerror(-error));
    _cleanup_json_ struct json *reply = control_reply_ok();
    return reply && json_set_integer(reply, "id", (int64_t)id) == 0 ? steal_ptr(&reply) : NULL;
}

static struct json *command_revoke(const struct control_call *call, bool *ret_later)
{
    struct certname name;
    int64_t uid = -1;
    (void)ret_later;
    if (!name_of(call, &name) || !json_get_integer(call->request, "uid", &uid) || uid < 0 ||
        uid >= UINT32_MAX)
        return control_reply_error("uid and name are needed");
    int error = grants_revoke(call->fs->grants, (uid_t)uid, &name);
    if (error < 0)
        return control_reply_error("not revoked: %s", strerror(-error));
    return control_reply_ok();
}

static struct json *grant_object(const struct grant *grant, bool is_void)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_integer(object, "id", (int64_t)grant->id) < 0 ||
        json_set_text(object, "name", grant->name.text) < 0 ||
        json_set_text(object, "user", grant->user) < 0 ||
        json_set_integer(object, "uid", grant->uid) < 0 ||
        json_set_integer(object, "given_by", grant->given_by) < 0 ||
        json_set_integer(object, "given_at", grant->given_at_s) < 0 ||
        json_set_integer(object, "until", grant->until_s) < 0 ||
        json_set_bool(object, "void", is_void) < 0 ||
        json_set_text(object, "reason", grant->reason) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *command_grants(const struct control_call *call, bool *ret_later)
{
    _cleanup_json_ struct json *list = json_array_new();
    struct grant grant = {0};
    bool is_void = false;
    (void)ret_later;
    if (!list)
        return NULL;
    while (grants_next(call->fs->grants, grant.id, &grant, &is_void))
        if (json_append(list, grant_object(&grant, is_void)) < 0)
            return NULL;
    return reply_with("grants", steal_ptr(&list));
}

/* --- alerts ----------------------------------------------------------------------------------- */

static struct json *alert_object(const struct alert *alert)
{
    char first[RFC3339_SIZE], last[RFC3339_SIZE];
    rfc3339_format(alert->first_s, first);
    rfc3339_format(alert->last_s, last);
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_integer(object, "id", (int64_t)alert->id) < 0 ||
        json_set_text(object, "severity", alert_severity_name(alert->severity)) < 0 ||
        json_set_text(object, "kind", alert_kind_name(alert->kind)) < 0 ||
        json_set_text(object, "subject", alert->subject) < 0 ||
        json_set_text(object, "text", alert->text) < 0 ||
        json_set_text(object, "action", alert->action) < 0 ||
        json_set_integer(object, "count", alert->count) < 0 ||
        json_set_text(object, "first", first) < 0 || json_set_text(object, "last", last) < 0 ||
        json_set_bool(object, "acknowledged", alert->acknowledged) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *command_alerts(const struct control_call *call, bool *ret_later)
{
    _cleanup_json_ struct json *list = json_array_new();
    struct alert alert = {0};
    (void)ret_later;
    if (!list)
        return NULL;
    while (alerts_next(call->fs->alerts, alert.id, &alert))
        if (json_append(list, alert_object(&alert)) < 0)
            return NULL;
    return reply_with("alerts", steal_ptr(&list));
}

static struct json *command_ack(const struct control_call *call, bool *ret_later)
{
    int64_t id = 0;
    (void)ret_later;
    if (!json_get_integer(call->request, "id", &id) || id <= 0)
        return control_reply_error("the id of an alert is needed");
    int error = alerts_acknowledge(call->fs->alerts, (uint64_t)id, call->caller->uid);
    if (error < 0)
        return control_reply_error("not acknowledged: %s",
                                   error == -ENOENT ? "no such alert" : strerror(-error));
    return control_reply_ok();
}

/* --- table ------------------------------------------------------------------------------------ */

static struct json *command_confirm(const struct control_call *call, bool *ret_later);
static struct json *command_pending(const struct control_call *call, bool *ret_later);

static const struct command {
    const char *name;
    unsigned roles; /* any of these */
    control_handler *run;
    bool two;      /* a second person confirms it, whatever the policy says */
    bool approver; /* … unless who asks is an approver */
} commands[] = {
    {"status", ACCESS_VIEWER, command_status},
    {"list", ACCESS_VIEWER, command_list},
    {"why", ACCESS_VIEWER, command_why},
    {"alerts", ACCESS_VIEWER, command_alerts},
    {"trust", ACCESS_VIEWER, control_trust},
    {"crl", ACCESS_VIEWER, control_crl},
    {"trust-change", ACCESS_OPERATOR | ACCESS_APPROVER, control_trust_change},
    {"crl-import", ACCESS_OPERATOR | ACCESS_APPROVER, control_crl_import},
    {"grants", ACCESS_VIEWER, command_grants},
    {"pending", ACCESS_VIEWER, command_pending},
    {"access", ACCESS_OPERATOR | ACCESS_APPROVER | ACCESS_AUDITOR, command_access},
    {"ack", ACCESS_OPERATOR, command_ack},
    {"fetch", ACCESS_OPERATOR, control_fetch},
    {"progress", ACCESS_OPERATOR, control_progress},
    {"link-test", ACCESS_OPERATOR, control_link_test},
    {"grant", ACCESS_OPERATOR, command_grant},
    {"revoke", ACCESS_OPERATOR, command_revoke},
    {"purge", ACCESS_OPERATOR | ACCESS_APPROVER, control_purge},
    {"hold", ACCESS_OPERATOR | ACCESS_APPROVER, control_hold},
    {"release", ACCESS_OPERATOR | ACCESS_APPROVER, control_hold},
    {"export", ACCESS_OPERATOR | ACCESS_APPROVER, control_export},
    {"rotate-key", ACCESS_OPERATOR | ACCESS_APPROVER, control_rotate_key},
    {"fsck", ACCESS_OPERATOR, control_fsck},
    {"backup", ACCESS_OPERATOR, control_backup},
    {"confirm", ACCESS_APPROVER, command_confirm},
    {"schema", ACCESS_OPERATOR | ACCESS_APPROVER, control_schema},
    {"reload", ACCESS_OPERATOR | ACCESS_APPROVER, control_reload},
    {"incident", ACCESS_OPERATOR | ACCESS_APPROVER | ACCESS_AUDITOR, control_incident},
    {"upgrade", ACCESS_OPERATOR | ACCESS_APPROVER, control_reload},
    {"scan", ACCESS_OPERATOR, control_scan},
    {"revalidate", ACCESS_OPERATOR, control_revalidate},
    {"revalidate-apply", ACCESS_OPERATOR, control_revalidate},
    {"revalidation", ACCESS_OPERATOR, control_revalidation},
    {"inventory", ACCESS_OPERATOR | ACCESS_APPROVER, control_inventory, .approver = true},
    {"inventory-check", ACCESS_OPERATOR | ACCESS_APPROVER, control_inventory_check},
    {"seals", ACCESS_VIEWER, control_seals},
    {"seal", ACCESS_OPERATOR | ACCESS_APPROVER, control_seal},
    {"unseal", ACCESS_APPROVER, control_unseal, .two = true},
};

static const struct command *command_find(const struct json *request)
{
    const char *name = json_get_text(request, "command");
    for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

static int record(const struct control_call *call, const char *command, enum audit_result result)
{
    struct certname name;
    char asked_by[16];
    snprintf(asked_by, sizeof asked_by, "%u", call->asked_by);
    const struct audit_event event = {
        .kind = AUDIT_COMMAND,
        .result = result,
        .error = result == AUDIT_DENIED ? EACCES : 0,
        .caller = call->caller,
        .name = name_of(call, &name) ? name.text : NULL,
        .reason = command,
        .text = json_get_text(call->request, "reason"),
        .detail = {{"asked_by", asked_by}},
    };
    return audit_write(call->fs->audit, &event);
}

static struct json *ask_second_person(const struct control_call *call)
{
    static const char state[] = "waits for a second person: kosekictl confirm";
    uint64_t id = 0;
    int error =
        second_person_ask(call->second, call->caller, call->request, clock_monotonic_ms(), &id);
    if (error < 0)
        return control_reply_error("not kept for confirmation: %s", strerror(-error));
    _cleanup_json_ struct json *reply = control_reply_ok();
    if (!reply || json_set_text(reply, "state", state) < 0 ||
        json_set_integer(reply, "pending", (int64_t)id) < 0)
        return NULL;
    return steal_ptr(&reply);
}

static struct json *command_pending(const struct control_call *call, bool *ret_later)
{
    (void)ret_later;
    return reply_with("pending", second_person_list(call->second, clock_monotonic_ms()));
}

static struct json *command_confirm(const struct control_call *call, bool *ret_later)
{
    _cleanup_json_ struct json *request = NULL;
    struct control_call confirmed = *call;
    struct caller asked_by;
    int64_t id = 0;
    if (!json_get_integer(call->request, "id", &id) || id <= 0)
        return control_reply_error("the id of a waiting command is needed");
    int error = second_person_take(call->second, (uint64_t)id, call->caller->uid,
                                   clock_monotonic_ms(), &request, &asked_by);
    if (error < 0)
        return control_reply_error("%s", error == -EPERM
                                             ? "you asked for it: somebody else confirms"
                                             : "no such command waits, or its time is over");
    const struct command *command = command_find(request);
    confirmed.request = request;
    confirmed.asked_by = asked_by.uid;
    /* His role may have been taken away since he asked. */
    bool allowed = access_control_roles(call->fs->access, &asked_by) & command->roles;
    if (record(&confirmed, command->name, allowed ? AUDIT_OK : AUDIT_DENIED) < 0)
        return control_reply_error("the audit trail cannot be written");
    if (!allowed)
        return control_reply_error("who asked for it may no longer do so");
    return command->run(&confirmed, ret_later);
}

struct json *control_command(const struct control_call *call, bool *ret_later)
{
    const struct command *command = command_find(call->request);
    *ret_later = false;
    if (!command)
        return control_reply_error("unknown command");
    unsigned roles = access_control_roles(call->fs->access, call->caller);
    bool allowed = roles & command->roles;
    bool two = command->two || (command->approver && !(roles & ACCESS_APPROVER)) ||
               access_needs_second_person(call->fs->access, command->name);
    bool asks_often = command->run == control_progress || command->run == control_revalidation;
    bool recorded = (allowed && asks_often) ||
                    record(call, command->name, allowed ? AUDIT_OK : AUDIT_DENIED) >= 0;
    /* What is wrong can be asked for, and everything sealed, even while the trail cannot be
     * written. */
    if (!recorded && (!allowed || (command->run != command_status && command->run != control_seal)))
        return control_reply_error("the audit trail cannot be written");
    if (!allowed)
        return control_reply_error("your role does not allow this command");
    if (two && command->run != command_confirm &&
        !second_person_approved(call->second, call->asked_by, call->request, clock_monotonic_ms()))
        return ask_second_person(call);
    return command->run(call, ret_later);
}
