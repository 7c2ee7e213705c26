/*
 * The mount and kosekifs-mount, which may be replaced under it: the supervisor keeps the connection
 * to the kernel and the request journal, and gives both to each kosekifs-mount that is ready. What
 * programs ask meanwhile waits in the kernel.
 */
#include "fs/supervisor_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/journal.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_notify.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>

/* How often in a row kosekifs-mount may end by its own fault. A request that is the cause is given
 * up after half of them (JOURNAL_TRIES_MAX). */
enum { MOUNT_FAULTS_MAX = 2 * JOURNAL_TRIES_MAX };

static struct child *mount_room(struct supervisor *supervisor)
{
    return rooms_find(&supervisor->rooms, ROOM_MOUNT, 0);
}

void supervisor_mount(struct supervisor *supervisor)
{
    const struct supervisor_task *task = supervisor->task;
    int r = journal_make(&supervisor->journal_fd);
    if (r < 0) {
        log_error("no request journal: %s", strerror(-r));
        supervisor_end(supervisor, EXIT_OSERR);
        return;
    }
    r = mountpoint_mount(task->mountpoint, task->source, &supervisor->fuse_fd);
    if (r < 0)
        supervisor_end(supervisor, r == -EPERM || r == -EACCES ? EXIT_NOPERM : EXIT_OSERR);
    else if (supervisor_record(supervisor, 0) < 0)
        supervisor_end(supervisor, EXIT_OSERR);
    else
        supervisor_hand_over(supervisor);
}

void supervisor_hand_over(struct supervisor *supervisor)
{
    struct child *child = mount_room(supervisor);
    const struct room_mounted mounted = {.fault = child->faults > 0,
                                         .killed = supervisor->mount_killed};
    const int fds[] = {supervisor->fuse_fd, supervisor->journal_fd};
    rooms_send_mounted(child, &mounted, fds);
    supervisor->mount_killed = false;
    if (supervisor->phase != PHASE_RUNNING)
        return;
    supervisor_send_sinks(supervisor);
    supervisor_store_survivors(supervisor);
    supervisor_notify("READY=1\nSTATUS=Mounted on %s", supervisor->task->mountpoint->path);
    if (supervisor->mount_gone_ms > 0)
        log_info("kosekifs-mount goes on after %" PRId64 " ms",
                 clock_monotonic_ms() - supervisor->mount_gone_ms);
    else
        log_info("certificates can be read in %s again", supervisor->task->mountpoint->path);
    supervisor->mount_gone_ms = 0;
}

/* True if the kernel has ended the connection: unmounted, or aborted by somebody. */
static bool is_disconnected(const struct supervisor *supervisor)
{
    struct pollfd connection = {.fd = supervisor->fuse_fd};
    return poll(&connection, 1, 0) > 0 && (connection.revents & POLLERR) != 0;
}

void supervisor_alert(struct supervisor *supervisor, enum alert_severity severity,
                      const char *subject, const char *action, const char *format, ...)
{
    struct alert alert = {.severity = (uint8_t)severity,
                          .kind = ALERT_PROCESS,
                          .count = 1,
                          .first_s = clock_realtime_s(),
                          .last_s = clock_realtime_s()};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(alert.text, sizeof alert.text, format, arguments);
    va_end(arguments);
    snprintf(alert.subject, sizeof alert.subject, "%s", subject);
    snprintf(alert.action, sizeof alert.action, "%s", action);
    hook_run(&supervisor->hook, &alert);
}

void supervisor_mount_ended(struct supervisor *supervisor, int status)
{
    struct child *child = mount_room(supervisor);
    if (!mountpoint_is_mounted(supervisor->task->mountpoint)) {
        log_info("%s was unmounted", supervisor->task->mountpoint->path);
        supervisor_end(supervisor, 0);
        return;
    }
    if (is_disconnected(supervisor)) {
        log_error("the connection to the kernel was aborted; unmounting, certificates cannot be "
                  "read until kosekifs is started again");
        supervisor_end(supervisor, EXIT_FAILED);
        return;
    }
    int64_t delay_ms = rooms_schedule_restart(child, status);
    if (supervisor->mount_gone_ms == 0)
        supervisor->mount_gone_ms = clock_monotonic_ms();
    supervisor->mount_killed = true;
    supervisor->asker_count = 0; /* they were its peers */
    if (child->faults >= MOUNT_FAULTS_MAX) {
        log_error("kosekifs-mount %s, %u times in a row; unmounting, certificates cannot be read "
                  "until kosekifs is started again",
                  child_status_text(status), child->faults);
        supervisor_alert(supervisor, ALERT_CRITICAL, "mount",
                         "Look at the log, mend the cause and start kosekifs again.",
                         "kosekifs-mount %s, %u times in a row; certificates cannot be read",
                         child_status_text(status), child->faults);
        supervisor_end(supervisor, EXIT_CRASHED);
        return;
    }
    log_error("kosekifs-mount %s; it is replaced in %" PRId64 " ms, programs wait",
              child_status_text(status), delay_ms);
}
