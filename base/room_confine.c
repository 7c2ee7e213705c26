/* See base/room_confine.h. */
#include "base/room_confine.h"

#include "base/ipc.h"
#include "base/room.h"

#include <string.h>

void room_receive_sandbox(struct config_sandbox *ret_sandbox)
{
    static struct ipc_message message;
    int r = ipc_receive(ROOM_FD, &message);
    if (r == IPC_CLOSED)
        exit(0);
    if (r < 0 || message.type != ROOM_SANDBOX ||
        ipc_message_take(&message, ret_sandbox, sizeof *ret_sandbox, 0) < 0 ||
        !ipc_text_ok(ret_sandbox->level, sizeof ret_sandbox->level))
        room_fail("the first message is not understood: are all programs of one version?");
}

/* The step is named for the operator of a kernel or container that lacks it. */
void room_confine(const struct confine *table, const struct config_sandbox *sandbox,
                  struct confine_report *ret_report)
{
    struct confine_report report;
    const char *step = "";
    confine_foresee(sandbox->landlock_abi_max, &report);
    if (strcmp(sandbox->level, "full") == 0 && report.level == CONFINE_SANITIZER)
        room_fail("[sandbox] level = full cannot be had: this build is for tests, with sanitizers");
    if (strcmp(sandbox->level, "full") == 0 && report.level != CONFINE_FULL)
        room_fail("[sandbox] level = full cannot be had: Landlock here has ABI %u, %d is needed to "
                  "restrict %s; with level = best it starts all the same",
                  report.landlock_abi, LANDLOCK_ABI_FULL,
                  landlock_missing((int)report.landlock_abi));
    int r = confine(table, &report, &step);
    if (r < 0)
        room_fail("cannot be locked in: %s: %s", step, strerror(-r));
    *ret_report = report;
}
