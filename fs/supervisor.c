/* See fs/supervisor.h. One thread, one poll; nothing in the loop waits for a child. */
#include "fs/supervisor_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/supervisor_daemon.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_notify.h"
#include "fs/survivors.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

enum {
    PROBE_MS = 10000,
    END_UNMOUNTED_MS = 2000, /* kosekifs-mount ends by itself when nothing is mounted any more */
    END_MOUNT_MS = 10000,    /* requests under way, last records, the store */
    END_OTHERS_MS = 3000,
};

void supervisor_end(struct supervisor *supervisor, int exit_code)
{
    if (!supervisor->ending)
        supervisor->exit_code = exit_code;
    supervisor->ending = true;
}

static int prepare_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* inherited "ignore" would hide how children end */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* True if a child may have ended. */
static bool take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    bool child_ended = false;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            child_ended = true;
            break;
        case SIGHUP:
            if (!supervisor->ending)
                supervisor_ask_reload(
                    supervisor, false,
                    (struct room_cause){.kind = ROOM_CAUSE_SIGNAL, .uid = info.ssi_uid});
            break;
        default:
            if (supervisor->phase != PHASE_RUNNING && !supervisor->ending)
                log_error("ended by a signal before the mount was ready");
            supervisor_end(supervisor, supervisor->phase == PHASE_RUNNING ? 0 : EXIT_FAILED);
            break;
        }
    }
    return child_ended;
}

/* Asks the mount from a process of its own, since whoever asks may hang. */
static void begin_probe(struct supervisor *supervisor)
{
    pid_t pid = fork();
    if (pid < 0) {
        log_error("cannot fork: %s", strerror(errno));
        supervisor_end(supervisor, EXIT_OSERR);
        return;
    }
    if (pid == 0) {
        struct statvfs status;
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        /* A hanging copy of a room's socket would hide from the room that we closed ours. */
        close_range(STDERR_FILENO + 1, ~0u, 0);
        _exit(statvfs(supervisor->task->mountpoint->path, &status) < 0);
    }
    supervisor->probe_pid = pid;
    supervisor->probe_deadline_ms = clock_monotonic_ms() + PROBE_MS;
    supervisor->phase = PHASE_PROBE;
}

/* kosekifs-mount opens store, trail and policy before anything is mounted. */
static void begin_mount_room(struct supervisor *supervisor)
{
    if (rooms_start(&supervisor->rooms, rooms_find(&supervisor->rooms, ROOM_MOUNT, 0)) < 0)
        supervisor_end(supervisor, EXIT_OSERR);
    supervisor->phase = PHASE_MOUNT;
}

static void begin_running(struct supervisor *supervisor)
{
    const struct supervisor_task *task = supervisor->task;
    supervisor->phase = PHASE_RUNNING;
    supervisor->lists_look_ms = clock_monotonic_ms();
    supervisor_send_sinks(supervisor);
    inventory_watch_begin(&supervisor->inventory, &task->inputs->config);
    log_info("certificates can be read in %s%s", task->mountpoint->path,
             task->mountpoint->allow_other
                 ? ""
                 : " by this user only (/etc/fuse.conf does not say user_allow_other)");
    supervisor_store_survivors(supervisor);
    supervisor_notify("READY=1\nSTATUS=Mounted on %s", task->mountpoint->path);
    if (task->ready_fd >= 0 && supervisor_daemon_ready(task->ready_fd, task->log_fd) < 0) {
        log_error("whoever started kosekifs is gone");
        supervisor_end(supervisor, EXIT_FAILED);
    }
}

static void advance(struct supervisor *supervisor)
{
    const struct child *mount = rooms_find(&supervisor->rooms, ROOM_MOUNT, 0);
    if (supervisor->ending)
        return;
    /* One that was rejected after its ready, or closed the channel, is about to end. */
    bool mount_ready = mount->state == CHILD_READY && mount->room_fd >= 0;
    if (supervisor->phase == PHASE_ROOMS && rooms_all_ready(&supervisor->rooms)) {
        begin_mount_room(supervisor);
    } else if (supervisor->phase == PHASE_MOUNT && mount_ready && supervisor->task->attempt) {
        supervisor_end(supervisor, 0);
    } else if (supervisor->phase == PHASE_MOUNT && mount_ready) {
        supervisor_mount(supervisor);
        if (!supervisor->ending)
            begin_probe(supervisor);
    } else if (supervisor->phase == PHASE_PROBE && supervisor->probe_pid == 0 && mount_ready) {
        begin_running(supervisor);
    }
}

static void on_child_deadline(struct supervisor *supervisor, struct child *child)
{
    child->deadline_ms = 0;
    if (child->state == CHILD_ABSENT) {
        if (rooms_start(&supervisor->rooms, child) < 0 && child->state == CHILD_ABSENT)
            rooms_schedule_restart(child, EXIT_FAILED << 8);
    } else {
        log_error("%s %s in time; it is ended", child_name(child),
                  child->room_fd < 0 ? "did not end" : "did not become ready");
        child_kill(child);
    }
}

