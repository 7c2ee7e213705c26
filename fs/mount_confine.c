/*
 * uid          its own, [users] mount
 * capabilities none: /dev/fuse was opened and mounted by the supervisor, and what /proc says of
 *              other users' threads (status, comm) is open to all
 * files        the state directory, ledger and replica; /proc, /etc and the data of name services
 * for reading, as far as they are open to everybody network      none; sockets of this machine
 * only, which name services (sssd, systemd-userdb) use to tell a user's name processes    threads
 */
#include "fs/mount_confine.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { NOBODYS_UID = 0x7ffffff0 };

/* Whole directories of files that are replaced by new ones when they change. */
static const struct landlock_path readable[] = {
    {"/proc", .rights = LANDLOCK_READ},
    {"/etc", .rights = LANDLOCK_READ},
    {"/run/systemd/userdb", .rights = LANDLOCK_READ},
    {"/var/lib/sss", .rights = LANDLOCK_READ},
};
enum { READABLE_COUNT = sizeof readable / sizeof readable[0] };
_Static_assert((int)READABLE_COUNT + (int)MOUNT_DIRECTORY_MAX <= (int)MOUNT_PATH_MAX,
               "one list for all");

static const struct syscall_rule syscalls[] = {
    /* Store, audit trail and lists in the state directory. */
    {"openat"},
    {"newfstatat", {SYSCALL_LACKS(3, SYSCALL_EMPTY_PATH)}},
    {"statx"},
    {"statfs"},
    {"fstatfs"},
    {"access"},
    {"faccessat"},
    {"faccessat2"},
    {"readlink"},
    {"readlinkat"},
    {"getdents64"},
    {"lseek"},
    {"pread64"},
    {"preadv"},
    {"pwrite64"},
    {"pwritev"},
    {"readv"},
    {"sendfile"},
    {"copy_file_range"},
    {"ftruncate"},
    {"fallocate"},
    {"fadvise64"},
    {"fsync"},
    {"fdatasync"},
    {"sync_file_range"},
    {"syncfs"},
    {"msync"},
    {"flock"},
    {"fcntl", {SYSCALL_IS(1, F_SETLK)}},
    {"fcntl", {SYSCALL_IS(1, F_SETLKW)}},
    {"fcntl", {SYSCALL_IS(1, F_GETLK)}},
    {"fcntl", {SYSCALL_IS(1, F_OFD_SETLK)}},
    {"fcntl", {SYSCALL_IS(1, F_OFD_SETLKW)}},
    {"fchmod"},
    {"linkat"},
    {"mkdirat"},
    {"renameat"},
    {"renameat2"},
    {"unlinkat"},
    {"utimensat"},
    /* Certificates in memory files. */
    {"memfd_create"},
    {"mlock"},
    {"munlock"},
    {"fcntl", {SYSCALL_IS(1, F_ADD_SEALS)}},
    {"fcntl", {SYSCALL_IS(1, F_DUPFD_CLOEXEC)}},
    /* libfuse. */
    {"pipe2"},
    {"splice"},
    {"vmsplice"},
    {"fcntl", {SYSCALL_IS(1, F_SETPIPE_SZ)}},
    {"fcntl", {SYSCALL_IS(1, F_GETPIPE_SZ)}},
    /* Control socket, log sockets, name services. */
    {"socket", {SYSCALL_IS(0, AF_UNIX)}},
    {"socketpair", {SYSCALL_IS(0, AF_UNIX)}},
    {"connect"},
    {"accept4"},
    {"getsockname"},
    {"getpeername"},
    {"getsockopt"},
    {"setsockopt"},
    {"sendto"},
    {"recvfrom"},
    {"shutdown"},
    {"ioctl", {SYSCALL_IS(1, FIONREAD)}},
    /* Threads and what wakes them. */
    {"clone3", .error = ENOSYS}, /* its flags are in memory, where no filter sees them */
    {"clone", {SYSCALL_HAS(0, CLONE_VM | CLONE_THREAD)}},
    {"set_robust_list"},
    {"rseq"},
    {"sched_getaffinity"},
    {"epoll_create1"},
    {"epoll_ctl"},
    {"epoll_wait"},
    {"epoll_pwait"},
    {"eventfd2"},
    {"timerfd_create"},
    {"timerfd_settime"},
    /* Who and where it is. */
    {"getuid"},
    {"getppid"}, /* who kosekictl inventory looks at */
    {"geteuid"},
    {"getgid"},
    {"getegid"},
    {"uname"},
    {"sysinfo"},
    {"getrusage"},
    {"clock_adjtime"}, /* asks whether the clock is synchronised; setting it takes a capability */
    {"clock_getres"},
    /* A name service that came after the start is not loaded. */
    {"mmap", {SYSCALL_HAS(2, PROT_EXEC)}, EACCES},
    {NULL},
};

/* The C library loads the modules of name services when it first asks them. */
static void load_name_services(void)
{
    char buffer[1024];
    struct passwd entry, *found;
    (void)getpwuid_r(NOBODYS_UID, &entry, buffer, sizeof buffer, &found);
}

void mount_confine_init(struct mount_confine *confine, const int directories[MOUNT_DIRECTORY_MAX])
{
    size_t count = 0;
    load_name_services();
    for (size_t i = 0; i < MOUNT_DIRECTORY_MAX; i++)
        if (directories[i] >= 0)
            confine->paths[count++] =
                (struct landlock_path){.fd = directories[i], .rights = LANDLOCK_KEEP};
    for (size_t i = 0; i < READABLE_COUNT; i++)
        confine->paths[count++] = readable[i];
    confine->table = (struct confine){
        .paths = confine->paths,
        .path_count = count,
        .syscalls = syscalls,
    };
}
