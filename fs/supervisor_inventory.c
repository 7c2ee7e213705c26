#include "fs/supervisor_inventory.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/supervisor_exit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef KOSEKIFS_BINDIR
#error "KOSEKIFS_BINDIR is set by the build"
#endif

/* Beside kosekifs, as in the build directory, else where it is installed. */
static bool find_program(char out[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size > 0) {
        self[size] = '\0';
        *strrchr(self, '/') = '\0';
        if (snprintf(out, PATH_MAX, "%s/kosekictl", self) < PATH_MAX && access(out, X_OK) == 0)
            return true;
    }
    snprintf(out, PATH_MAX, "%s/kosekictl", KOSEKIFS_BINDIR);
    return access(out, X_OK) == 0;
}

_Noreturn static void become_check(const char *program, const struct config *config,
                                   const char *config_path, bool report)
{
    const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL};
    const char *const words[] = {
        "kosekictl", "--socket", config->mount.control_socket,      "inventory", "--config",
        config_path, "check",    report ? "--report" : "--offline", NULL};
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    /* What differs is told by the daemon's alert, or by us; here it goes to the log. */
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
        setsid() < 0 || close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        _exit(126);
    execve(program, (char *const *)(uintptr_t)words, (char *const *)(uintptr_t)environment);
    _exit(127);
}

static pid_t start_check(const struct config *config, const char *config_path, bool report)
{
    char program[PATH_MAX];
    if (!find_program(program)) {
        log_error("kosekictl is neither beside kosekifs nor in %s", KOSEKIFS_BINDIR);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_check(program, config, config_path, report);
    if (pid < 0)
        log_error("cannot fork: %s", strerror(errno));
    return pid;
}

static bool is_refusal(const struct config *config)
{
    return config->inventory.file[0] && strcmp(config->inventory.on_difference, "refuse") == 0;
}

int inventory_check_start(const struct config *config, const char *config_path)
{
    int status = -1;
    if (!is_refusal(config))
        return 0;
    pid_t pid = start_check(config, config_path, false);
    int fd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    if (fd >= 0 && poll(&ended, 1, INVENTORY_START_MS) <= 0)
        log_error("the check of the inventory does not end");
    if (pid > 0 && waitpid(pid, &status, WNOHANG) != pid) {
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0);
        status = -1;
    }
    if (fd >= 0)
        close(fd);
    if (status == 0)
        return 0;
    log_error("not as the inventory has it; see the lines before, kosekictl inventory check, and "
              "[inventory] on_difference");
    return EXIT_CONFIG;
}

void inventory_watch_begin(struct inventory_watch *watch, const struct config *config)
{
    if (config->inventory.file[0] && watch->next_ms == 0)
        watch->next_ms = clock_monotonic_ms();
}

int64_t inventory_watch_tend(struct inventory_watch *watch, const struct config *config,
                             const char *config_path)
{
    int64_t now_ms = clock_monotonic_ms();
    int status;
    if (watch->pid > 0 && waitpid(watch->pid, &status, WNOHANG) != 0) {
        watch->pid = 0;
        if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
            log_warning("the inventory could not be checked");
    } else if (watch->pid > 0 && watch->deadline_ms <= now_ms) {
        kill(-watch->pid, SIGKILL);
        watch->deadline_ms = now_ms + INVENTORY_TIME_MS;
    }
    if (watch->next_ms > 0 && watch->next_ms <= now_ms && watch->pid == 0) {
        pid_t pid = start_check(config, config_path, true);
        watch->pid = pid > 0 ? pid : 0;
        watch->deadline_ms = now_ms + INVENTORY_TIME_MS;
        watch->next_ms = now_ms + config->inventory.every;
    }
    return watch->pid > 0 ? watch->deadline_ms : watch->next_ms;
}

void inventory_watch_end(struct inventory_watch *watch)
{
    if (watch->pid > 0) {
        kill(-watch->pid, SIGKILL);
        waitpid(watch->pid, NULL, 0);
        watch->pid = 0;
    }
    watch->next_ms = 0;
}
