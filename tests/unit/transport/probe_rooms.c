#include "tests/unit/transport/probe_rooms.h"

#include "base/config.h"
#include "base/ipc.h"
#include "base/memfd.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { ANSWER_TIMEOUT_MS = 20 * 1000, FILE_MAX = 1024 * 1024 };

void probe_die(const char *what, int error)
{
    fprintf(stderr, "link_probe: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(2);
}

static void must(const char *what, int result)
{
    if (result < 0)
        probe_die(what, result);
}

_Noreturn static void probe_room_child(const char *program, int fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd == ROOM_FD)
        fcntl(fd, F_SETFD, 0);
    else
        dup2(fd, ROOM_FD);
    execl(program, program, (char *)NULL);
    _exit(127);
}

void probe_room_start(const char *program, struct probe_room *ret_room)
{
    int fds[2];
    must("socketpair", ipc_pair(fds));
    pid_t pid = fork();
    must("fork", pid);
    if (pid == 0)
        probe_room_child(program, fds[1]);
    close(fds[1]);
    *ret_room = (struct probe_room){.pid = pid, .fd = fds[0]};
}

void probe_room_setup(const struct probe_room *room, const void *payload, size_t size,
                      const int *fds, unsigned fd_count)
{
    const struct config_sandbox sandbox = {
        .level = "best", .landlock_abi_max = 1000, .verify_memory = 1 << 30};
    must("sandbox", ipc_send(room->fd, ROOM_SANDBOX, 0, &sandbox, sizeof sandbox, NULL, 0));
    must("setup", ipc_send(room->fd, ROOM_SETUP, 0, payload, size, fds, fd_count));
}

bool probe_room_answer(const struct probe_room *room, char ret_text[ROOM_TEXT_MAX + 1])
{
    _cleanup_ipc_message_ struct ipc_message message = {0};
    int r = ipc_receive_timeout(room->fd, ANSWER_TIMEOUT_MS, &message);
    if (r != 0)
        probe_die("no answer to the setup", r < 0 ? r : EPIPE);
    if (message.type == ROOM_READY)
        return true;
    if (message.type != ROOM_FAILED || message.size > ROOM_TEXT_MAX)
        probe_die("answer to the setup", EBADMSG);
    memcpy(ret_text, message.payload, message.size);
    ret_text[message.size] = '\0';
    return false;
}

void probe_room_peer(const struct probe_room *room, enum room_role role, int fd)
{
    struct room_peer peer = {.role = role};
    must("peer", ipc_send(room->fd, ROOM_PEER, 0, &peer, sizeof peer, &fd, 1));
}

int probe_room_stop(struct probe_room *room)
{
    int status = 0;
    close(room->fd);
    room->fd = -1;
    if (waitpid(room->pid, &status, 0) < 0)
        probe_die("waitpid", errno);
    return status;
}

int probe_sealed_file(const char *path)
{
    static char content[FILE_MAX];
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, content, sizeof content);
    if (size < 0)
        probe_die(path, errno);
    int sealed;
    must("memfd", memfd_of("file", content, (size_t)size, &sealed));
    return sealed;
}
