/* See fs/control_work.h. */
#include "fs/control_work.h"

#include "base/json.h"
#include "fs/control_fetch.h"

#include <stdio.h>
#include <string.h>

const char *control_approver(const struct control_call *call, struct json **ret_refusal)
{
    const char *reason = json_get_text(call->request, "reason");
    const char *approver = json_get_text(call->request, "approver");
    const char *command = json_get_text(call->request, "command");
    if (!reason || !*reason || strlen(reason) >= CONTROL_REASON_SIZE)
        *ret_refusal =
            control_reply_error("a reason shorter than %d bytes is needed", CONTROL_REASON_SIZE);
    else if (approver && (!*approver || strlen(approver) >= CONTROL_APPROVER_SIZE))
        *ret_refusal = control_reply_error("the approver's name is empty or too long");
    else if (!approver && !access_needs_second_person(call->fs->access, command))
        *ret_refusal = control_reply_error("who approved it? --approver NAME, or a second person "
                                           "(second_person in the access policy)");
    else
        return approver ? approver : "second person";
    return NULL;
}

void control_work_init(struct control_work *work, const struct control_call *call,
                       const char *approver)
{
    const char *reason = json_get_text(call->request, "reason");
    *work = (struct control_work){.control = call->control,
                                  .fs = call->fs,
                                  .peer = call->peer,
                                  .caller = *call->caller,
                                  .asked_by = call->asked_by};
    snprintf(work->reason, sizeof work->reason, "%s", reason ? reason : "");
    snprintf(work->approver, sizeof work->approver, "%s", approver ? approver : "");
}

int control_work_record(struct control_work *work, enum audit_kind kind, const char *name,
                        const char *what, int error, const char *detail_key, const char *detail)
{
    char asked_by[16];
    snprintf(asked_by, sizeof asked_by, "%u", work->asked_by);
    const struct audit_event event = {
        .kind = kind,
        .result = error ? AUDIT_FAILED : AUDIT_OK,
        .error = error,
        .caller = &work->caller,
        .name = name,
        .reason = what,
        .text = work->reason,
        .detail = {{"approver", work->approver}, {"asked_by", asked_by}, {detail_key, detail}},
    };
    return audit_write(work->fs->audit, &event);
}

void control_work_answer(struct control_work *work, struct json *reply)
{
    control_answer(work->control, work->peer, reply);
}
