/* See fs/control_trust.h. */
#include "fs/control_trust.h"

#include "base/json.h"
#include "fs/control_fetch.h"

#include <string.h>

struct json *control_trust(const struct control_call *call, bool *ret_later)
{
    struct provide_statistics statistics;
    _cleanup_json_ struct json *reply = control_reply_ok();
    (void)ret_later;
    provide_statistics(call->fs->provide, &statistics);
    if (!reply || json_set_hex(reply, "generation", statistics.trust_generation, SHA256_SIZE) < 0 ||
        json_set(reply, "anchors", provide_anchors_json(call->fs->provide)) < 0 ||
        json_set(reply, "signers", provide_signers_json(call->fs->provide)) < 0)
        return NULL;
    return steal_ptr(&reply);
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
