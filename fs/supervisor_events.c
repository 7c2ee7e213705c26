/*
 * What rooms say, and how they end. Rooms that read hostile bytes may have been taken over: a
 * message is obeyed only from the role that may send it, in the state in which it makes sense, with
 * exactly the payload it has; anything else ends the sender.
 */
#include "fs/supervisor_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/supervisor_clamd.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_processes.h"
#include "fs/supervisor_schema.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

enum {
    MESSAGES_PER_ROUND = 32, /* then the others get their turn */
    CLOSED_MS = 5000,        /* from closing ROOM_FD to the end */
};

/* Nothing more is heard from it. */
static void reject(struct child *child, const char *what)
{
    log_error("%s sent %s; it is ended", child_name(child), what);
    child_kill(child);
    cleanup_close(&child->room_fd);
    child->room_fd = -1;
}

static void on_ready(struct supervisor *supervisor, struct child *child)
{
    struct confine_report report;
    if (child->state == CHILD_STARTED) {
        if (ipc_message_take(&supervisor->message, &report, sizeof report, 0) < 0 ||
            !confine_report_valid(&report)) {
            reject(child, "a malformed ready");
            return;
        }
        child->report = report;
        rooms_set_ready(&supervisor->rooms, child);
        log_debug("%s is ready", child_name(child));
        if (child->role == ROOM_MOUNT && supervisor->phase == PHASE_RUNNING)
            supervisor_hand_over(supervisor);
    } else if (child->role == ROOM_VERIFY && supervisor->trial_fd >= 0 &&
               child->index == supervisor->trial_worker) {
        supervisor_trial_accepted(supervisor);
    } else if (child->role != ROOM_VERIFY) {
        reject(child, "ready twice");
    }
}

static void on_failed(struct supervisor *supervisor, struct child *child)
{
    char text[ROOM_TEXT_MAX + 1];
    size_t size =
        supervisor->message.size < ROOM_TEXT_MAX ? supervisor->message.size : ROOM_TEXT_MAX;
    memcpy(text, supervisor->message.payload, size);
    text[size] = '\0';
    if (child->state == CHILD_STARTED) {
        log_error("%s cannot work: %s", child_name(child), text);
        child->told = true;
    } else if (child->role == ROOM_VERIFY && supervisor->trial_fd >= 0 &&
               child->index == supervisor->trial_worker) {
        supervisor_trial_failed(supervisor, text);
    } else if (child->role == ROOM_VERIFY) {
        /* What another worker took is refused by this one: a new life reads it from the start. */
        log_error("%s did not take the trust bundle: %s", child_name(child), text);
        child_kill(child);
    } else {
        reject(child, "a failure while it worked");
    }
}

static bool may_kill(const struct child *child, const struct room_peer *which)
{
    if (child->role == ROOM_VERIFY)
        return which->role == ROOM_SCHEMA && which->index == child->index;
    return child->role == ROOM_MOUNT && which->role < ROOM_ROLE_COUNT && which->role != ROOM_MOUNT;
}

static void on_kill(struct supervisor *supervisor, struct child *child)
{
    struct room_peer which;
    struct child *target = NULL;
    if (ipc_message_take(&supervisor->message, &which, sizeof which, 0) == 0 &&
        may_kill(child, &which))
        target = rooms_find(&supervisor->rooms, (enum room_role)which.role, which.index);
    if (!target)
        reject(child, "a request to end what it may not");
    else
        child_kill(target);
}

static void on_retire(struct supervisor *supervisor, struct child *child)
{
    struct room_peer which;
    struct child *worker = NULL;
    if (child->role == ROOM_MOUNT &&
        ipc_message_take(&supervisor->message, &which, sizeof which, 0) == 0 &&
        which.role == ROOM_VERIFY)
        worker = rooms_find(&supervisor->rooms, ROOM_VERIFY, which.index);
    if (!worker)
        reject(child, "a request to replace what it may not");
    else
        rooms_retire(worker, supervisor->trial_fd >= 0 && supervisor->trial_worker == which.index);
}

static void on_alert(struct supervisor *supervisor, struct child *child)
{
    struct alert_message alert;
    if (child->role != ROOM_MOUNT ||
        ipc_message_take(&supervisor->message, &alert, sizeof alert, 0) < 0 ||
        !alert_message_valid(&alert))
        reject(child, "a malformed alert");
    else
        hook_run(&supervisor->hook, &alert.alert);
}

static void on_reload(struct supervisor *supervisor, struct child *child)
{
    struct room_reload reload;
    if (child->role != ROOM_MOUNT ||
        ipc_message_take(&supervisor->message, &reload, sizeof reload, 0) < 0) {
        reject(child, "a request to reload that it may not make");
        return;
    }
    if (supervisor->asker_count < ASKERS_MAX)
        supervisor->askers[supervisor->asker_count++] = supervisor->message.id;
    supervisor_ask_reload(supervisor, reload.upgrade != 0,
                          (struct room_cause){.kind = ROOM_CAUSE_COMMAND, .uid = reload.uid});
}

