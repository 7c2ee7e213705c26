/* See incident_dossier.h. Events are gathered in one sorted tree of rows, then told by section. */
#include "tools/incident_dossier.h"

#include "base/clock.h"
#include "base/json.h"
#include "tools/audit_select.h"
#include "tools/trail_check.h"

#include <pwd.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum section { READS = 0, REFUSALS, FAILURES, SECTION_COUNT };

struct row {
    enum section section;
    int64_t uid; /* -1: the daemon itself */
    char *name, *reason, *kind;
    /* What may differ among the events of a row is the first's. */
    char *affair, *purpose, *role, *program;
    uint64_t count;
    int64_t first_s, last_s;
};

struct gathering {
    struct audit_selection selection;
    int64_t uids[DOSSIER_USERS_MAX];
    const char *names[DOSSIER_USERS_MAX];
    size_t uid_count, name_count;
    void *rows; /* tsearch(3) */
    size_t row_count;
    uint64_t opens, denied, failed;
    struct json *timeline;
    size_t timeline_count;
    struct json *sections[SECTION_COUNT];
    uint64_t certificates, users; /* of READS */
    const struct row *previous;
    int error;
};

static int out_of_memory(void)
{
    fprintf(stderr, "kosekictl: memory is short\n");
    return EX_OSERR;
}

/* --- rows ------------------------------------------------------------------------------------- */

static void row_free(void *pointer)
{
    struct row *row = pointer;
    char *const texts[] = {row->name,    row->reason, row->kind,   row->affair,
                           row->purpose, row->role,   row->program};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free(row);
}

/* By section, user, certificate, kind and reason. */
static int row_compare(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    if (a->section != b->section)
        return a->section < b->section ? -1 : 1;
    if (a->uid != b->uid)
        return a->uid < b->uid ? -1 : 1;
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = strcmp(a->kind, b->kind);
    return order == 0 ? strcmp(a->reason, b->reason) : order;
}

static char *text_of(const struct json *event, const char *key)
{
    const char *text = json_get_text(event, key);
    return strdup(text ? text : "");
}

static struct row *row_new(enum section section, const struct json *event)
{
    struct row *row = calloc(1, sizeof *row);
    if (!row)
        return NULL;
    row->section = section;
    if (!json_get_integer(event, "uid", &row->uid))
        row->uid = -1;
    row->name = text_of(event, "name");
    row->kind = text_of(event, "kind");
    /* Of what was read the reason is how the right came about; the affair says that. */
    row->reason = section == READS ? strdup("") : text_of(event, "reason");
    row->affair = text_of(event, "affair");
    row->purpose = text_of(event, "purpose");
    row->role = text_of(event, "role");
    row->program = text_of(event, "unverified_comm");
    if (row->name && row->kind && row->reason && row->affair && row->purpose && row->role &&
        row->program)
        return row;
    row_free(row);
    return NULL;
}

static int add_row(struct gathering *gathering, enum section section, const struct json *event,
                   int64_t time_s)
{
    struct row *row = row_new(section, event);
    struct row *const *place = row ? tsearch(row, &gathering->rows, row_compare) : NULL;
    if (!place) {
        if (row)
            row_free(row);
        return out_of_memory();
    }
    if (*place == row) {
        row->first_s = time_s;
        if (++gathering->row_count > DOSSIER_ROWS_MAX) {
            fprintf(stderr,
                    "kosekictl: more than %d lines; name users, certificates or a shorter "
                    "time\n",
                    DOSSIER_ROWS_MAX);
            return EX_DATAERR;
        }
    } else {
        row_free(row);
    }
    (*place)->count++;
    (*place)->last_s = time_s;
    return 0;
}

/* --- events ----------------------------------------------------------------------------------- */

static const char *user_name(int64_t uid)
{
    const struct passwd *user = uid < 0 ? NULL : getpwuid((uid_t)uid);
    return user ? user->pw_name : "";
}

