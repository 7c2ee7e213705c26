/* See fs/control_backup.h. */
#include "fs/control_backup.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "fs/chores.h"
#include "fs/control_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct backup {
    struct chore chore;
    struct control *control;
    struct mountfs *fs;
    uint64_t peer;
    struct caller caller;
    struct cache_backup settings;
    struct cache_backed_up done;
    int64_t began_ms;
};

static bool backup_stop(void *context)
{
    const struct backup *backup = context;
    return atomic_load(backup->chore.ending);
}

static struct json *backup_reply(const struct backup *backup, int error)
{
    if (error == -EBADMSG)
        return control_reply_error("the last backup is damaged or of another store: --full");
    if (error < 0)
        return control_reply_error("no backup was made: %s", strerror(-error));
    _cleanup_json_ struct json *reply = control_reply_ok();
    const struct cache_backed_up *done = &backup->done;
    if (!reply || json_set_integer(reply, "number", backup->settings.number) < 0 ||
        json_set_integer(reply, "certificates", (int64_t)done->certificates) < 0 ||
        json_set_integer(reply, "written", (int64_t)done->written) < 0 ||
        json_set_integer(reply, "damaged", (int64_t)done->damaged) < 0 ||
        json_set_integer(reply, "bytes", (int64_t)done->bytes) < 0 ||
        json_set_integer(reply, "milliseconds", clock_monotonic_ms() - backup->began_ms) < 0)
        return NULL;
    return steal_ptr(&reply);
}

static void record_end(struct backup *backup, int error)
{
    char certificates[24], number[16];
    snprintf(certificates, sizeof certificates, "%llu",
             (unsigned long long)backup->done.certificates);
    snprintf(number, sizeof number, "%u", backup->settings.number);
    const struct audit_event event = {
        .kind = AUDIT_COMMAND,
        .result = error ? AUDIT_FAILED : AUDIT_OK,
        .error = -error,
        .caller = &backup->caller,
        .reason = "backup ended",
        .detail = {{"certificates", certificates}, {"number", number}},
    };
    if (audit_write(backup->fs->audit, &event) < 0)
        log_warning("the end of a backup could not be recorded");
    if (error < 0 || backup->done.damaged > 0)
        alerts_raise(backup->fs->alerts, ALERT_CRITICAL, ALERT_STORE, "backup",
                     "Look at the backup's disk, or run kosekictl fsck.",
                     error < 0 ? "a backup failed" : "a backup leaves out damaged certificates");
}

static void backup_run(struct chore *chore)
{
    struct backup *backup = (struct backup *)chore;
    int error = cache_backup(backup->fs->cache, &backup->settings, &backup->done);
    record_end(backup, error);
    control_answer(backup->control, backup->peer, backup_reply(backup, error));
    cleanup_close(&backup->settings.fd);
    cleanup_close(&backup->settings.previous_fd);
    free(backup);
}

static bool is_regular(int fd, bool writable)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) == (writable ? O_RDWR : O_RDONLY) &&
           fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (!writable || status.st_size == 0);
}

struct json *control_backup(const struct control_call *call, bool *ret_later)
{
    int64_t number = 0;
    if (call->fs->ledger_fd < 0)
        return control_reply_error("without [backup] ledger nobody could restore a backup");
    if (!json_get_integer(call->request, "number", &number) || number <= 0 || number >= UINT32_MAX)
        return control_reply_error("the number of the backup is needed");
    if (!is_regular(call->fds[0], true) || (call->fds[1] >= 0 && !is_regular(call->fds[1], false)))
        return control_reply_error("an empty file open for reading and writing is needed");
    struct backup *backup = calloc(1, sizeof *backup);
    if (!backup)
        return NULL;
    *backup = (struct backup){
        .chore.run = backup_run,
        .control = call->control,
        .fs = call->fs,
        .peer = call->peer,
        .caller = *call->caller,
        .began_ms = clock_monotonic_ms(),
        .settings = {.fd = steal_fd(&call->fds[0]),
                     .previous_fd = steal_fd(&call->fds[1]),
                     .number = (uint32_t)number,
                     .now_s = clock_realtime_s(),
                     .context = backup,
                     .stop = backup_stop},
    };
    if (chores_start(call->fs->chores, &backup->chore) == 0) {
        *ret_later = true;
        return NULL;
    }
    cleanup_close(&backup->settings.fd);
    cleanup_close(&backup->settings.previous_fd);
    free(backup);
    return control_reply_error("other long work is under way; try again later");
}
