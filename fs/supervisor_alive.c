/*
 * Whether the processes are alive, not only there: each is asked now and then and must answer. One
 * that does not is replaced. kosekifs-mount says with its answer what it owes the kernel, and for
 * how long all its threads have been busy with the same requests; what the kernel waits for beyond
 * that, and does not become less, is owed by nobody, and a new kosekifs-mount may find it.
 *
 * systemd's watchdog is fed while every process that is to be ended does end: a process that hangs
 * in the kernel is systemd's business.
 */
#include "fs/supervisor_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/supervisor_notify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

enum { ALIVE_PERIODS = 4, ENDING_MS = 15000 };

static int64_t silence_max(const struct supervisor *supervisor, const struct child *child)
{
    const struct config_mount *config = &supervisor->task->inputs->config.mount;
    /* A worker does not listen while it verifies; kosekifs-mount looks after that. */
    return config->silence_max + (child->role == ROOM_VERIFY ? 2 * config->verify_timeout : 0);
}

static void ask(struct supervisor *supervisor, struct child *child, int64_t now_ms)
{
    struct aliveness *alive = &supervisor->alive[child - supervisor->rooms.list];
    if (child->state != CHILD_READY || child->room_fd < 0 || child->role == ROOM_SCHEMA) {
        alive->asked_ms = 0;
        return;
    }
    if (alive->asked_ms == 0 && now_ms >= alive->next_ms &&
        ipc_send(child->room_fd, ROOM_ALIVE, (uint64_t)child->pid, NULL, 0, NULL, 0) == 0) {
        alive->asked_ms = now_ms;
        alive->next_ms =
            now_ms + supervisor->task->inputs->config.mount.silence_max / ALIVE_PERIODS;
    }
}

static void replace_silent(struct supervisor *supervisor, struct child *child, const char *what)
{
    log_error("%s %s; it is replaced", child_name(child), what);
    supervisor_alert(supervisor, ALERT_CRITICAL, child_name(child),
                     "Look at the log; if it happens again, keep the state for analysis.",
                     "%s %s and was replaced", child_name(child), what);
    supervisor->alive[child - supervisor->rooms.list].asked_ms = 0;
    child_kill(child);
}

/* What the kernel waits for on our mount; -1 where /sys/fs/fuse/connections is not mounted. */
static long kernel_waiting(const struct supervisor *supervisor)
{
    char path[80], text[32] = "";
    const char *minor = strchr(supervisor->task->mountpoint->device, ':');
    snprintf(path, sizeof path, "/sys/fs/fuse/connections/%.16s/waiting", minor ? minor + 1 : "");
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return -1;
    return strtol(text, NULL, 10);
}

/* What the kernel waits for beyond what is owed has no owner. One new kosekifs-mount is tried. */
static bool requests_lost(struct supervisor *supervisor, const struct room_alive *said,
                          int64_t now_ms)
{
    struct session_watch *watch = &supervisor->watch;
    bool lost = kernel_waiting(supervisor) > (long)said->owed && said->answered == watch->answered;
    watch->answered = said->answered;
    if (!lost) {
        watch->lost_since_ms = watch->tried_ms = 0;
        return false;
    }
    if (watch->lost_since_ms == 0)
        watch->lost_since_ms = now_ms;
    if (watch->tried_ms > 0 ||
        now_ms - watch->lost_since_ms <= supervisor->task->inputs->config.mount.silence_max)
        return false;
    watch->tried_ms = now_ms;
    return true;
}

static void judge_mount(struct supervisor *supervisor, struct child *child,
                        const struct room_alive *said, int64_t now_ms)
{
    const struct config_mount *config = &supervisor->task->inputs->config.mount;
    int64_t patience_ms = config->silence_max + 2 * config->open_timeout;
    if (said->stuck_ms > config->silence_max)
        replace_silent(supervisor, child, "has all its threads busy with the same requests");
    else if ((int64_t)said->oldest_s * 1000 > patience_ms)
        replace_silent(supervisor, child, "keeps requests beyond their deadline");
    else if (requests_lost(supervisor, said, now_ms))
        replace_silent(supervisor, child, "has lost requests that programs wait for");
}

void supervisor_hear_alive(struct supervisor *supervisor, struct child *child)
{
    struct aliveness *alive = &supervisor->alive[child - supervisor->rooms.list];
    struct room_alive said;
    int64_t now_ms = clock_monotonic_ms();
    alive->asked_ms = 0;
    if (child->role == ROOM_MOUNT &&
        ipc_message_take(&supervisor->message, &said, sizeof said, 0) == 0)
        judge_mount(supervisor, child, &said, now_ms);
}

static void feed_watchdog(struct supervisor *supervisor, bool well, int64_t now_ms)
{
    if (supervisor->watchdog_ms == 0 || now_ms < supervisor->watchdog_next_ms)
        return;
    supervisor->watchdog_next_ms = now_ms + supervisor->watchdog_ms / 3;
    if (well)
        supervisor_notify("WATCHDOG=1");
}

void supervisor_begin_watch(struct supervisor *supervisor)
{
    const char *text = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (text && (!pid || strtol(pid, NULL, 10) == getpid()))
        supervisor->watchdog_ms = strtoll(text, NULL, 10) / 1000;
}

int64_t supervisor_watch(struct supervisor *supervisor, int64_t now_ms)
{
    struct rooms *rooms = &supervisor->rooms;
    bool well = true;
    int64_t next_ms = supervisor->watchdog_next_ms;
    if (supervisor->phase != PHASE_RUNNING || supervisor->task->attempt)
        return 0;
    for (unsigned i = 0; i < rooms->count; i++) {
        struct child *child = &rooms->list[i];
        struct aliveness *alive = &supervisor->alive[i];
        if (!child->condemned || child->pid <= 0)
            alive->condemned_ms = 0;
        else if (alive->condemned_ms == 0)
            alive->condemned_ms = now_ms;
        well = well && (alive->condemned_ms == 0 || now_ms - alive->condemned_ms < ENDING_MS);
        if (alive->asked_ms > 0 && child->state == CHILD_READY && child->room_fd >= 0 &&
            now_ms - alive->asked_ms > silence_max(supervisor, child))
            replace_silent(supervisor, child, "does not answer");
        ask(supervisor, child, now_ms);
        int64_t due_ms = alive->asked_ms > 0 ? alive->asked_ms + silence_max(supervisor, child) + 1
                                             : alive->next_ms;
        if (child->state == CHILD_READY && due_ms > 0 && (next_ms == 0 || due_ms < next_ms))
            next_ms = due_ms;
    }
    feed_watchdog(supervisor, well, now_ms);
    return next_ms;
}