static bool about_one_of(const struct gathering *gathering, const struct json *event)
{
    int64_t uid = -1;
    const char *name = json_get_text(event, "name");
    (void)json_get_integer(event, "uid", &uid);
    bool user = gathering->uid_count == 0, certificate = gathering->name_count == 0;
    for (size_t i = 0; i < gathering->uid_count; i++)
        user |= gathering->uids[i] == uid;
    for (size_t i = 0; i < gathering->name_count; i++)
        certificate |= name && strcmp(gathering->names[i], name) == 0;
    return user && certificate;
}

/* Whoever only looked changed nothing. */
static bool is_looking(const struct json *event)
{
    static const char *const commands[] = {"status",   "list",           "why",     "alerts",
                                           "seals",    "grants",         "pending", "access",
                                           "incident", "inventory-check"};
    const char *command = json_get_text(event, "reason");
    for (size_t i = 0; command && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i], command) == 0)
            return true;
    return false;
}

static bool in_timeline(const char *kind, const struct json *event)
{
    static const char *const kinds[] = {"start",  "stop",  "configuration", "trust",  "seal",
                                        "unseal", "alert", "clock",         "trail",  "purge",
                                        "export", "grant", "revoke",        "command"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], kind) == 0)
            return strcmp(kind, "command") != 0 || !is_looking(event);
    return false;
}

static int add_to_timeline(struct gathering *gathering, const struct json *event, int64_t time_s)
{
    static const char *const keys[] = {"kind", "result", "reason", "name", "text"};
    char at[RFC3339_SIZE];
    int64_t uid = -1;
    if (gathering->timeline_count++ >= DOSSIER_TIMELINE_MAX)
        return 0;
    struct json *row = json_object_new();
    rfc3339_format(time_s, at);
    (void)json_get_integer(event, "uid", &uid);
    int error = row ? json_set_text(row, "at", at) : -ENOMEM;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && error == 0; i++) {
        const char *text = json_get_text(event, keys[i]);
        error = json_set_text(row, keys[i], text ? text : "");
    }
    if (error == 0)
        error = json_set_text(row, "user", user_name(uid));
    if (error == 0)
        error = json_set_integer(row, "uid", uid);
    if (error < 0) {
        json_free(row);
        return out_of_memory();
    }
    return json_append(gathering->timeline, row) < 0 ? out_of_memory() : 0;
}

static int take_event(void *context, int64_t time_s, const struct json *event)
{
    struct gathering *gathering = context;
    const char *kind = json_get_text(event, "kind"), *result = json_get_text(event, "result");
    if (!kind || !result)
        return 0;
    bool access = strcmp(kind, "open") == 0 || strcmp(kind, "lookup") == 0 ||
                  strcmp(kind, "list") == 0 || strcmp(kind, "xattr") == 0;
    if (!access)
        return in_timeline(kind, event) ? add_to_timeline(gathering, event, time_s) : 0;
    if (!about_one_of(gathering, event))
        return 0;
    if (strcmp(result, "denied") == 0) {
        gathering->denied++;
        return add_row(gathering, REFUSALS, event, time_s);
    }
    if (strcmp(kind, "open") != 0)
        return 0;
    if (strcmp(result, "ok") == 0) {
        gathering->opens++;
        return add_row(gathering, READS, event, time_s);
    }
    gathering->failed++;
    return add_row(gathering, FAILURES, event, time_s);
}

/* --- sections --------------------------------------------------------------------------------- */

static int row_object(const struct row *row, struct json *object)
{
    char first[RFC3339_SIZE], last[RFC3339_SIZE];
    rfc3339_format(row->first_s, first);
    rfc3339_format(row->last_s, last);
    bool failed = json_set_integer(object, "uid", row->uid) < 0 ||
                  json_set_text(object, "user", user_name(row->uid)) < 0 ||
                  json_set_text(object, "name", row->name) < 0 ||
                  json_set_text(object, "kind", row->kind) < 0 ||
                  json_set_text(object, "reason", row->reason) < 0 ||
                  json_set_text(object, "affair", row->affair) < 0 ||
                  json_set_text(object, "purpose", row->purpose) < 0 ||
                  json_set_text(object, "role", row->role) < 0 ||
                  json_set_text(object, "unverified_program", row->program) < 0 ||
                  json_set_integer(object, "count", (int64_t)row->count) < 0 ||
                  json_set_text(object, "first", first) < 0 ||
                  json_set_text(object, "last", last) < 0;
    return failed ? -ENOMEM : 0;
}