static void keep_deadlines(struct supervisor *supervisor)
{
    supervisor_lists_tend(supervisor);
    int64_t now_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < supervisor->rooms.count; i++) {
        struct child *child = &supervisor->rooms.list[i];
        if (child->deadline_ms > 0 && child->deadline_ms <= now_ms)
            on_child_deadline(supervisor, child);
    }
    /* A reader of a silent mount cannot even be killed; it goes when the mount does. */
    if (supervisor->probe_pid > 0 && supervisor->probe_deadline_ms <= now_ms) {
        log_error("the mount on %s does not answer", supervisor->task->mountpoint->path);
        supervisor_end(supervisor, EXIT_FAILED);
    }
    supervisor_end_late_attempt(supervisor, now_ms);
    if (supervisor->trial_fd >= 0 && supervisor->trial_deadline_ms <= now_ms)
        child_kill(rooms_find(&supervisor->rooms, ROOM_VERIFY, supervisor->trial_worker));
}

static void take_earlier(int64_t *next_ms, int64_t deadline_ms)
{
    if (deadline_ms > 0 && (*next_ms == 0 || deadline_ms < *next_ms))
        *next_ms = deadline_ms;
}

/* For poll(2). */
static int next_timeout_ms(struct supervisor *supervisor)
{
    const struct supervisor_inputs *inputs = supervisor->task->inputs;
    int64_t next_ms = hook_tend(&supervisor->hook);
    take_earlier(&next_ms, supervisor_watch(supervisor, clock_monotonic_ms()));
    take_earlier(&next_ms, inventory_watch_tend(&supervisor->inventory, &inputs->config,
                                                inputs->config_path));
    for (unsigned i = 0; i < supervisor->rooms.count; i++)
        take_earlier(&next_ms, supervisor->rooms.list[i].deadline_ms);
    if (supervisor->probe_pid > 0)
        take_earlier(&next_ms, supervisor->probe_deadline_ms);
    if (supervisor->phase == PHASE_RUNNING)
        take_earlier(&next_ms, supervisor->lists_look_ms);
    if (supervisor->trial_fd >= 0)
        take_earlier(&next_ms, supervisor->trial_deadline_ms);
    if (supervisor->attempt.pid > 0)
        take_earlier(&next_ms, supervisor->attempt.deadline_ms);
    if (next_ms == 0)
        return -1;
    int64_t left_ms = next_ms - clock_monotonic_ms();
    /* A deadline that has passed waits for a killed process: not in a busy loop. */
    return left_ms < 10 ? 10 : left_ms > 60000 ? 60000 : (int)left_ms;
}

static void turn(struct supervisor *supervisor)
{
    struct rooms *rooms = &supervisor->rooms;
    struct pollfd set[2 + ROOMS_MAX] = {{.fd = supervisor->signal_fd, .events = POLLIN}};
    for (unsigned i = 0; i < rooms->count; i++)
        set[1 + i] = (struct pollfd){.fd = rooms->list[i].room_fd, .events = POLLIN};
    set[1 + rooms->count] = (struct pollfd){.fd = supervisor->attempt.output_fd, .events = POLLIN};
    if (poll(set, 2 + rooms->count, next_timeout_ms(supervisor)) < 0 && errno != EINTR) {
        log_error("poll: %s", strerror(errno));
        supervisor_end(supervisor, EXIT_OSERR);
        return;
    }
    for (unsigned i = 0; i < rooms->count; i++) {
        if (set[1 + i].revents != 0)
            supervisor_hear(supervisor, &rooms->list[i]);
    }
    supervisor_hear_attempt(supervisor);
    if (take_signals(supervisor))
        supervisor_collect(supervisor);
    keep_deadlines(supervisor);
    advance(supervisor);
}

static void start_rooms(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->rooms.count && !supervisor->ending; i++) {
        struct child *child = &supervisor->rooms.list[i];
        if (child->role != ROOM_MOUNT && rooms_start(&supervisor->rooms, child) < 0)
            supervisor_end(supervisor, EXIT_FAILED);
    }
}

/* Collects children `first` to `last`; true when none is left. */
static bool await_end(struct supervisor *supervisor, unsigned first, unsigned last, int64_t wait_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + wait_ms;
    for (;;) {
        bool left = false;
        for (unsigned i = first; i <= last; i++) {
            int status;
            struct child *child = &supervisor->rooms.list[i];
            if (child_reap(child, &status) && status != 0)
                log_warning("%s %s", child_name(child), child_status_text(status));
            left = left || child->pid > 0;
        }
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (!left || left_ms <= 0)
            return !left;
        struct pollfd signals = {.fd = supervisor->signal_fd, .events = POLLIN};
        if (poll(&signals, 1, (int)left_ms) > 0)
            take_signals(supervisor);
    }
}

