/* See control_fetch.h. */
#include "fs/control_fetch.h"

#include "base/json.h"
#include "fs/errno_table.h"

#include <errno.h>
#include <string.h>

struct fetching {
    struct waiter waiter;
    struct control *control;
    struct mountfs *fs;
    uint64_t peer;
};

static struct json *reply_of(int error, const char *reason, uint64_t size)
{
    if (error)
        return control_reply_error("%s: %s %s", errno_name(error), errno_meaning(error), reason);
    _cleanup_json_ struct json *reply = control_reply_ok();
    if (!reply || json_set_text(reply, "state", "ready") < 0 ||
        json_set_integer(reply, "size", (int64_t)size) < 0)
        return NULL;
    return steal_ptr(&reply);
}

static void answer(struct fetching *fetching, int error, const char *reason, uint64_t size)
{
    control_answer(fetching->control, fetching->peer, reply_of(error, reason, size));
    free(fetching);
}

static void fetched(struct waiter *waiter, const struct outcome *outcome)
{
    answer((struct fetching *)waiter, outcome->error, outcome->reason, outcome->entry.size);
}

static void looked_up(struct waiter *waiter, const struct outcome *outcome)
{
    struct fetching *fetching = (struct fetching *)waiter;
    waiter->complete = fetched;
    int error = outcome->error
                    ? outcome->error
                    : provide_content(fetching->fs->provide, &outcome->entry.name, waiter);
    if (error)
        answer(fetching, error, outcome->reason, 0);
}

/* 0: parked; else the outcome. */
static int begin(struct fetching *fetching, const struct certname *name, bool again, char *reason)
{
    struct mountfs *fs = fetching->fs;
    struct cache_entry entry;
    int found = cache_find(fs->cache, name, &entry);
    if (found < 0)
        return errno_of_store(found);
    enum provide_state state =
        found == CACHE_MISS ? PROVIDE_FETCHABLE : provide_state_of(fs->provide, &entry);
    if (state == PROVIDE_STALE)
        return ENOKEY;
    if (state == PROVIDE_REJECTED && !again)
        return provide_rejection(fs->provide, &entry, reason);
    if (state == PROVIDE_UNVERIFIED || (found == 0 && entry.state == CACHE_WITHHELD)) {
        fetching->waiter.complete = fetched;
        return provide_content(fs->provide, name, &fetching->waiter);
    }
    provide_forget(fs->provide, name); /* somebody says that it is there now */
    return provide_lookup(fs->provide, name, &fetching->waiter);
}

struct json *control_fetch(const struct control_call *call, bool *ret_later)
{
    struct certname name;
    struct cache_entry entry;
    char reason[VERDICT_TEXT_MAX] = "";
    bool again = false, wait = false;
    const char *text = json_get_text(call->request, "name");
    if (!text || !certname_parse(text, &name))
        return control_reply_error("not the name of a certificate");
    if (json_get(call->request, "again") && !json_get_bool(call->request, "again", &again))
        return control_reply_error("again is true or false");
    if (json_get(call->request, "wait") && !json_get_bool(call->request, "wait", &wait))
        return control_reply_error("wait is true or false");
    if (cache_find(call->fs->cache, &name, &entry) == 0 &&
        provide_state_of(call->fs->provide, &entry) == PROVIDE_READY)
        return reply_of(0, "", entry.size);
    struct fetching *fetching = calloc(1, sizeof *fetching);
    if (!fetching)
        return NULL;
    *fetching =
        (struct fetching){.waiter = {.complete = looked_up,
                                     .uid = call->caller->uid,
                                     .patience_ms = wait ? call->fs->config->ready_timeout : 0},
                          .control = call->control,
                          .fs = call->fs,
                          .peer = call->peer};
    int error = begin(fetching, &name, again, reason);
    if (!error) {
        *ret_later = true;
        return NULL;
    }
    free(fetching);
    return reply_of(error, reason, 0);
}

static struct json *progress_object(const struct provide_progress *progress)
{
    static const char *const stages[] = {[PROVIDE_QUEUED] = "queued",
                                         [PROVIDE_FETCHING] = "fetching",
                                         [PROVIDE_PREPARING] = "preparing",
                                         [PROVIDE_VERIFYING] = "verifying"};
    _cleanup_json_ struct json *row = json_object_new();
    if (!row || json_set_text(row, "name", progress->name.text) < 0 ||
        json_set_text(row, "stage", stages[progress->stage]) < 0 ||
        json_set_integer(row, "received", (int64_t)progress->received) < 0 ||
        json_set_integer(row, "size", (int64_t)progress->size) < 0 ||
        json_set_integer(row, "ask_again_ms", progress->ask_again_ms) < 0)
        return NULL;
    return steal_ptr(&row);
}

struct json *control_progress(const struct control_call *call, bool *ret_later)
{
    enum { ROWS_MAX = 1000 };
    _cleanup_free_ struct provide_progress *rows = calloc(ROWS_MAX, sizeof *rows);
    _cleanup_json_ struct json *reply = control_reply_ok();
    _cleanup_json_ struct json *list = json_array_new();
    (void)ret_later;
    if (!rows || !reply || !list)
        return NULL;
    size_t count = provide_progress(call->fs->provide, rows, ROWS_MAX);
    for (size_t i = 0; i < count; i++)
        if (json_append(list, progress_object(&rows[i])) < 0)
            return NULL;
    return json_set(reply, "fetches", steal_ptr(&list)) < 0 ? NULL : steal_ptr(&reply);
}