/* Rows come sorted, so those of one user stand together; certificates are counted elsewhere. */
static void tell_row(const void *node, VISIT visit, void *context)
{
    const struct row *row = *(struct row *const *)node;
    struct gathering *gathering = context;
    if ((visit != postorder && visit != leaf) || gathering->error < 0)
        return;
    struct json *object = json_object_new();
    gathering->error = object ? row_object(row, object) : -ENOMEM;
    if (gathering->error == 0)
        gathering->error = json_append(gathering->sections[row->section], object);
    else
        json_free(object);
    if (row->section == READS) {
        gathering->users += !gathering->previous || gathering->previous->uid != row->uid;
        gathering->previous = row;
    }
}

struct names {
    void *tree;
    uint64_t count;
    bool failed;
};

static int name_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void count_name(const void *node, VISIT visit, void *context)
{
    const struct row *row = *(struct row *const *)node;
    struct names *names = context;
    if ((visit != postorder && visit != leaf) || row->section != READS)
        return;
    if (!tfind(row->name, &names->tree, name_compare)) {
        names->failed |= !tsearch(row->name, &names->tree, name_compare);
        names->count++;
    }
}

static void keep(void *name)
{
    (void)name; /* the row's */
}

static int tell_rows(struct gathering *gathering)
{
    struct names names = {0};
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        gathering->sections[i] = json_array_new();
        if (!gathering->sections[i])
            return -ENOMEM;
    }
    twalk_r(gathering->rows, tell_row, gathering);
    twalk_r(gathering->rows, count_name, &names);
    tdestroy(names.tree, keep);
    gathering->certificates = names.count;
    return names.failed ? -ENOMEM : gathering->error;
}

/* --- the trail -------------------------------------------------------------------------------- */

static void take_fault(void *context, enum audit_fault fault, const char *file, uint64_t line,
                       const char *text)
{
    struct json *faults = context, *row = json_object_new();
    if (json_array_count(faults) < DOSSIER_FAULTS_MAX && row &&
        json_set_text(row, "fault", audit_fault_name(fault)) == 0 &&
        json_set_text(row, "file", file) == 0 &&
        json_set_integer(row, "line", (int64_t)line) == 0 &&
        json_set_text(row, "text", text) == 0 && json_append(faults, steal_ptr(&row)) == 0)
        return;
    json_free(row); /* the number of faults is told in any case */
}

static int add_trail(const struct trail_files *files, struct json *dossier)
{
    struct audit_verified verified;
    struct json *trail = json_object_new();
    struct json *faults = json_array_new();
    if (!trail || !faults || json_set(dossier, "trail", trail) < 0) {
        json_free(faults);
        return out_of_memory();
    }
    int status = trail_check(files, NULL, take_fault, faults, &verified);
    if (status != 0) {
        json_free(faults);
        return status;
    }
    bool failed = json_set_bool(trail, "whole", verified.faults == 0) < 0 ||
                  json_set_integer(trail, "records", (int64_t)verified.records) < 0 ||
                  json_set_integer(trail, "first", (int64_t)verified.first) < 0 ||
                  json_set_integer(trail, "last", (int64_t)verified.last) < 0 ||
                  json_set_hex(trail, "hash", verified.hash, SHA256_SIZE) < 0 ||
                  json_set_integer(trail, "signed_up_to", (int64_t)verified.covered) < 0 ||
                  json_set_integer(trail, "fault_count", (int64_t)verified.faults) < 0;
    if (failed) {
        json_free(faults);
        return out_of_memory();
    }
    return json_set(trail, "faults", faults) < 0 ? out_of_memory() : 0;
}

/* --- the whole -------------------------------------------------------------------------------- */

static struct json *copy_of(const struct json *json)
{
    struct json *copy = NULL;
    _cleanup_free_ char *text = json_print(json);
    return text && json_parse(text, strlen(text), &copy) == 0 ? copy : NULL;
}

