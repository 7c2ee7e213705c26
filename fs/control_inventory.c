/* See control_inventory.h. */
#include "fs/control_inventory.h"

#include "base/json.h"
#include "fs/control_fetch.h"
#include "fs/control_schema.h"

#include <string.h>

struct json *control_inventory(const struct control_call *call, bool *ret_later)
{
    const char *digest = json_get_text(call->request, "digest");
    const char *reason = json_get_text(call->request, "reason");
    uint8_t bytes[SHA256_SIZE];
    char asked_by[16];
    (void)ret_later;
    if (!digest || !hex_decode(digest, strlen(digest), bytes, sizeof bytes) || !reason || !*reason)
        return control_reply_error("digest and reason are needed");
    if (call->asked_by != call->caller->uid)
        return control_keep_confirmed(call);
    snprintf(asked_by, sizeof asked_by, "%u", call->asked_by);
    const struct audit_event event = {
        .kind = AUDIT_CONFIGURATION,
        .caller = call->caller,
        .reason = "inventory",
        .text = reason,
        .detail = {{"asked_by", asked_by}, {"digest", digest}},
    };
    if (audit_write(call->fs->audit, &event) < 0)
        return control_reply_error("the audit trail cannot be written");
    return control_reply_ok();
}

struct json *control_inventory_check(const struct control_call *call, bool *ret_later)
{
    int64_t differences = 0;
    const char *first = json_get_text(call->request, "first");
    (void)ret_later;
    if (json_get(call->request, "differences") &&
        (!json_get_integer(call->request, "differences", &differences) || differences < 0 ||
         !first))
        return control_reply_error("differences is a number, first a text");
    if (differences > 0)
        alerts_raise(call->fs->alerts, ALERT_CRITICAL, ALERT_INVENTORY, "inventory",
                     "kosekictl inventory check tells all; record anew what is right.",
                     "%lld differences; %s", (long long)differences, first);
    _cleanup_json_ struct json *reply = control_reply_ok();
    return reply && json_set_integer(reply, "pid", getppid()) == 0 ? steal_ptr(&reply) : NULL;
}
