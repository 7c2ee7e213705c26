/* See fs/control_revalidate.h. */
#include "fs/control_revalidate.h"

#include "base/json.h"
#include "base/log.h"
#include "fs/control_fetch.h"
#include "fs/revalidation.h"

#include <errno.h>
#include <string.h>

enum { ROWS_PAGE = 256 };

struct json *control_revalidate(const struct control_call *call, bool *ret_later)
{
    const char *command = json_get_text(call->request, "command");
    bool apply = command && strcmp(command, "revalidate-apply") == 0, stop = false;
    int64_t after = 0;
    (void)ret_later;
    if (json_get_bool(call->request, "stop", &stop) && stop) {
        provide_revalidate_stop(call->fs->provide);
        return control_reply_ok();
    }
    if (json_get(call->request, "after") && (!json_get_integer(call->request, "after", &after) ||
                                             after < 0 || after > CACHE_INODE_LAST))
        return control_reply_error("after is out of range");
    int r = provide_revalidate(call->fs->provide, apply, (uint32_t)after, call->asked_by);
    if (r < 0)
        return control_reply_error("not begun: %s",
                                   r == -EBUSY ? "a revalidation is under way" : strerror(-r));
    _cleanup_json_ struct json *reply = control_reply_ok();
    return reply && json_set_text(reply, "state", "begun") == 0 ? steal_ptr(&reply) : NULL;
}

static struct json *row_object(const struct revalidation_row *row)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_integer(object, "serial", (int64_t)row->serial) < 0 ||
        json_set_text(object, "name", row->name.text) < 0 ||
        json_set_text(object, "change", revalidation_change_text(row->change)) < 0 ||
        json_set(object, "before", verdict_at_report(&row->before)) < 0 ||
        json_set(object, "after", verdict_at_report(&row->after)) < 0 ||
        json_set_bool(object, "applied", row->applied) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *totals_object(const struct revalidation_totals *totals)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_integer(object, "number", (int64_t)totals->number) < 0 ||
        json_set_bool(object, "running", totals->running) < 0 ||
        json_set_bool(object, "stopped", totals->stopped) < 0 ||
        json_set_bool(object, "apply", totals->apply) < 0 ||
        json_set_integer(object, "stored", (int64_t)totals->total) < 0 ||
        json_set_integer(object, "looked_at", (int64_t)totals->looked_at) < 0 ||
        json_set_integer(object, "unchanged", (int64_t)totals->unchanged) < 0)
        return NULL;
    for (unsigned i = 0; i < REVALIDATION_CHANGES; i++)
        if (json_set_integer(object, revalidation_change_text((enum revalidation_change)i),
                             (int64_t)totals->changed[i]) < 0)
            return NULL;
    if (json_set_integer(object, "applied", (int64_t)totals->applied) < 0 ||
        json_set_integer(object, "rejected_without_content", (int64_t)totals->rejected) < 0 ||
        json_set_integer(object, "reached", totals->reached) < 0 ||
        json_set_integer(object, "milliseconds", totals->milliseconds) < 0)
        return NULL;
    return steal_ptr(&object);
}

struct json *control_revalidation(const struct control_call *call, bool *ret_later)
{
    _cleanup_free_ struct revalidation_row *rows = calloc(ROWS_PAGE, sizeof *rows);
    _cleanup_json_ struct json *list = json_array_new();
    _cleanup_json_ struct json *reply = control_reply_ok();
    struct revalidation_totals totals;
    int64_t after = 0;
    (void)ret_later;
    if (!rows || !list || !reply)
        return NULL;
    if (json_get(call->request, "after") &&
        (!json_get_integer(call->request, "after", &after) || after < 0))
        return control_reply_error("after is out of range");
    size_t count =
        provide_revalidation(call->fs->provide, (uint64_t)after, &totals, rows, ROWS_PAGE);
    for (size_t i = 0; i < count; i++)
        if (json_append(list, row_object(&rows[i])) < 0)
            return NULL;
    if (json_set(reply, "totals", totals_object(&totals)) < 0 ||
        json_set(reply, "rows", steal_ptr(&list)) < 0)
        return NULL;
    return steal_ptr(&reply);
}

void control_revalidated(void *context, const struct revalidation_totals *totals)
{
    struct mountfs *fs = context;
    const uint64_t *changed = totals->changed;
    const uint64_t values[] = {totals->applied,
                               totals->asked_by,
                               totals->looked_at,
                               changed[REVALIDATION_SEALED],
                               totals->unchanged,
                               changed[REVALIDATION_UNDECIDED],
                               changed[REVALIDATION_UNREADABLE],
                               changed[REVALIDATION_VERDICT]};
    char numbers[sizeof values / sizeof *values][24];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        snprintf(numbers[i], sizeof numbers[i], "%llu", (unsigned long long)values[i]);
    const struct audit_event event = {
        .kind = AUDIT_COMMAND,
        .result = totals->stopped ? AUDIT_FAILED : AUDIT_OK,
        .reason = totals->apply ? "revalidate-apply ended" : "revalidate ended",
        .text = totals->stopped ? "It was stopped before the last certificate." : NULL,
        .detail = {{"applied", numbers[0]},
                   {"asked_by", numbers[1]},
                   {"looked_at", numbers[2]},
                   {"sealed", numbers[3]},
                   {"unchanged", numbers[4]},
                   {"undecided", numbers[5]},
                   {"unreadable", numbers[6]},
                   {"verdicts", numbers[7]}},
    };
    if (audit_write(fs->audit, &event) < 0)
        log_warning("the end of a revalidation could not be recorded");
}