static struct json *figures_of(const struct gathering *gathering)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_integer(object, "opens", (int64_t)gathering->opens) < 0 ||
        json_set_integer(object, "certificates", (int64_t)gathering->certificates) < 0 ||
        json_set_integer(object, "users", (int64_t)gathering->users) < 0 ||
        json_set_integer(object, "denied", (int64_t)gathering->denied) < 0 ||
        json_set_integer(object, "failed", (int64_t)gathering->failed) < 0 ||
        json_set_bool(object, "timeline_cut", gathering->timeline_count > DOSSIER_TIMELINE_MAX) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *services_of(const struct json *status, const char *no_status)
{
    struct json *services = status ? copy_of(status) : json_object_new();
    if (services && !status && json_set_text(services, "unreachable", no_status) < 0)
        return json_free(services);
    return services;
}

static bool read_scope(const struct json *incident, struct gathering *gathering)
{
    const struct json *users = json_get(incident, "users"), *names = json_get(incident, "names");
    gathering->selection = audit_select_all();
    (void)json_get_integer(incident, "since", &gathering->selection.since_s);
    (void)json_get_integer(incident, "until", &gathering->selection.until_s);
    if (json_array_count(users) > DOSSIER_USERS_MAX || json_array_count(names) > DOSSIER_USERS_MAX)
        return false;
    for (size_t i = 0; i < json_array_count(users); i++)
        if (!json_get_integer(json_array_at(users, i), "uid",
                              &gathering->uids[gathering->uid_count++]))
            return false;
    for (size_t i = 0; i < json_array_count(names); i++) {
        const char *name = json_text(json_array_at(names, i));
        if (!name)
            return false;
        gathering->names[gathering->name_count++] = name;
    }
    return true;
}

static int tell_all(struct gathering *gathering, const struct json *incident,
                    const struct json *status, const char *no_status, struct json *dossier)
{
    char at[RFC3339_SIZE];
    rfc3339_format(clock_realtime_s(), at);
    if (tell_rows(gathering) < 0 || json_set_text(dossier, "dossier", "kosekifs-incident-1") < 0 ||
        json_set_text(dossier, "made_at", at) < 0 ||
        json_set_text(dossier, "version", KOSEKIFS_VERSION) < 0 ||
        json_set(dossier, "incident", copy_of(incident)) < 0 ||
        json_set(dossier, "figures", figures_of(gathering)) < 0 ||
        json_set(dossier, "reads", steal_ptr(&gathering->sections[READS])) < 0 ||
        json_set(dossier, "refusals", steal_ptr(&gathering->sections[REFUSALS])) < 0 ||
        json_set(dossier, "failures", steal_ptr(&gathering->sections[FAILURES])) < 0 ||
        json_set(dossier, "timeline", steal_ptr(&gathering->timeline)) < 0 ||
        json_set(dossier, "services", services_of(status, no_status)) < 0)
        return out_of_memory();
    return 0;
}

static void gathering_done(struct gathering *gathering)
{
    tdestroy(gathering->rows, row_free);
    json_free(gathering->timeline);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        json_free(gathering->sections[i]);
}

int dossier_make(const struct json *incident, const struct trail_files *files,
                 const struct json *status, const char *no_status, struct json **ret_dossier)
{
    _cleanup_(gathering_done) struct gathering gathering = {.timeline = json_array_new()};
    _cleanup_json_ struct json *dossier = json_object_new();
    if (!dossier || !gathering.timeline)
        return out_of_memory();
    if (!read_scope(incident, &gathering)) {
        fprintf(stderr, "kosekictl: the incident's file makes no sense\n");
        return EX_DATAERR;
    }
    int result = audit_select_walk(files, &gathering.selection, take_event, &gathering);
    if (result == 0)
        result = tell_all(&gathering, incident, status, no_status, dossier);
    if (result == 0)
        result = add_trail(files, dossier);
    if (result == 0)
        *ret_dossier = steal_ptr(&dossier);
    return result;
}
