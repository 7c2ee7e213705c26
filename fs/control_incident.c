/* See control_incident.h. */
#include "fs/control_incident.h"

#include "base/json.h"
#include "fs/control_fetch.h"

#include <string.h>

enum { NUMBER_SIZE = 4 };

static bool is_action(const char *text)
{
    static const char *const actions[] = {"open", "note", "set", "report", "close"};
    for (size_t i = 0; text && i < sizeof actions / sizeof *actions; i++)
        if (strcmp(text, actions[i]) == 0)
            return true;
    return false;
}

struct json *control_incident(const struct control_call *call, bool *ret_later)
{
    const char *number = json_get_text(call->request, "incident");
    const char *action = json_get_text(call->request, "action");
    const char *digest = json_get_text(call->request, "digest");
    uint8_t bytes[SHA256_SIZE];
    (void)ret_later;
    if (!number || strlen(number) != NUMBER_SIZE || strspn(number, "0123456789") != NUMBER_SIZE ||
        !is_action(action) || !digest || !hex_decode(digest, strlen(digest), bytes, sizeof bytes))
        return control_reply_error("incident, action and digest are needed");
    const struct audit_event event = {
        .kind = AUDIT_COMMAND,
        .caller = call->caller,
        .reason = "incident",
        .detail = {{"action", action}, {"digest", digest}, {"incident", number}},
    };
    if (audit_write(call->fs->audit, &event) < 0)
        return control_reply_error("the audit trail cannot be written");
    return control_reply_ok();
}
