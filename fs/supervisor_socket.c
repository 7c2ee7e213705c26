/* See fs/supervisor_socket.h. */
#include "fs/supervisor_socket.h"

#include "base/log.h"
#include "fs/supervisor_exit.h"

#include <libgen.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { CONTROL_BACKLOG = 64 };

static int set_address(const char *path, struct sockaddr_un *ret_address)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    *ret_address = address;
    return 0;
}

static int make_directory(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    const char *directory = dirname(copy);
    if (mkdir(directory, 0755) < 0)
        return errno == EEXIST ? 0 : -errno;
    return chmod(directory, 0755) < 0 ? -errno : 0; /* whatever our umask */
}

/* -EADDRINUSE: somebody answers; -EEXIST: not a socket. */
static int remove_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    _cleanup_close_ int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return -errno;
    if (connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN)
        return -EADDRINUSE;
    if (errno != ECONNREFUSED)
        return -errno;
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int listen_at(const struct sockaddr_un *address, gid_t group, int fd)
{
    /* Nobody may connect before group and mode are as they should be. */
    mode_t mask = umask(0777);
    int bound = bind(fd, (const struct sockaddr *)address, sizeof *address);
    int error = errno;
    umask(mask);
    if (bound < 0)
        return -error;
    if (chown(address->sun_path, (uid_t)-1, group) < 0 || chmod(address->sun_path, 0660) < 0 ||
        listen(fd, CONTROL_BACKLOG) < 0) {
        int r = -errno;
        unlink(address->sun_path);
        return r;
    }
    return 0;
}

static const char *explain(int r)
{
    switch (r) {
    case -EADDRINUSE:
        return "another kosekifs answers there";
    case -EEXIST:
        return "something that is not a socket stands there";
    default:
        return strerror(-r);
    }
}

int control_socket_open(const char *path, gid_t group, struct control_socket *ret_socket)
{
    struct control_socket made = {.fd = -1};
    struct sockaddr_un address;
    struct stat status;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : set_address(path, &address);
    if (r == 0)
        r = make_directory(path);
    if (r == 0)
        r = remove_stale(&address);
    if (r == 0)
        r = listen_at(&address, group, fd);
    if (r == 0 && lstat(path, &status) < 0)
        r = -errno;
    if (r < 0) {
        log_error("control socket %s: %s", path, explain(r));
        return EXIT_CANTCREATE;
    }
    snprintf(made.path, sizeof made.path, "%s", path);
    made.device = status.st_dev;
    made.inode = status.st_ino;
    made.fd = steal_fd(&fd);
    *ret_socket = made;
    return 0;
}

void control_socket_remove(struct control_socket *socket)
{
    struct stat status;
    if (socket->fd < 0)
        return;
    if (lstat(socket->path, &status) == 0 && status.st_dev == socket->device &&
        status.st_ino == socket->inode)
        unlink(socket->path);
    cleanup_close(&socket->fd);
    socket->fd = -1;
}

int log_socket_connect(const char *path, int *ret_fd)
{
    struct sockaddr_un address;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : set_address(path, &address);
    if (r == 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        r = -errno;
    if (r < 0)
        return r;
    *ret_fd = steal_fd(&fd);
    return 0;
}
