/* See fs/supervisor_state.h. */
#include "fs/supervisor_state.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/supervisor_exit.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

static int make(const char *path, const struct child_identity *owner)
{
    if (mkdir(path, 0700) < 0)
        return -errno;
    if (owner->change && chown(path, owner->uid, owner->gid) < 0) {
        int r = -errno;
        rmdir(path);
        return r;
    }
    log_info("made state directory %s", path);
    return 0;
}

/* Of one that is there. */
static int check(const char *path, int fd, const struct child_identity *owner)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        log_error("state directory %s: %s", path, strerror(errno));
        return EXIT_CANTCREATE;
    }
    if (status.st_uid != owner->uid) {
        log_error("state directory %s belongs to uid %u, not to kosekifs-mount's uid %u (chown -R)",
                  path, status.st_uid, owner->uid);
        return EXIT_CANTCREATE;
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        log_error("state directory %s has mode %04o: group and others must have no access "
                  "(chmod 0700)",
                  path, status.st_mode & 07777);
        return EXIT_CANTCREATE;
    }
    return 0;
}

int supervisor_state_open(const char *path, const struct child_identity *owner, int *ret_fd)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        int r = make(path, owner);
        if (r < 0) {
            log_error("state directory %s cannot be made: %s", path, strerror(-r));
            return EXIT_CANTCREATE;
        }
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    int code = check(path, fd, owner);
    if (code != 0)
        return code;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        log_error("state directory %s is in use by another kosekifs", path);
        return EXIT_CANTCREATE;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int supervisor_state_check(const char *path, const struct child_identity *owner)
{
    char copy[PATH_MAX];
    struct stat status;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return check(path, fd, owner);
    snprintf(copy, sizeof copy, "%s", path);
    if (stat(dirname(copy), &status) == 0 && S_ISDIR(status.st_mode))
        return 0;
    log_error("state directory %s cannot be made: %s is no directory", path, copy);
    return EXIT_CANTCREATE;
}

void supervisor_state_await(const char *path, int64_t wait_ms)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && clock_monotonic_ms() < until_ms)
        nanosleep(&pause, NULL);
}
