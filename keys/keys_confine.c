/*
 *              without a token                    with one, whose module is a library of others
 * uid          its own, [users] keys              the same
 * capabilities none                               none
 * files        none: the keys are read and closed [keys] pkcs11_paths
 * network      none: the supervisor connects its  sockets of this machine, as those of pcscd
 *              neighbours
 * processes    none                               threads
 */
#include "keys/keys_confine.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { DESCRIPTORS_MAX = 256 };

static const struct confine_limit limits[] = {{RLIMIT_NOFILE, DESCRIPTORS_MAX}};

static const struct syscall_rule without_token[] = {
    {"newfstatat", {SYSCALL_LACKS(3, SYSCALL_EMPTY_PATH)}, EACCES},
    {NULL},
};

static const struct syscall_rule with_token[] = {
    /* Its objects, kept in files. */
    {"openat"},
    {"newfstatat", {SYSCALL_LACKS(3, SYSCALL_EMPTY_PATH)}},
    {"statx"},
    {"access"},
    {"faccessat"},
    {"faccessat2"},
    {"readlink"},
    {"getdents64"},
    {"getcwd"},
    {"lseek"},
    {"pread64"},
    {"pwrite64"},
    {"readv"},
    {"ftruncate"},
    {"fsync"},
    {"fdatasync"},
    {"flock"},
    {"fcntl", {SYSCALL_IS(1, F_SETLK)}},
    {"fcntl", {SYSCALL_IS(1, F_SETLKW)}},
    {"fcntl", {SYSCALL_IS(1, F_GETLK)}},
    {"mkdir"},
    {"mkdirat"},
    {"rename"},
    {"renameat"},
    {"renameat2"},
    {"rmdir"},
    {"unlink"},
    {"unlinkat"},
    {"umask"},
    {"mlock"},
    {"munlock"},
    /* A service that keeps the token. */
    {"socket", {SYSCALL_IS(0, AF_UNIX)}},
    {"connect"},
    {"getsockname"},
    {"getpeername"},
    {"getsockopt"},
    {"setsockopt"},
    {"sendto"},
    {"recvfrom"},
    {"shutdown"},
    {"select"},
    {"pselect6"},
    /* Threads. */
    {"clone3", .error = ENOSYS}, /* its flags are in memory, where no filter sees them */
    {"clone", {SYSCALL_HAS(0, CLONE_VM | CLONE_THREAD)}},
    {"set_robust_list"},
    {"rseq"},
    {"sched_getaffinity"},
    {"eventfd2"},
    {"pipe2"},
    /* Who and where it is. */
    {"getuid"},
    {"geteuid"},
    {"getgid"},
    {"getegid"},
    {"getppid"},
    {"uname"},
    {"sysinfo"},
    {NULL},
};

static int list_paths(struct keys_confine *confine, const char *list)
{
    size_t count = 0;
    for (; count < KEYS_PATH_MAX && config_list_next(&list, confine->text[count], KEYS_PATH_SIZE);
         count++)
        confine->paths[count] =
            (struct landlock_path){.path = confine->text[count], .rights = LANDLOCK_KEEP};
    if (*list != '\0')
        return -E2BIG;
    confine->table.paths = confine->paths;
    confine->table.path_count = count;
    return 0;
}

int keys_confine_init(struct keys_confine *confine, const struct config_keys *config, bool token)
{
    confine->table = (struct confine){
        .limits = limits,
        .limit_count = sizeof limits / sizeof limits[0],
        .syscalls = token ? with_token : without_token,
    };
    return token ? list_paths(confine, config->pkcs11_paths) : 0;
}
