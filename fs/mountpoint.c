/*
 * See fs/mountpoint.h. Nothing here asks a mounted file system anything in this process: whoever
 * asks may hang. mountinfo tells what is mounted.
 */
#include "fs/mountpoint.h"

#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { ABANDONED_PROBE_MS = 2000 };

static const char fuse_conf[] = "/etc/fuse.conf";

/* Undoes mountinfo's \040 and the like, in place. */
static void unescape(char *text)
{
    char *out = text;
    for (; *text; text++) {
        if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
            text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
            *out++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
            text += 3;
        } else {
            *out++ = *text;
        }
    }
    *out = '\0';
}

struct mount_entry {
    char device[32];
    bool ours; /* of type fuse.kosekifs */
};

/* The topmost mount at `path`; false if there is none. proc_pid_mountinfo(5): ID, parent, device,
 * root, mount point, options, …, "-", type, … */
static bool find_mount(const char *path, struct mount_entry *ret_entry)
{
    static const char ours[] = " - fuse.kosekifs ";
    _cleanup_fclose_ FILE *list = fopen("/proc/self/mountinfo", "re");
    _cleanup_free_ char *line = NULL;
    size_t line_size = 0;
    bool found = false;
    while (list && getline(&line, &line_size, list) > 0) {
        char *rest = line;
        char *fields[5] = {NULL};
        for (size_t i = 0; i < 5; i++)
            fields[i] = strsep(&rest, " ");
        if (!rest)
            continue;
        unescape(fields[4]);
        if (strcmp(fields[4], path) == 0) {
            snprintf(ret_entry->device, sizeof ret_entry->device, "%s", fields[2]);
            ret_entry->ours = strstr(rest, ours) != NULL;
            found = true;
        }
    }
    return found;
}

/* True if the daemon behind the mount is gone. Asked by a process that may hang, since a daemon
 * that is there may not answer. */
