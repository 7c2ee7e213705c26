/* See fs/control_trust.h. */
#include "fs/control_trust.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/control_fetch.h"
#include "fs/control_schema.h"
#include "fs/schema_store.h"
#include "fs/signers.h"

#include <string.h>

static struct json *show_paths(const struct control_call *call)
{
    int64_t after = 0;
    size_t next = 0;
    _cleanup_json_ struct json *reply = control_reply_ok();
    if (json_get(call->request, "after") &&
        (!json_get_integer(call->request, "after", &after) || after < 0 || after > SIGNERS_MAX))
        return control_reply_error("after is out of range");
    struct json *paths = provide_paths_json(call->fs->provide, (size_t)after, &next);
    if (!reply || !paths) {
        json_free(paths);
        return NULL;
    }
    if (json_set(reply, "signers", paths) < 0 || json_set_integer(reply, "next", (int64_t)next) < 0)
        return NULL;
    return steal_ptr(&reply);
}

struct json *control_trust(const struct control_call *call, bool *ret_later)
{
    struct provide_statistics statistics;
    const char *action = json_get_text(call->request, "action");
    _cleanup_json_ struct json *reply = control_reply_ok();
    (void)ret_later;
    if (action)
        return strcmp(action, "paths") == 0
                   ? show_paths(call)
                   : control_reply_error("the action of trust is paths, or none");
    provide_statistics(call->fs->provide, &statistics);
    if (!reply || json_set_hex(reply, "generation", statistics.trust_generation, SHA256_SIZE) < 0 ||
        json_set(reply, "anchors", provide_anchors_json(call->fs->provide)) < 0 ||
        json_set(reply, "signers", provide_signers_json(call->fs->provide)) < 0)
        return NULL;
    return steal_ptr(&reply);
}

struct anchor_request {
    const char *action, *certificate, *subject, *not_after, *reason;
};

static bool read_anchor_request(const struct json *json, struct anchor_request *request)
{
    uint8_t digest[SHA256_SIZE];
    int64_t ends_s;
    *request = (struct anchor_request){
        .action = json_get_text(json, "action"),
        .certificate = json_get_text(json, "certificate"),
        .subject = json_get_text(json, "subject"),
        .not_after = json_get_text(json, "not_after"),
        .reason = json_get_text(json, "reason"),
    };
    return request->action && request->certificate && request->subject && request->not_after &&
           request->reason &&
           (strcmp(request->action, "add") == 0 || strcmp(request->action, "remove") == 0) &&
           hex_decode(request->certificate, strlen(request->certificate), digest, sizeof digest) &&
           strlen(request->subject) < VERDICT_DN_MAX &&
           rfc3339_parse(request->not_after, &ends_s) && schema_reason_valid(request->reason);
}

struct json *control_trust_change(const struct control_call *call, bool *ret_later)
{
    struct anchor_request request;
    char asked_by[16];
    (void)ret_later;
    if (!read_anchor_request(call->request, &request))
        return control_reply_error("action, certificate, subject, not_after and reason are needed");
    if (call->asked_by != call->caller->uid)
        return control_keep_confirmed(call);
    snprintf(asked_by, sizeof asked_by, "%u", call->asked_by);
    const struct audit_event event = {
        .kind = AUDIT_CONFIGURATION,
        .caller = call->caller,
        .reason = "anchor",
        .text = request.reason,
        .detail = {{"action", request.action},
                   {"asked_by", asked_by},
                   {"certificate", request.certificate},
                   {"not_after", request.not_after},
                   {"subject", request.subject}},
    };
    if (audit_write(call->fs->audit, &event) < 0)
        return control_reply_error("the audit trail cannot be written");
    return control_reply_ok();
}

struct json *control_crl(const struct control_call *call, bool *ret_later)
{
    _cleanup_json_ struct json *reply = control_reply_ok();
    (void)ret_later;
    if (json_get_text(call->request, "action")) {
        if (strcmp(json_get_text(call->request, "action"), "refresh") != 0)
            return control_reply_error("the action of crl is refresh, or none");
        if (!(access_control_roles(call->fs->access, call->caller) & ACCESS_OPERATOR))
            return control_reply_error("your role does not allow this command");
        provide_refresh_lists(call->fs->provide);
        return steal_ptr(&reply);
    }
    if (!reply || json_set(reply, "revocation", provide_lists_json(call->fs->provide)) < 0)
        return NULL;
    return steal_ptr(&reply);
}
