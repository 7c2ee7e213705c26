/*
 * Reload and upgrade. What stands on the disk now is tried first, by another process that reads it,
 * starts every program of it without mounting, and says whether it all works; so a mistake in the
 * configuration or a broken program leaves everything as it is, with the reason told. If it works,
 * and programs or configuration are others than those that run, the processes end, kosekifs
 * executes itself anew and starts them again; programs that read wait in the kernel meanwhile. If
 * only trust, schemas or the access policy may have changed, the processes are told of these
 * (supervisor_reload.c).
 */
#include "fs/supervisor_private.h"

#include "base/clock.h"
#include "base/bytes.h"
#include "base/log.h"
#include "fs/generation.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_notify.h"
#include "fs/survivors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { ATTEMPT_MS = 60000, ARGUMENTS_MAX = 64 };

static struct survivors survivors_of(const struct supervisor *supervisor)
{
    const struct supervisor_inputs *inputs = supervisor->task->inputs;
    return (struct survivors){.fds = {
                                  [SURVIVOR_RECORD] = supervisor->record_fd,
                                  [SURVIVOR_FUSE] = supervisor->fuse_fd,
                                  [SURVIVOR_JOURNAL] = supervisor->journal_fd,
                                  [SURVIVOR_OPEN_FILES] = inputs->open_files_fd,
                                  [SURVIVOR_CONTROL] = inputs->control.fd,
                              }};
}

int supervisor_record(struct supervisor *supervisor, int64_t gone_ms)
{
    const struct supervisor_task *task = supervisor->task;
    int fd = -1;
    int r = survivors_record(task->argument, task->mountpoint, task->inputs, task->generation,
                             gone_ms, &fd);
    if (r < 0) {
        log_error("no record for a next kosekifs: %s", strerror(-r));
        return r;
    }
    cleanup_close(&supervisor->record_fd);
    supervisor->record_fd = fd;
    supervisor_notify("FDSTOREREMOVE=1\nFDNAME=record"); /* an earlier one would stay beside it */
    return 0;
}

void supervisor_store_survivors(struct supervisor *supervisor)
{
    const struct survivors survivors = survivors_of(supervisor);
    survivors_store(&survivors);
}

/* --- those who asked -------------------------------------------------------------------------- */

static void answer_askers(struct supervisor *supervisor, int error, const char *text)
{
    struct child *mount = rooms_find(&supervisor->rooms, ROOM_MOUNT, 0);
    struct room_reloaded reloaded = {.error = error, .cause = supervisor->cause};
    snprintf(reloaded.text, sizeof reloaded.text, "%s", text);
    rooms_send_plain(mount, ROOM_RELOADED, &reloaded, sizeof reloaded);
    for (unsigned i = 0; i < supervisor->asker_count; i++)
        if (mount->room_fd >= 0 && ipc_send(mount->room_fd, ROOM_RELOADED, supervisor->askers[i],
                                            &reloaded, sizeof reloaded, NULL, 0) < 0)
            log_debug("nobody hears how the reload went");
    supervisor->asker_count = 0;
}

void supervisor_reload_ended(struct supervisor *supervisor, int error, const char *text)
{
    answer_askers(supervisor, error, text);
    supervisor_notify("READY=1\nSTATUS=Mounted on %s%s%.200s", supervisor->task->mountpoint->path,
                      error ? "; the last reload was refused: " : "", error ? text : "");
    if (!supervisor->reload_again)
        return;
    supervisor->reload_again = false;
    supervisor_ask_reload(supervisor, supervisor->reload_forced, supervisor->cause_again);
}

/* --- the attempt ------------------------------------------------------------------------------ */

_Noreturn static void run_attempt(const struct supervisor *supervisor, int output)
{
    const struct supervisor_origin *origin = &supervisor->task->origin;
    const struct survivors survivors = survivors_of(supervisor);
    char *arguments[ARGUMENTS_MAX + 2];
    char attempt[] = "--try";
    sigset_t none;
    int count = 0;
    while (count < ARGUMENTS_MAX && origin->arguments[count]) {
        arguments[count] = origin->arguments[count];
        count++;
    }
    /* Options come before operands that may follow a "--". */
    memmove(arguments + 2, arguments + 1, (size_t)(count - 1) * sizeof *arguments);
    arguments[1] = attempt;
    arguments[count + 1] = NULL;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("JOURNAL_STREAM");
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && dup2(output, STDERR_FILENO) >= 0) {
        int r = survivors_exec(&survivors, origin->program, arguments, origin->directory_fd);
        log_error("%s: %s", origin->program, strerror(-r));
    }
    _exit(EXIT_FAILED);
}

static int begin_attempt(struct supervisor *supervisor)
{
    struct attempt *attempt = &supervisor->attempt;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        run_attempt(supervisor, ends[1]);
    int r = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (r < 0) {
        close(ends[0]);
        return r;
    }
    attempt->pid = pid;
    attempt->output_fd = ends[0];
    attempt->size = 0;
    attempt->deadline_ms = clock_monotonic_ms() + ATTEMPT_MS;
    return 0;
}