static bool is_abandoned(const char *path)
{
    pid_t pid = fork();
    if (pid < 0)
        return false;
    if (pid == 0) {
        struct stat status;
        _exit(stat(path, &status) < 0 && errno == ENOTCONN ? 0 : 1);
    }
    int status = 1;
    /* One that does hang cannot be killed while the daemon keeps its request: it is left behind. */
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    if (pidfd < 0 || poll(&ended, 1, ABANDONED_PROBE_MS) != 1) {
        kill(pid, SIGKILL);
        return false;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* 1, 0, or a negative errno. */
static int is_empty(int fd)
{
    int listing = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = listing < 0 ? NULL : fdopendir(listing);
    if (!directory) {
        int r = -errno;
        cleanup_close(&listing);
        return r;
    }
    int empty = 1;
    const struct dirent *entry;
    while (empty && (entry = readdir(directory)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(directory);
    return empty;
}

static bool others_allowed(bool privileged)
{
    if (privileged)
        return true;
    _cleanup_fclose_ FILE *file = fopen(fuse_conf, "re");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, " \t\r\n#")] = '\0';
        if (strcmp(line, "user_allow_other") == 0)
            return true;
    }
    return false;
}

/* Runs fusermount3; with `channel` >= 0 it sends the connection's descriptor there. */
static int run_fusermount(const char *const arguments[], int channel)
{
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        char number[16];
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (channel >= 0 && fcntl(channel, F_SETFD, 0) == 0) {
            snprintf(number, sizeof number, "%d", channel);
            setenv("_FUSE_COMMFD", number, 1);
        }
        execvp("fusermount3", (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Takes the mount away from its place; whoever has files open keeps them. */
static int detach(const struct mountpoint *mountpoint)
{
    const char *const lazy[] = {"fusermount3", "-u", "-z", "--", mountpoint->path, NULL};
    int r = 0;
    if (!mountpoint->privileged)
        r = run_fusermount(lazy, -1);
    else if (umount2(mountpoint->path, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
        r = -errno;
    if (r < 0)
        log_error("cannot unmount %s: %s", mountpoint->path, strerror(-r));
    return r;
}

/* What a killed supervisor left is cleared away, or nothing could start by itself again; anything
 * else at the mount point is not ours to touch. */
static int clear_abandoned(const struct mountpoint *mountpoint)
{
    struct mount_entry entry;
    while (find_mount(mountpoint->path, &entry)) {
        if (!entry.ours || !is_abandoned(mountpoint->path)) {
            log_error("mount point %s is busy: something is mounted there already",
                      mountpoint->path);
            return -EBUSY;
        }
        log_warning("%s: unmounting what an earlier kosekifs left behind", mountpoint->path);
        int r = detach(mountpoint);
        if (r < 0)
            return r;
    }
    return 0;
}

/* While nothing is mounted, who may walk into the directory is told that no certificate exists. */
static void warn_of_open_directory(const struct mountpoint *mountpoint, int fd)
{
    struct stat status;
    if (mountpoint->privileged && fstat(fd, &status) == 0 && (status.st_mode & 0011) != 0)
        log_warning("mount point %s: while nothing is mounted there, programs find an empty "
                    "directory; chmod 0000 refuses them",
                    mountpoint->path);
}

int mountpoint_open(const char *path, struct mountpoint *ret_mountpoint)
{
    struct mountpoint mountpoint = {.fd = -1, .privileged = geteuid() == 0};
    if (!realpath(path, mountpoint.path)) {
        int r = -errno;
        log_error("mount point %s: %s%s", path, strerror(-r),
                  r == -ENOTCONN ? " (a file system without its daemon; unmount it first)" : "");
        return r;
    }
    int r = clear_abandoned(&mountpoint);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(mountpoint.path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    r = fd < 0 ? -errno : is_empty(fd);
    if (r <= 0) {
        log_error("mount point %s: %s", mountpoint.path, r < 0 ? strerror(-r) : "is not empty");
        return r < 0 ? r : -ENOTEMPTY;
    }
    warn_of_open_directory(&mountpoint, fd);
    mountpoint.allow_other = others_allowed(mountpoint.privileged);
    mountpoint.fd = steal_fd(&fd);
    *ret_mountpoint = mountpoint;
    return 0;
}

void mountpoint_close(struct mountpoint *mountpoint)
{
    cleanup_close(&mountpoint->fd);
    mountpoint->fd = -1;
}

static int mount_privileged(const struct mountpoint *mountpoint, const char *source, int *ret_fd)
{
    _cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int r = -errno;
        log_error("/dev/fuse: %s; is the kernel module fuse loaded?", strerror(-r));
        return r;
    }
    char data[128];
    char target[64];
    snprintf(data, sizeof data, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", fd,
             getuid(), getgid());
    /* By descriptor: what was checked is what is mounted upon. */
    snprintf(target, sizeof target, "/proc/self/fd/%d", mountpoint->fd);
    if (mount(source, target, "fuse.kosekifs",
              MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, data) < 0) {
        int r = -errno;
        log_error("cannot mount on %s: %s", mountpoint->path, strerror(-r));
        return r;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* fusermount3 sends one byte with the descriptor beside it. */
static int receive_connection(int channel, int *ret_fd)
{
    char byte;
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    ssize_t size;
    do
        size = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    struct cmsghdr *rights = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS ||
        rights->cmsg_len != CMSG_LEN(sizeof(int)))
        return -EPERM;
    memcpy(ret_fd, CMSG_DATA(rights), sizeof(int));
    return 0;
}

/* fusermount3 takes a comma in a value only behind a backslash. */
static void escape_option(const char *text, char *out, size_t out_size)
{
    size_t size = 0;
    for (; *text && size + 3 < out_size; text++) {
        if (*text == ',' || *text == '\\')
            out[size++] = '\\';
        out[size++] = *text;
    }
    out[size] = '\0';
}

static int mount_through_fusermount(const struct mountpoint *mountpoint, const char *source,
                                    int *ret_fd)
{
    char options[PATH_MAX + 256];
    char name[PATH_MAX];
    int pair[2];
    escape_option(source, name, sizeof name);
    snprintf(options, sizeof options, "ro,nosuid,nodev,noexec,noatime,subtype=kosekifs,fsname=%s%s",
             name, mountpoint->allow_other ? ",allow_other" : "");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    _cleanup_close_ int ours = pair[0];
    _cleanup_close_ int theirs = pair[1];
    const char *const arguments[] = {"fusermount3", "-o", options, "--", mountpoint->path, NULL};
    int r = run_fusermount(arguments, theirs);
    cleanup_close(&theirs);
    theirs = -1;
    if (r == 0)
        r = receive_connection(ours, ret_fd);
    if (r < 0)
        log_error("fusermount3 could not mount on %s", mountpoint->path);
    return r;
}

/* Before the kernel's INIT is answered, which can only lower it. Without the right to do so, or
 * with /sys read-only, reading is slower. */
static void set_read_ahead(const struct mountpoint *mountpoint)
{
    char path[64], value[16];
    snprintf(path, sizeof path, "/sys/class/bdi/%s/read_ahead_kb", mountpoint->device);
    int size = snprintf(value, sizeof value, "%d", MOUNTPOINT_READ_AHEAD / 1024);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, (size_t)size) != size)
        log_debug("%s: %s; the kernel reads less ahead", path, strerror(errno));
}

int mountpoint_mount(struct mountpoint *mountpoint, const char *source, int *ret_fd)
{
    int fd = -1;
    int r = mountpoint->privileged ? mount_privileged(mountpoint, source, &fd)
                                   : mount_through_fusermount(mountpoint, source, &fd);
    if (r < 0)
        return r;
    struct mount_entry entry;
    if (!find_mount(mountpoint->path, &entry)) {
        /* Another mount namespace, or already gone: nobody could use it. */
        log_error("%s was mounted and cannot be seen", mountpoint->path);
        close(fd);
        return -ENOENT;
    }
    memcpy(mountpoint->device, entry.device, sizeof mountpoint->device);
    set_read_ahead(mountpoint);
    *ret_fd = fd;
    return 0;
}

bool mountpoint_is_mounted(const struct mountpoint *mountpoint)
{
    struct mount_entry entry;
    return *mountpoint->device && find_mount(mountpoint->path, &entry) &&
           strcmp(entry.device, mountpoint->device) == 0;
}

void mountpoint_unmount(struct mountpoint *mountpoint)
{
    const char *const normal[] = {"fusermount3", "-u", "-q", "--", mountpoint->path, NULL};
    if (!mountpoint_is_mounted(mountpoint))
        return;
    bool unmounted = mountpoint->privileged ? umount2(mountpoint->path, UMOUNT_NOFOLLOW) == 0
                                            : run_fusermount(normal, -1) == 0;
    if (unmounted || detach(mountpoint) == 0)
        *mountpoint->device = '\0';
}
