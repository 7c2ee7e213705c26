/* See fs/supervisor_daemon.h. */
#include "fs/supervisor_daemon.h"

#include "base/log.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

/* Waits for the byte that says "mounted", or for the daemon's end. */
_Noreturn static void await_daemon(pid_t pid, int ready_fd)
{
    char byte;
    ssize_t size;
    do
        size = read(ready_fd, &byte, 1);
    while (size < 0 && errno == EINTR);
    if (size == 1)
        _exit(0);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        _exit(WEXITSTATUS(status));
    _exit(EXIT_FAILED);
}

int supervisor_daemon_begin(int *ret_ready_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        log_error("cannot go into the background: %s", strerror(errno));
        return -errno;
    }
    pid_t pid = fork();
    if (pid < 0) {
        int r = -errno;
        log_error("cannot go into the background: %s", strerror(-r));
        close(ends[0]);
        close(ends[1]);
        return r;
    }
    if (pid > 0) {
        close(ends[1]);
        await_daemon(pid, ends[0]);
    }
    close(ends[0]);
    setsid(); /* cannot fail: we lead no process group */
    *ret_ready_fd = ends[1];
    return 0;
}

int supervisor_daemon_ready(int ready_fd, int log_fd)
{
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    if (write(ready_fd, "", 1) != 1)
        return -errno;
    if (dup2(null, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
        dup2(log_fd, STDERR_FILENO) < 0)
        return -errno;
    return 0;
}

int supervisor_daemon_log(bool foreground, int *ret_fd)
{
    int fd = -1;
    if (foreground || log_is_journal())
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    else if (log_socket_connect("/dev/log", &fd) < 0)
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}
