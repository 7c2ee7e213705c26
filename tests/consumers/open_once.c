/*
 * Opens a file once, disturbed by a harmless signal on the way, and says what open(2) returned: a
 * program that does not expect EINTR from a regular file would fail on it. Interpreters try again
 * by themselves and would hide it. usage: open-once FILE alarm|alarm-restart|child|continue
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t rings;

static void ring(int number)
{
    (void)number;
    rings++;
}

static void disturb(const char *what)
{
    const struct itimerval soon = {.it_interval.tv_usec = 100000, .it_value.tv_usec = 100000};
    struct sigaction action = {.sa_handler = ring};
    if (strcmp(what, "alarm-restart") == 0)
        action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    sigaction(SIGCONT, &action, NULL);
    if (strncmp(what, "alarm", 5) == 0) {
        setitimer(ITIMER_REAL, &soon, NULL);
        return;
    }
    pid_t us = getpid();
    if (fork() == 0) { /* SIGCHLD when it ends */
        usleep(200000);
        if (strcmp(what, "continue") == 0)
            kill(us, SIGCONT);
        _exit(0);
    }
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 64;
    disturb(arguments[2]);
    int fd = open(arguments[1], O_RDONLY);
    printf("%s after %d signals\n", fd < 0 ? strerror(errno) : "opened", (int)rings);
    return fd < 0 || rings == 0;
}
