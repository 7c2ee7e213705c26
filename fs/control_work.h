/*
 * A command that goes on after its call: who asked and approved, why, and whom to answer. What it
 * does goes on record under these.
 *
 * Thread rule: any thread; the object is the command's own.
 */
#ifndef FS_CONTROL_WORK_H
#define FS_CONTROL_WORK_H

#include "fs/control.h"

enum { CONTROL_REASON_SIZE = 400, CONTROL_APPROVER_SIZE = 128 };

struct control_work {
    struct control *control;
    struct mountfs *fs;
    uint64_t peer;
    struct caller caller;
    uid_t asked_by;
    char reason[CONTROL_REASON_SIZE];
    char approver[CONTROL_APPROVER_SIZE];
};

/* Who approved: the second person, or who is named. NULL with a reply in *ret_refusal if there is
 * none, or a text of the request is missing or too long. */
const char *control_approver(const struct control_call *call, struct json **ret_refusal);

/* `approver` is control_approver()'s, or NULL where nobody need approve; the texts are copied. */
void control_work_init(struct control_work *work, const struct control_call *call,
                       const char *approver);

/* Negative: nothing was recorded. `error` is a positive errno or 0; name, detail_key may be NULL.
 */
_must_use_ int control_work_record(struct control_work *work, enum audit_kind kind,
                                   const char *name, const char *what, int error,
                                   const char *detail_key, const char *detail);
void control_work_answer(struct control_work *work, struct json *reply);

#endif
