#include "fs/scanning.h"

#include "base/ipc.h"
#include "base/log.h"
#include "base/room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int ask_supervisor(void *context)
{
    (void)context;
    return ipc_send(ROOM_FD, ROOM_SCANNER, 0, NULL, 0, NULL, 0);
}

static void record(struct mountfs *fs, const struct certname *name, enum scan_result result,
                   const char *text)
{
    static const struct {
        enum audit_result result;
        const char *reason;
    } rows[] = {
        [SCAN_CLEAN] = {AUDIT_OK, "clean"},
        [SCAN_FOUND] = {AUDIT_FAILED, "found"},
        [SCAN_UNKNOWN] = {AUDIT_FAILED, "unknown"},
        [SCAN_UNSCANNED] = {AUDIT_FAILED, "unscanned"},
    };
    const struct audit_event event = {
        .kind = AUDIT_SCAN,
        .result = rows[result].result,
        .name = name->text,
        .reason = rows[result].reason,
        .text = text[0] ? text : NULL,
    };
    if (audit_write(fs->audit, &event) < 0)
        log_warning("a scan could not be recorded");
}

static void on_scanned(void *context, uint64_t id, const struct certname *name,
                       enum scan_result result, const char *text)
{
    struct mountfs *fs = context;
    enum provide_scan outcome = result == SCAN_FOUND     ? PROVIDE_MALWARE
                                : result == SCAN_UNKNOWN ? PROVIDE_UNSCANNED
                                                         : PROVIDE_CLEAN;
    record(fs, name, result, text);
    if (result == SCAN_FOUND)
        alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_MALWARE, "malware",
                     "Its name is in the audit trail; tell the Minister's office.",
                     "a certificate was refused: %s", text);
    else if (result != SCAN_CLEAN)
        alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_MALWARE, "clamd",
                     result == SCAN_UNKNOWN ? "Nothing new is stored until clamd answers again."
                                            : "What was let pass is scanned when clamd is back.",
                     "no scan: %s", text);
    provide_scanned(fs->provide, id, outcome, text);
}

static bool on_again(void *context, const struct certname *name)
{
    struct mountfs *fs = context;
    return seals_cover_everyone(fs->seals, name) ||
           provide_rescan(fs->provide, name, NULL) != ENOENT;
}

int scanning_start(struct mountfs *fs, const struct config_scan *config)
{
    const struct scanner_listener listener = {fs, ask_supervisor, on_scanned, on_again};
    if (config->clamd[0] == '\0')
        return 0;
    return scanner_new(config, fs->state_fd, &listener, &fs->scanner);
}

int scanning_scan(void *context, uint64_t id, const struct certname *name, int memfd)
{
    struct mountfs *fs = context;
    if (!fs->scanner)
        return 0;
    int copy = fcntl(memfd, F_DUPFD_CLOEXEC, 0);
    int error = copy < 0 ? -errno : scanner_submit(fs->scanner, id, name, copy);
    return error < 0 ? error : 1;
}
