/*
 * `kosekictl seal`, `unseal` and `seals`: stops serving at once what a seal covers. When seal
 * answers, no byte of it reaches a program any more, through whatever it has open or mapped.
 * Sealing takes one person, unsealing two.
 */
#ifndef FS_CONTROL_SEAL_H
#define FS_CONTROL_SEAL_H

#include "fs/control.h"

/* {"scope", "subject", "uid", "reason"} */
struct json *control_seal(const struct control_call *call, bool *ret_later);
/* {"id", "reason"} */
struct json *control_unseal(const struct control_call *call, bool *ret_later);
/* The seals in force. */
struct json *control_seals(const struct control_call *call, bool *ret_later);

/* Makes what is open fit the seals in force: waits for answers under way, blocks open files, drops
 * the kernel's pages and, if everything is sealed, our data keys. Not from a thread that answers
 * the kernel. */
void seal_apply(struct mountfs *fs);

#endif
