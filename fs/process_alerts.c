/* See fs/process_alerts.h. Alerts name no certificate: the record of the verdict does. */
#include "fs/process_alerts.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static const char keep[] =
    "Look at the log and the audit trail; keep the certificate that was being worked on for "
    "analysis.";

void process_alerts_ended(struct alerts *alerts, const struct room_ended *ended)
{
    const char *role = room_role_name((enum room_role)ended->peer.role);
    int status = ended->status;
    if (ended->retired)
        return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        alerts_raise(alerts, ALERT_CRITICAL, ALERT_PROCESS, role, keep,
                     "process %s was ended because it tried what its sandbox forbids; it may have "
                     "been taken over",
                     role);
    else if (WIFSIGNALED(status))
        alerts_raise(alerts, ALERT_WARNING, ALERT_PROCESS, role, keep,
                     "process %s was ended by signal %d (%s) and is replaced", role,
                     WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
    else
        alerts_raise(alerts, ALERT_WARNING, ALERT_PROCESS, role, keep,
                     "process %s ended with status %d and is replaced", role, WEXITSTATUS(status));
}

void process_alerts_misbehaved(struct alerts *alerts, enum room_role role, const char *what)
{
    alerts_raise(alerts, ALERT_CRITICAL, ALERT_PROCESS, room_role_name(role), keep,
                 "process %s: %s", room_role_name(role), what);
}

void process_alerts_undecidable(struct alerts *alerts, const char *reason)
{
    alerts_raise(alerts, ALERT_CRITICAL, ALERT_VERIFICATION, "verifying processes",
                 "Keep the certificate for analysis; its record is in the audit trail. kosekictl "
                 "fetch --again tries once more.",
                 "A certificate cannot be verified, in two processes: %s", reason);
}