void supervisor_ask_reload(struct supervisor *supervisor, bool forced, struct room_cause cause)
{
    if (supervisor->phase != PHASE_RUNNING) {
        log_warning("a request to reload before the mount was ready is passed over");
        supervisor->asker_count = 0;
        return;
    }
    if (supervisor->attempt.pid > 0 || supervisor->trial_fd >= 0) {
        supervisor->reload_again = true;
        supervisor->cause_again = cause;
        supervisor->reload_forced = supervisor->reload_forced || forced;
        return;
    }
    supervisor->reload_forced = forced;
    supervisor->cause = cause;
    supervisor_notify("RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=Reading the configuration",
                      clock_monotonic_ms() * 1000);
    int r = begin_attempt(supervisor);
    if (r < 0) {
        log_error("nothing was read again: %s", strerror(-r));
        supervisor_reload_ended(supervisor, r, strerror(-r));
    }
}

void supervisor_notice_programs(struct supervisor *supervisor)
{
    const struct supervisor_task *task = supervisor->task;
    uint8_t generation[SHA256_SIZE];
    if (supervisor->attempt.pid > 0 ||
        generation_of(task->inputs, task->origin.program, generation) < 0 ||
        memory_equal(generation, task->generation, SHA256_SIZE))
        return;
    log_info("the programs on the disk are others than those that run");
    supervisor_ask_reload(supervisor, true, (struct room_cause){.kind = ROOM_CAUSE_PROGRAMS});
}

void supervisor_hear_attempt(struct supervisor *supervisor)
{
    struct attempt *attempt = &supervisor->attempt;
    while (attempt->output_fd >= 0) {
        char rest[512];
        bool full = attempt->size == sizeof attempt->text - 1;
        ssize_t size = full ? read(attempt->output_fd, rest, sizeof rest)
                            : read(attempt->output_fd, attempt->text + attempt->size,
                                   sizeof attempt->text - 1 - attempt->size);
        if (size < 0)
            return;
        if (size == 0) {
            cleanup_close(&attempt->output_fd);
            attempt->output_fd = -1;
        } else if (!full) {
            attempt->size += (size_t)size;
        }
    }
}

/* Its messages, each line as one of ours. */
static void tell_output(struct attempt *attempt)
{
    char *rest = attempt->text;
    attempt->text[attempt->size] = '\0';
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line)
            log_info("tried: %s", line);
}

static void refuse(struct supervisor *supervisor, const char *text)
{
    log_error("nothing was changed: what stands on the disk does not work");
    supervisor_alert(supervisor, ALERT_WARNING, "reload",
                     "kosekictl reload says what is wrong; mend it and reload again.",
                     "a reload was refused, the old configuration stays");
    supervisor_reload_ended(supervisor, -EINVAL, text);
}

void supervisor_collect_attempt(struct supervisor *supervisor)
{
    struct attempt *attempt = &supervisor->attempt;
    int status = 0;
    if (attempt->pid <= 0 || waitpid(attempt->pid, &status, WNOHANG) == 0)
        return;
    supervisor_hear_attempt(supervisor);
    cleanup_close(&attempt->output_fd); /* a process it left may hold the other end */
    attempt->output_fd = -1;
    attempt->pid = 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
    if (code != 0 && code != EXIT_SAME) {
        char text[sizeof attempt->text];
        attempt->text[attempt->size] = '\0';
        memcpy(text, attempt->text, sizeof text);
        tell_output(attempt);
        refuse(supervisor, *text ? text : "the new kosekifs ended without a word");
    } else if (code == EXIT_SAME && !supervisor->reload_forced) {
        supervisor_reload(supervisor);
    } else {
        supervisor_replace(supervisor);
    }
}

void supervisor_end_late_attempt(struct supervisor *supervisor, int64_t now_ms)
{
    struct attempt *attempt = &supervisor->attempt;
    if (attempt->pid <= 0 || attempt->deadline_ms > now_ms)
        return;
    log_error("the attempt to start what stands on the disk takes too long");
    kill(attempt->pid, SIGKILL);
    attempt->deadline_ms = now_ms + ATTEMPT_MS;
}

/* --- the replacement -------------------------------------------------------------------------- */

void supervisor_replace(struct supervisor *supervisor)
{
    const struct supervisor_origin *origin = &supervisor->task->origin;
    log_info("all processes are replaced");
    answer_askers(supervisor, 0, "all processes are replaced");
    supervisor->mount_gone_ms = clock_monotonic_ms();
    supervisor_stop_rooms(supervisor);
    int r = supervisor_record(supervisor, supervisor->mount_gone_ms);
    if (r == 0) {
        const struct survivors survivors = survivors_of(supervisor);
        r = survivors_exec(&survivors, origin->program, origin->arguments, origin->directory_fd);
    }
    /* Descriptors may have been overwritten: only systemd, or nobody, can go on from here. */
    log_error("%s cannot be executed: %s", origin->program, strerror(-r));
    supervisor_end(supervisor, EXIT_OSERR);
}
