/* See waiter.h. */
#include "fs/waiter.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool waiter_fatal_signal(pid_t tid)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ESRCH; /* not when we are short of descriptors */
    char text[4096];
    ssize_t size = read(fd, text, sizeof text - 1);
    if (size <= 0)
        return true;
    text[size] = '\0';
    const char *line = strstr(text, "\nSigPnd:");
    if (!line)
        return false;
    unsigned long long pending = strtoull(line + sizeof "\nSigPnd:" - 1, NULL, 16);
    return (pending >> (SIGKILL - 1)) & 1;
}