static void close_rooms(struct supervisor *supervisor, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        cleanup_close(&supervisor->rooms.list[i].room_fd);
        supervisor->rooms.list[i].room_fd = -1;
    }
}

static void end_rooms(struct supervisor *supervisor, unsigned first, unsigned last, int64_t wait_ms)
{
    close_rooms(supervisor, first, last);
    if (await_end(supervisor, first, last, wait_ms))
        return;
    for (unsigned i = first; i <= last; i++) {
        if (supervisor->rooms.list[i].pid > 0)
            log_warning("%s did not end in time", child_name(&supervisor->rooms.list[i]));
        child_kill(&supervisor->rooms.list[i]);
    }
    if (!await_end(supervisor, first, last, END_OTHERS_MS))
        log_error("a process cannot be ended; it hangs in the kernel");
}

void supervisor_stop_rooms(struct supervisor *supervisor)
{
    unsigned mount = supervisor->rooms.count - 1;
    end_rooms(supervisor, mount, mount, END_MOUNT_MS);
    end_rooms(supervisor, 0, mount - 1, END_OTHERS_MS);
}

/* A supervisor that goes on starts all at once: each is introduced to whoever is there. */
static void resume_rooms(struct supervisor *supervisor)
{
    const struct supervisor_task *task = supervisor->task;
    supervisor->phase = PHASE_RUNNING;
    supervisor->lists_look_ms = clock_monotonic_ms();
    supervisor->fuse_fd = task->fuse_fd;
    supervisor->journal_fd = task->journal_fd;
    supervisor->mount_gone_ms = task->gone_ms;
    inventory_watch_begin(&supervisor->inventory, &task->inputs->config);
    for (unsigned i = 0; i < supervisor->rooms.count; i++)
        if (supervisor->rooms.list[i].role != ROOM_SCHEMA)
            supervisor->rooms.list[i].deadline_ms = clock_monotonic_ms();
    supervisor->record_fd = task->record_fd;
    if (supervisor->record_fd < 0 && supervisor_record(supervisor, 0) < 0)
        supervisor_end(supervisor, EXIT_OSERR);
    keep_deadlines(supervisor);
}

/* The mount first, so that no reader meets one whose neighbours are gone. */
static void end_all(struct supervisor *supervisor)
{
    unsigned mount = supervisor->rooms.count - 1;
    supervisor_notify("STOPPING=1\nSTATUS=Unmounting %s", supervisor->task->mountpoint->path);
    mountpoint_unmount(supervisor->task->mountpoint);
    survivors_unstore();
    if (supervisor->phase != PHASE_RUNNING ||
        !await_end(supervisor, mount, mount, END_UNMOUNTED_MS))
        end_rooms(supervisor, mount, mount, END_MOUNT_MS);
    /* With the last copies closed, the kernel answers whoever still waits. */
    cleanup_close(&supervisor->fuse_fd);
    cleanup_close(&supervisor->journal_fd);
    cleanup_close(&supervisor->record_fd);
    end_rooms(supervisor, 0, mount - 1, END_OTHERS_MS);
    if (supervisor->probe_pid > 0) {
        kill(supervisor->probe_pid, SIGKILL);
        waitpid(supervisor->probe_pid, NULL, 0);
    }
    if (supervisor->attempt.pid > 0) {
        kill(supervisor->attempt.pid, SIGTERM);
        waitpid(supervisor->attempt.pid, NULL, 0);
    }
    inventory_watch_end(&supervisor->inventory);
    hook_kill_all(&supervisor->hook);
    hook_tend(&supervisor->hook);
    cleanup_close(&supervisor->trial_fd);
}

int supervisor_run(const struct supervisor_task *task)
{
    static struct supervisor supervisor; /* holds a message of 60 KiB */
    supervisor = (struct supervisor){.task = task,
                                     .fuse_fd = -1,
                                     .journal_fd = -1,
                                     .record_fd = -1,
                                     .attempt.output_fd = -1,
                                     .trial_fd = -1,
                                     .hook.program = task->inputs->config.alerts.hook};
    rooms_init(&supervisor.rooms, task->inputs, task->log_fd);
    supervisor.rooms.attempt = task->attempt;
    supervisor.signal_fd = prepare_signals();
    if (supervisor.signal_fd < 0) {
        log_error("signals: %s", strerror(errno));
        return EXIT_OSERR;
    }
    supervisor_begin_watch(&supervisor);
    if (task->resumed)
        resume_rooms(&supervisor);
    else
        start_rooms(&supervisor);
    while (!supervisor.ending)
        turn(&supervisor);
    end_all(&supervisor);
    close(supervisor.signal_fd);
    return supervisor.exit_code;
}
