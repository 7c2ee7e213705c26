/* See fs/control_schema.h. */
#include "fs/control_schema.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/control_fetch.h"
#include "fs/schema_store.h"
#include "fs/second_person.h"

#include <stdio.h>
#include <string.h>

struct schema_request {
    const char *action, *name, *version, *digest, *reason;
};

static bool is_action(const char *text)
{
    return strcmp(text, "add") == 0 || strcmp(text, "use") == 0 || strcmp(text, "destroy") == 0;
}

static bool names_schema(const struct schema_request *request)
{
    struct schema_id id;
    uint8_t digest[SHA256_SIZE];
    if (strcmp(request->action, "use") == 0 && strcmp(request->name, "none") == 0)
        return request->version[0] == '\0' && request->digest[0] == '\0';
    return schema_id_parse(request->name, request->version, &id) &&
           hex_decode(request->digest, strlen(request->digest), digest, sizeof digest);
}

static bool read_request(const struct json *json, struct schema_request *request)
{
    *request = (struct schema_request){
        .action = json_get_text(json, "action"),
        .name = json_get_text(json, "name"),
        .version = json_get_text(json, "version"),
        .digest = json_get_text(json, "digest"),
        .reason = json_get_text(json, "reason"),
    };
    return request->action && request->name && request->version && request->digest &&
           request->reason && is_action(request->action) && names_schema(request) &&
           schema_reason_valid(request->reason);
}

static int record(const struct control_call *call, const struct schema_request *request)
{
    char asked_by[16];
    snprintf(asked_by, sizeof asked_by, "%u", call->asked_by);
    const struct audit_event event = {
        .kind = AUDIT_CONFIGURATION,
        .result = AUDIT_OK,
        .caller = call->caller,
        .reason = "schema",
        .text = request->reason,
        .detail = {{"action", request->action},
                   {"asked_by", asked_by},
                   {"digest", request->digest},
                   {"schema", request->name},
                   {"version", request->version}},
    };
    return audit_write(call->fs->audit, &event);
}

struct json *control_keep_confirmed(const struct control_call *call)
{
    static const char state[] = "confirmed: the same command, given again, is carried out";
    int error =
        second_person_approve(call->second, call->asked_by, call->request, clock_monotonic_ms());
    if (error < 0)
        return control_reply_error("the confirmation is not kept: %s", strerror(-error));
    _cleanup_json_ struct json *reply = control_reply_ok();
    return reply && json_set_text(reply, "state", state) == 0 ? steal_ptr(&reply) : NULL;
}

struct json *control_schema(const struct control_call *call, bool *ret_later)
{
    struct schema_request request;
    (void)ret_later;
    if (!read_request(call->request, &request))
        return control_reply_error("action, name, version, digest and reason are needed");
    if (call->asked_by != call->caller->uid)
        return control_keep_confirmed(call);
    if (record(call, &request) < 0)
        return control_reply_error("the audit trail cannot be written");
    return control_reply_ok();
}
