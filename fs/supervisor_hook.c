/* See fs/supervisor_hook.h. */
#include "fs/supervisor_hook.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { VARIABLE_SIZE = 320, VARIABLE_COUNT = 11 };

struct environment {
    char text[VARIABLE_COUNT][VARIABLE_SIZE];
    char *list[VARIABLE_COUNT + 1];
    size_t count;
};

_printf_(2, 3) static void add(struct environment *environment, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = environment->text[environment->count];
    vsnprintf(text, VARIABLE_SIZE, format, arguments);
    va_end(arguments);
    environment->list[environment->count++] = text;
}

static void describe(const struct alert *alert, struct environment *environment)
{
    char time[RFC3339_SIZE];
    rfc3339_format(alert->last_s, time);
    add(environment, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    add(environment, "LANG=C.UTF-8");
    add(environment, "KOSEKIFS_ALERT_ID=%" PRIu64, alert->id);
    add(environment, "KOSEKIFS_ALERT_SEVERITY=%s", alert_severity_name(alert->severity));
    add(environment, "KOSEKIFS_ALERT_KIND=%s", alert_kind_name(alert->kind));
    add(environment, "KOSEKIFS_ALERT_SUBJECT=%s", alert->subject);
    add(environment, "KOSEKIFS_ALERT_TEXT=%s", alert->text);
    add(environment, "KOSEKIFS_ALERT_ACTION=%s", alert->action);
    add(environment, "KOSEKIFS_ALERT_COUNT=%" PRIu32, alert->count);
    add(environment, "KOSEKIFS_ALERT_TIME=%s", time);
}

/* It is told of trouble and may tell others; nothing in that takes a right of ours. No core dump
 * and no descriptor is inherited either. */
static bool give_up_rights(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
           syscall(SYS_capset, &header, none) == 0;
}

_Noreturn static void become_hook(const char *program, const struct alert *alert)
{
    static struct environment environment;
    sigset_t none;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    describe(alert, &environment);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || setsid() < 0 || chdir("/") < 0 ||
        close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0 || !give_up_rights())
        _exit(126);
    char *const arguments[] = {(char *)(uintptr_t)program, NULL};
    execve(program, arguments, environment.list);
    _exit(127);
}

void hook_run(struct hook *hook, const struct alert *alert)
{
    if (*hook->program == '\0')
        return;
    for (size_t i = 0; i < HOOK_RUNNING_MAX; i++) {
        if (hook->running[i].pid > 0)
            continue;
        pid_t pid = fork();
        if (pid == 0)
            become_hook(hook->program, alert);
        if (pid < 0)
            log_warning("alert %" PRIu64 ": hook not started: %s", alert->id, strerror(errno));
        else
            hook->running[i].pid = pid;
        hook->running[i].deadline_ms = clock_monotonic_ms() + HOOK_TIME_MS;
        return;
    }
    log_warning("alert %" PRIu64 ": hook not started, %d are still running", alert->id,
                HOOK_RUNNING_MAX);
}

int64_t hook_tend(struct hook *hook)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t next_ms = 0;
    for (size_t i = 0; i < HOOK_RUNNING_MAX; i++) {
        int status = 0;
        pid_t pid = hook->running[i].pid;
        if (pid > 0 && waitpid(pid, &status, WNOHANG) != 0) {
            hook->running[i].pid = 0;
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                log_warning("the alert hook %s failed", hook->program);
        } else if (pid > 0 && hook->running[i].deadline_ms <= now_ms) {
            kill(-pid, SIGKILL); /* its session's group: what it started goes with it */
            hook->running[i].deadline_ms = now_ms + HOOK_TIME_MS;
        }
        if (hook->running[i].pid > 0 && (next_ms == 0 || hook->running[i].deadline_ms < next_ms))
            next_ms = hook->running[i].deadline_ms;
    }
    return next_ms;
}

void hook_kill_all(struct hook *hook)
{
    for (size_t i = 0; i < HOOK_RUNNING_MAX; i++) {
        if (hook->running[i].pid > 0)
            kill(-hook->running[i].pid, SIGKILL);
    }
}
