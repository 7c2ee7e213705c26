/* See control_reload.h. */
#include "fs/control_reload.h"

#include "base/ipc.h"
#include "base/json.h"
#include "base/room.h"
#include "fs/control_fetch.h"

#include <string.h>

struct json *control_reload(const struct control_call *call, bool *ret_later)
{
    const char *command = json_get_text(call->request, "command");
    const struct room_reload reload = {.upgrade = command && strcmp(command, "upgrade") == 0,
                                       .uid = call->asked_by};
    int error = ipc_send(ROOM_FD, ROOM_RELOAD, call->peer, &reload, sizeof reload, NULL, 0);
    if (error < 0)
        return control_reply_error("the supervisor cannot be asked: %s", strerror(-error));
    *ret_later = true;
    return NULL;
}

void control_reloaded(struct control *control, uint64_t peer, int error, const char *text)
{
    if (error) {
        control_answer(control, peer, control_reply_error("%s", text));
        return;
    }
    _cleanup_json_ struct json *reply = control_reply_ok();
    bool complete = reply && json_set_text(reply, "state", text) == 0;
    control_answer(control, peer, complete ? steal_ptr(&reply) : NULL);
}