static void on_scanner(struct supervisor *supervisor, struct child *child)
{
    const char *path = supervisor->task->inputs->config.scan.clamd;
    if (child->role != ROOM_MOUNT || supervisor->message.size != 0 ||
        supervisor->message.fd_count != 0 || *path == '\0') {
        reject(child, "a request for a connection that it may not have");
        return;
    }
    _cleanup_close_ int fd = supervisor_clamd_connect(path);
    if (fd < 0)
        log_warning("clamd at %s: %s", path, strerror(-fd));
    rooms_send(child, ROOM_SCANNER, NULL, 0, fd);
}

static void on_message(struct supervisor *supervisor, struct child *child)
{
    switch (supervisor->message.type) {
    case ROOM_READY:
        on_ready(supervisor, child);
        break;
    case ROOM_FAILED:
        on_failed(supervisor, child);
        break;
    case ROOM_KILL:
        on_kill(supervisor, child);
        break;
    case ROOM_ALIVE:
        supervisor_hear_alive(supervisor, child);
        break;
    case ROOM_RETIRE:
        on_retire(supervisor, child);
        break;
    case ROOM_RELOAD:
        on_reload(supervisor, child);
        break;
    case ROOM_SCANNER:
        on_scanner(supervisor, child);
        break;
    case ROOM_ALERT:
        on_alert(supervisor, child);
        break;
    default:
        reject(child, "a message that nobody knows");
        break;
    }
}

void supervisor_hear(struct supervisor *supervisor, struct child *child)
{
    for (int i = 0; i < MESSAGES_PER_ROUND && child->room_fd >= 0; i++) {
        int r = ipc_receive(child->room_fd, &supervisor->message);
        if (r == -EAGAIN)
            return;
        if (r == -EBADMSG) {
            reject(child, "a packet that is no message");
        } else if (r != 0) {
            /* It is ending, or should be. */
            cleanup_close(&child->room_fd);
            child->room_fd = -1;
            child->deadline_ms = clock_monotonic_ms() + CLOSED_MS;
        } else {
            on_message(supervisor, child);
            ipc_message_done(&supervisor->message);
        }
    }
}

static void on_schema_ended(struct supervisor *supervisor, struct child *child, int status)
{
    rooms_tell_ended(&supervisor->rooms, child, status);
    if (!supervisor->rooms.schema_in_use)
        return;
    int64_t delay_ms = rooms_schedule_restart(child, status);
    if (!child->retired)
        log_error("%s %s; it is replaced in %" PRId64 " ms", child_name(child),
                  child_status_text(status), delay_ms);
}

static bool is_final(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == ROOM_EXIT_FINAL;
}

static void on_ended(struct supervisor *supervisor, struct child *child, int status)
{
    if (child->role == ROOM_SCHEMA) {
        on_schema_ended(supervisor, child, status);
        return;
    }
    if (supervisor->phase != PHASE_RUNNING) {
        if (!child->told)
            log_error("%s %s before the mount was ready", child_name(child),
                      child_status_text(status));
        supervisor_end(supervisor, is_final(status) ? EXIT_PIN : EXIT_FAILED);
        return;
    }
    supervisor_notice_programs(supervisor);
    if (child->role == ROOM_MOUNT) {
        supervisor_mount_ended(supervisor, status);
        return;
    }
    rooms_tell_ended(&supervisor->rooms, child, status);
    rooms_tell_processes(&supervisor->rooms);
    if (is_final(status)) {
        log_error("%s is not started again: see its last message, then start kosekifs anew",
                  child_name(child));
        return;
    }
    int64_t delay_ms = rooms_schedule_restart(child, status);
    if (!child->retired)
        log_error("%s %s; it is replaced in %" PRId64 " ms", child_name(child),
                  child_status_text(status), delay_ms);
    if (child->role == ROOM_VERIFY)
        rooms_schema_end_for(&supervisor->rooms, child);
    if (child->retired) /* a document that did not pass may have been in both */
        rooms_retire(rooms_find(&supervisor->rooms, ROOM_SCHEMA, child->index), false);
    if (child->role == ROOM_VERIFY && supervisor->trial_fd >= 0 &&
        child->index == supervisor->trial_worker)
        supervisor_trial_failed(supervisor, "the worker that tried the new files ended");
}

static void collect_probe(struct supervisor *supervisor)
{
    int status = 0;
    if (supervisor->probe_pid <= 0 || waitpid(supervisor->probe_pid, &status, WNOHANG) == 0)
        return;
    supervisor->probe_pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return; /* the main loop goes on to RUNNING */
    log_error("the mount on %s answers with an error", supervisor->task->mountpoint->path);
    supervisor_end(supervisor, EXIT_FAILED);
}

void supervisor_collect(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->rooms.count && !supervisor->ending; i++) {
        struct child *child = &supervisor->rooms.list[i];
        int status;
        /* Its last words came before its end: they are heard first. */
        supervisor_hear(supervisor, child);
        if (child_reap(child, &status))
            on_ended(supervisor, child, status);
    }
    collect_probe(supervisor);
    if (!supervisor->ending)
        supervisor_collect_attempt(supervisor);
}
