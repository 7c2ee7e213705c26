/* See control_seal.h. */
#include "fs/control_seal.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/control_fetch.h"

#include <errno.h>
#include <string.h>

enum { PAGE = 256 };

/* --- effect ----------------------------------------------------------------------------------- */

/* A seal as an open file is compared with it. */
struct bound {
    enum seal_scope scope;
    uid_t uid;
    uint32_t inode; /* 0: never seen, so nobody has it open */
    uint64_t affair;
};

struct bounds {
    struct mountfs *fs;
    size_t count;
    struct bound *list;
};

static bool bounds_block(void *context, const struct open_file *file)
{
    const struct bounds *bounds = context;
    bool blocked = !bounds->list || seals_cover_all(bounds->fs->seals);
    for (size_t i = 0; i < bounds->count && !blocked; i++) {
        const struct bound *bound = &bounds->list[i];
        blocked = bound->scope == SEAL_USER     ? bound->uid == file->uid
                  : bound->scope == SEAL_NAME   ? bound->inode == file->inode
                  : bound->scope == SEAL_AFFAIR ? bound->affair == file->affair
                                                : true;
    }
    return blocked;
}

static void drop_pages(void *context, uint32_t inode)
{
    const struct bounds *bounds = context;
    if (bounds->fs->session)
        session_invalidate(bounds->fs->session, inode);
}

static void drop_blocked(void *context, uint32_t inode)
{
    const struct bounds *bounds = context;
    if (delivery_blocked(bounds->fs->delivery, inode))
        drop_pages(context, inode);
}

static struct bound bound_of(struct mountfs *fs, const struct seal *seal)
{
    struct certname name;
    struct cache_entry entry;
    struct bound bound = {.scope = seal->scope, .uid = seal->uid};
    if (seal->scope == SEAL_AFFAIR)
        bound.affair = delivery_affair(seal->subject);
    if (seal->scope != SEAL_NAME || !certname_parse(seal->subject, &name))
        return bound;
    int found = cache_find(fs->cache, &name, &entry);
    if (found == 0)
        bound.inode = entry.inode;
    else if (found < 0)
        bound.scope = SEAL_ALL; /* which file it is cannot be said: none that is open is read */
    return bound;
}

/* What nobody has open stays in the kernel's cache as well. */
static void drop_all_pages(struct bounds *bounds)
{
    _cleanup_free_ struct cache_entry *page = calloc(PAGE, sizeof *page);
    uint32_t cursor = 0;
    size_t filled = PAGE;
    while (page && filled > 0 &&
           cache_list_content(bounds->fs->cache, &cursor, page, PAGE, &filled) == 0)
        for (size_t i = 0; i < filled; i++)
            drop_pages(bounds, page[i].inode);
}

void seal_apply(struct mountfs *fs)
{
    struct seal seal;
    struct bounds bounds = {.fs = fs};
    /* Without memory for the list everything open is blocked. */
    bounds.list = calloc(SEALS_MAX, sizeof *bounds.list);
    for (int64_t id = -1; bounds.list && seals_next(fs->seals, id, &seal); id = (int64_t)seal.id)
        bounds.list[bounds.count++] = bound_of(fs, &seal);
    delivery_settle(fs->delivery); /* who was let in before the seal is in the table now */
    delivery_review(fs->delivery, bounds_block, &bounds);
    delivery_settle(fs->delivery);
    delivery_walk(fs->delivery, drop_blocked, &bounds);
    cache_keep_keys(fs->cache, !seals_cover_all(fs->seals));
    if (seals_cover_all(fs->seals))
        drop_all_pages(&bounds);
    free(bounds.list);
}

/* --- commands --------------------------------------------------------------------------------- */

static int record(const struct control_call *call, enum audit_kind kind, const struct seal *seal,
                  const char *reason)
{
    char asked_by[16], id[24];
    snprintf(asked_by, sizeof asked_by, "%u", call->asked_by);
    snprintf(id, sizeof id, "%llu", (unsigned long long)seal->id);
    const struct audit_event event = {
        .kind = kind,
        .caller = call->caller,
        .name = seal->scope == SEAL_NAME ? seal->subject : NULL,
        .text = reason,
        .detail = {{"asked_by", asked_by},
                   {"id", seal->id ? id : NULL},
                   {"scope", seal_scope_name(seal->scope)},
                   {"subject", seal->subject}},
    };
    return audit_write(call->fs->audit, &event);
}

static void tell(const struct control_call *call, const struct seal *seal, const char *what)
{
    alerts_raise(call->fs->alerts, ALERT_CRITICAL, ALERT_SEAL, seal_scope_name(seal->scope),
                 "See kosekictl seals.", "%s by uid %u", what, call->asked_by);
}

