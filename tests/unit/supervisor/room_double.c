/*
 * Stands in for kosekifs-mount, -link, -verify or -keys, whichever name it is started under, and
 * does what the file behaviour-ROLE beside it says: one word, empty or absent for a good room.
 * What it was given is written to journal-ROLE, a line an event, for the test to read. As mount it
 * answers just the requests that a mount needs to be there.
 */
#include "base/log.h"
#include "base/room.h"
#include "base/room_confine.h"
#include "fs/alerts.h"
#include "fs/mount_setup.h"
#include "base/keys_setup.h"
#include "transport/link_setup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

static char directory[PATH_MAX];
static const char *role;
static char behaviour[256];
static int journal_fd = -1;

_printf_(1, 2) static void note(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    line[size++] = '\n';
    if (journal_fd >= 0 && write(journal_fd, line, (size_t)size) != size)
        abort();
}

static bool is(const char *word)
{
    return strcmp(behaviour, word) == 0;
}

static void find_place(void)
{
    char path[PATH_MAX + 64];
    ssize_t size = readlink("/proc/self/exe", directory, sizeof directory - 1);
    if (size <= 0)
        abort();
    directory[size] = '\0';
    role = strrchr(directory, '-') + 1;
    role = strdup(role);
    *strrchr(directory, '/') = '\0';
    snprintf(path, sizeof path, "%s/behaviour-%s", directory, role);
    FILE *file = fopen(path, "re");
    if (file) {
        if (!fgets(behaviour, sizeof behaviour, file))
            behaviour[0] = '\0';
        behaviour[strcspn(behaviour, "\n")] = '\0';
        fclose(file);
    }
    snprintf(path, sizeof path, "%s/journal-%s", directory, role);
    /* Not there for a test in a directory where rooms may not walk. */
    journal_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* What a room inherits: who it is, its descriptors, its environment. */
static void note_inheritance(void)
{
    extern char **environ;
    struct rlimit core;
    getrlimit(RLIMIT_CORE, &core);
    note("start pid %d uid %u gid %u groups %d core %llu", getpid(), getuid(), getgid(),
         getgroups(0, NULL), (unsigned long long)core.rlim_max);
    for (char **variable = environ; *variable; variable++)
        note("environment %s", *variable);
    for (int fd = 0; fd < 256; fd++) {
        if (fd != journal_fd && fcntl(fd, F_GETFD) >= 0)
            note("descriptor %d", fd);
    }
}

static void answer(int fd, uint64_t unique, int error, const void *payload, size_t size)
{
    struct {
        struct fuse_out_header header;
        char payload[512];
    } reply = {.header = {.unique = unique, .error = error}};
    reply.header.len = (uint32_t)(sizeof reply.header + size);
    if (size > 0)
        memcpy(reply.payload, payload, size);
    if (write(fd, &reply, reply.header.len) < 0)
        note("a reply was not taken: %s", strerror(errno));
}

static void answer_attributes(int fd, uint64_t unique)
{
    struct fuse_attr_out out = {.attr = {.ino = 1, .mode = S_IFDIR | 0555, .nlink = 2}};
    answer(fd, unique, 0, &out, sizeof out);
}

/* False when the file system was unmounted. */
static bool answer_kernel(int fd)
{
    static char request[FUSE_MIN_READ_BUFFER + 65536];
    ssize_t size = read(fd, request, sizeof request);
    if (size < 0)
        return errno != ENODEV;
    struct fuse_in_header header;
    memcpy(&header, request, sizeof header);
    const struct fuse_init_out init = {
        .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096, .max_readahead = 4096};
    const struct fuse_statfs_out statistics = {.st = {.bsize = 4096, .namelen = 68}};
    const struct fuse_open_out open_out = {0};
    switch (header.opcode) {
    case FUSE_INIT:
        answer(fd, header.unique, 0, &init, sizeof init);
        break;
    case FUSE_STATFS:
        if (is("silent"))
            break;
        answer(fd, header.unique, is("broken") ? -EIO : 0, &statistics,
               is("broken") ? 0 : sizeof statistics);
        break;
    case FUSE_GETATTR:
        answer_attributes(fd, header.unique);
        break;
    case FUSE_OPENDIR:
        answer(fd, header.unique, 0, &open_out, sizeof open_out);
        break;
    case FUSE_READDIR:
    case FUSE_RELEASEDIR:
        answer(fd, header.unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(fd, header.unique, -ENOSYS, NULL, 0);
        break;
    }
    return true;
}

static void send_text(enum room_message type, const char *text)
{
    if (ipc_send(ROOM_FD, type, 0, text, strlen(text), NULL, 0) < 0)
        abort();
}

static void on_trust(const struct ipc_message *message)
{
    struct stat status;
    fstat(message->fds[0], &status);
    note("trust %lld", (long long)status.st_size);
    if (strcmp(role, "verify") != 0)
        return;
    if (is("refuse-trust"))
        send_text(ROOM_FAILED, "these anchors are nonsense");
    else if (is("crash-on-trust"))
        abort();
    else
        send_text(ROOM_READY, "");
}

static void ask_to_kill_verify(void)
{
    static const struct room_peer verify = {.role = ROOM_VERIFY};
    if (ipc_send(ROOM_FD, ROOM_KILL, 0, &verify, sizeof verify, NULL, 0) < 0)
        abort();
}

/* What is said to the supervisor after ROOM_READY. */
static void misbehave(void)
{
    static const struct room_peer itself = {.role = ROOM_MOUNT};
    static const struct room_peer keys = {.role = ROOM_KEYS};
    static const struct room_peer schema = {.role = ROOM_SCHEMA, .index = VERIFY_WORKER_MAX};
    static struct alert_message alert = {.alert = {.id = 7,
                                                   .count = 1,
                                                   .first_s = 1,
                                                   .last_s = 1,
                                                   .subject = "uid 5",
                                                   .text = "something",
                                                   .action = "look"}};
    if (is("kill-verify") && strcmp(role, "mount") != 0)
        ask_to_kill_verify();
    if (is("kill-itself") && ipc_send(ROOM_FD, ROOM_KILL, 0, &itself, sizeof itself, NULL, 0) < 0)
        abort();
    if (is("alert") && ipc_send(ROOM_FD, ROOM_ALERT, 0, &alert, sizeof alert, NULL, 0) < 0)
        abort();
    if (is("reload") && ipc_send(ROOM_FD, ROOM_RELOAD, 0, NULL, 0, NULL, 0) < 0)
        abort();
    if (is("reload-more") && ipc_send(ROOM_FD, ROOM_RELOAD, 0, "x", 1, NULL, 0) < 0)
        abort();
    if (is("kill-schema") && ipc_send(ROOM_FD, ROOM_KILL, 0, &schema, sizeof schema, NULL, 0) < 0)
        abort();
    if (is("retire-keys") && ipc_send(ROOM_FD, ROOM_RETIRE, 0, &keys, sizeof keys, NULL, 0) < 0)
        abort();
    if (is("garbage") && send(ROOM_FD, "garbage", 7, 0) < 0)
        abort();
    if (is("ready-twice"))
        send_text(ROOM_READY, "");
}

/* False when the supervisor is gone. */
static bool hear_supervisor(int *fuse_fd)
{
    static struct ipc_message message;
    struct room_peer peer;
    int r = ipc_receive(ROOM_FD, &message);
    if (r != 0)
        return false;
    if (message.type == ROOM_PEER && ipc_message_take(&message, &peer, sizeof peer, 1) == 0) {
        note("peer %s %u", room_role_name(peer.role), peer.index);
        message.fds[0] = -1; /* kept: a good room keeps its neighbours */
    } else if (message.type == ROOM_MOUNTED && message.fd_count == 2) {
        *fuse_fd = steal_fd(&message.fds[0]);
    } else if (message.type == ROOM_ALIVE) {
        const struct room_alive alive = {0};
        room_answer_alive(&message, &alive, sizeof alive);
    } else if (message.type == ROOM_TRUST && message.fd_count == 1) {
        on_trust(&message);
    } else if (message.type == ROOM_LISTS && message.fd_count == 1) {
        struct stat status;
        fstat(message.fds[0], &status);
        note("lists %lld", (long long)status.st_size);
    } else if (message.type == ROOM_POLICY && message.fd_count == 1) {
        note("policy");
        if (is("kill-verify"))
            ask_to_kill_verify();
    } else if (message.type == ROOM_SINK && message.fd_count == 1) {
        note("sink %u", message.payload[0]);
        if (send(message.fds[0], "record", 6, 0) < 0)
            abort();
    }
    ipc_message_done(&message);
    return true;
}

static void run(void)
{
    for (int fuse_fd = -1;;) {
        struct pollfd set[2] = {{.fd = ROOM_FD, .events = POLLIN},
                                {.fd = fuse_fd, .events = POLLIN}};
        if (poll(set, 2, -1) < 0)
            abort();
        if (set[1].revents != 0 && !answer_kernel(fuse_fd)) {
            note("unmounted");
            exit(0);
        }
        if (set[0].revents != 0 && !hear_supervisor(&fuse_fd)) {
            note("supervisor gone");
            if (is("deaf"))
                pause();
            exit(0);
        }
    }
}

static size_t setup_size(void)
{
    if (strcmp(role, "mount") == 0)
        return sizeof(struct mount_setup);
    if (strcmp(role, "keys") == 0)
        return sizeof(struct keys_setup);
    return strcmp(role, "link") == 0 ? sizeof(struct link_setup) : 0;
}

int main(void)
{
    static struct ipc_message setup;
    log_init("room-double", LOG_LEVEL_INFO);
    find_place();
    note_inheritance();
    if (is("exit"))
        return 3;
    if (is("crash"))
        raise(SIGKILL);
    struct config_sandbox sandbox;
    const struct confine_report report = {.level = CONFINE_FULL};
    room_receive_sandbox(&sandbox);
    if (room_receive_setup(setup_size(), &setup) < 0)
        room_fail("no setup of the right size");
    struct stat status = {0};
    fstat(setup.fds[setup.fd_count - 1], &status);
    note("setup with %u descriptors, the last of size %lld", setup.fd_count,
         (long long)status.st_size);
    if (strncmp(behaviour, "fail ", 5) == 0)
        room_fail("%s", behaviour + 5);
    if (is("mute"))
        pause();
    if (is("odd-ready"))
        send_text(ROOM_READY, "?");
    if (room_send_ready(&report) < 0)
        return 1;
    misbehave();
    if (is("crash-when-ready"))
        raise(SIGSEGV);
    run();
}
