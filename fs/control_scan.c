/* See control_scan.h. */
#include "fs/control_scan.h"

#include "base/json.h"
#include "fs/control_fetch.h"
#include "fs/errno_table.h"

#include <errno.h>

struct scanning {
    struct waiter waiter;
    struct control *control;
    uint64_t peer;
};

static struct json *reply_of(int error, const char *reason)
{
    if (error)
        return control_reply_error("%s: %s %s", errno_name(error), errno_meaning(error), reason);
    _cleanup_json_ struct json *reply = control_reply_ok();
    return reply && json_set_text(reply, "state", "verified and scanned again") == 0
               ? steal_ptr(&reply)
               : NULL;
}

static void scanned(struct waiter *waiter, const struct outcome *outcome)
{
    struct scanning *scanning = (struct scanning *)waiter;
    control_answer(scanning->control, scanning->peer, reply_of(outcome->error, outcome->reason));
    free(scanning);
}

static struct json *scan_one(const struct control_call *call, const struct certname *name,
                             bool *ret_later)
{
    struct scanning *scanning = calloc(1, sizeof *scanning);
    if (!scanning)
        return NULL;
    *scanning =
        (struct scanning){.waiter.complete = scanned, .control = call->control, .peer = call->peer};
    int error = provide_rescan(call->fs->provide, name, &scanning->waiter);
    if (!error) {
        *ret_later = true;
        return NULL;
    }
    free(scanning);
    return error == ENOENT  ? control_reply_error("not stored")
           : error == EBUSY ? control_reply_error("it is being fetched or verified; try again")
                            : reply_of(error, "");
}

struct json *control_scan(const struct control_call *call, bool *ret_later)
{
    struct certname name;
    bool all = false;
    const char *text = json_get_text(call->request, "name");
    if (!call->fs->scanner)
        return control_reply_error("nothing scans: [scan] clamd is not set");
    if (text && certname_parse(text, &name))
        return scan_one(call, &name, ret_later);
    if (text || !json_get_bool(call->request, "all", &all) || !all)
        return control_reply_error("the name of a certificate is needed, or all");
    provide_rescan_all(call->fs->provide);
    return control_reply_ok();
}