static bool take_text(const struct json *request, const char *key, char *out, size_t size)
{
    const char *text = json_get_text(request, key);
    if (!text || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* The reason is asked of everybody; the rest by scope. */
static const char *read_seal(const struct control_call *call, struct seal *seal)
{
    const char *scope = json_get_text(call->request, "scope");
    struct certname name;
    int64_t uid = 0;
    if (!scope || !seal_scope_parse(scope, &seal->scope))
        return "scope is all, affair, user or name";
    if (!take_text(call->request, "reason", seal->reason, sizeof seal->reason) || !seal->reason[0])
        return "a reason is needed, of at most 255 bytes";
    if (seal->scope == SEAL_ALL)
        return NULL;
    if (!take_text(call->request, "subject", seal->subject, sizeof seal->subject) ||
        !seal->subject[0])
        return "what is to be sealed must be named";
    if (seal->scope == SEAL_NAME && !certname_parse(seal->subject, &name))
        return "not the name of a certificate";
    if (seal->scope == SEAL_USER &&
        (!json_get_integer(call->request, "uid", &uid) || uid < 0 || uid >= UINT32_MAX))
        return "the uid of the user is needed";
    seal->uid = (uid_t)uid;
    return NULL;
}

/* Also when the record fails: a seal that cannot be recorded must not wait. */
struct json *control_seal(const struct control_call *call, bool *ret_later)
{
    struct seal seal = {.by = call->asked_by};
    (void)ret_later;
    const char *wrong = read_seal(call, &seal);
    if (!wrong && !atomic_load(&call->fs->serving))
        wrong = "kosekifs-mount is just starting; give the command again";
    if (wrong)
        return control_reply_error("%s", wrong);
    struct seal_added added;
    int error = seals_add(call->fs->seals, &seal, clock_realtime_s(), &added);
    if (error < 0)
        return control_reply_error("not sealed: %s",
                                   error == -EEXIST ? "it is sealed already" : "too many seals");
    seal.id = added.id;
    seal_apply(call->fs);
    bool recorded = record(call, AUDIT_SEAL, &seal, seal.reason) >= 0;
    tell(call, &seal, added.unkept ? "sealed, but perhaps not beyond a restart" : "sealed");
    if (added.unkept)
        return control_reply_error("sealed as %llu, but a restart may not find it: %s; mend that "
                                   "and give the command again",
                                   (unsigned long long)seal.id, strerror(-added.unkept));
    _cleanup_json_ struct json *reply = control_reply_ok();
    return reply && json_set_integer(reply, "id", (int64_t)seal.id) == 0 &&
                   json_set_bool(reply, "recorded", recorded) == 0
               ? steal_ptr(&reply)
               : NULL;
}

static bool find_seal(struct mountfs *fs, int64_t id, struct seal *ret_seal)
{
    return id >= 0 && seals_next(fs->seals, id - 1, ret_seal) && ret_seal->id == (uint64_t)id;
}

struct json *control_unseal(const struct control_call *call, bool *ret_later)
{
    struct seal seal;
    int64_t id = -1;
    char reason[SEAL_REASON_SIZE];
    (void)ret_later;
    if (!json_get_integer(call->request, "id", &id) || !find_seal(call->fs, id, &seal))
        return control_reply_error("no such seal; see kosekictl seals");
    if (!take_text(call->request, "reason", reason, sizeof reason) || !reason[0])
        return control_reply_error("a reason is needed, of at most 255 bytes");
    if (record(call, AUDIT_UNSEAL, &seal, reason) < 0)
        return control_reply_error("the audit trail cannot be written");
    int error = seals_remove(call->fs->seals, seal.id);
    if (error < 0)
        return control_reply_error("still sealed, though a restart may not find it: %s",
                                   strerror(-error));
    seal_apply(call->fs);
    provide_unsealed(call->fs->provide);
    tell(call, &seal, "unsealed");
    return control_reply_ok();
}

static struct json *seal_row(const struct seal *seal)
{
    char since[RFC3339_SIZE] = "";
    if (seal->since_s)
        rfc3339_format(seal->since_s, since);
    _cleanup_json_ struct json *row = json_object_new();
    if (!row || json_set_integer(row, "id", (int64_t)seal->id) < 0 ||
        json_set_text(row, "scope", seal_scope_name(seal->scope)) < 0 ||
        json_set_text(row, "subject", seal->subject) < 0 ||
        json_set_text(row, "since", since) < 0 || json_set_integer(row, "by", seal->by) < 0 ||
        json_set_text(row, "reason", seal->reason) < 0)
        return NULL;
    return steal_ptr(&row);
}

struct json *control_seals(const struct control_call *call, bool *ret_later)
{
    struct seal seal;
    _cleanup_json_ struct json *rows = json_array_new();
    _cleanup_json_ struct json *reply = control_reply_ok();
    (void)ret_later;
    if (!rows || !reply)
        return NULL;
    for (int64_t id = -1; seals_next(call->fs->seals, id, &seal); id = (int64_t)seal.id)
        if (json_append(rows, seal_row(&seal)) < 0)
            return NULL;
    return json_set(reply, "seals", steal_ptr(&rows)) < 0 ? NULL : steal_ptr(&reply);
}
