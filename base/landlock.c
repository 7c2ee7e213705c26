/* See base/landlock.h. Also for the time between fork and exec: system calls only. */
#include "base/landlock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
    CREATE_RULESET_VERSION = 1 << 0,
    RULE_PATH_BENEATH = 1,
    RULE_NET_PORT = 2,
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
    SCOPE_SIGNAL = 1 << 1,
    /* Of a file that is no directory. */
    FILE_RIGHTS = LANDLOCK_EXECUTE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_TRUNCATE |
                  LANDLOCK_IOCTL_DEV,
};

struct ruleset_attributes {
    uint64_t handled_files;
    uint64_t handled_network; /* from ABI 4 */
    uint64_t scoped;          /* from ABI 6 */
};

struct path_beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

struct net_port {
    uint64_t allowed;
    uint64_t port;
};

int landlock_abi(int64_t abi_max)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    if (abi <= 0)
        return 0;
    return (int)(abi < abi_max ? abi : abi_max);
}

const char *landlock_missing(int abi)
{
    static const char *const missing[LANDLOCK_ABI_FULL] = {
        "files, truncation, TCP, device ioctl, signals",
        "truncation, TCP, device ioctl, signals", /* moving between directories: never allowed */
        "truncation, TCP, device ioctl, signals",
        "TCP, device ioctl, signals",
        "device ioctl, signals",
        "signals",
    };
    return abi >= LANDLOCK_ABI_FULL ? "" : missing[abi < 0 ? 0 : abi];
}

static uint64_t file_rights_of(int abi)
{
    return abi >= 5   ? (LANDLOCK_IOCTL_DEV << 1) - 1
           : abi >= 3 ? (LANDLOCK_TRUNCATE << 1) - 1
           : abi >= 2 ? (LANDLOCK_REFER << 1) - 1
                      : (LANDLOCK_MAKE_SYM << 1) - 1;
}

static int add_path(int ruleset, uint64_t handled, const struct landlock_path *path)
{
    struct stat status;
    _cleanup_close_ int opened = path->path ? open(path->path, O_PATH | O_CLOEXEC) : -1;
    int fd = path->path ? opened : path->fd;
    if (path->path && fd < 0)
        return errno == ENOENT || errno == EACCES ? 0 : -errno;
    if (fstat(fd, &status) < 0)
        return -errno;
    struct path_beneath rule = {.allowed = path->rights & handled, .fd = fd};
    if (!S_ISDIR(status.st_mode))
        rule.allowed &= FILE_RIGHTS;
    if (rule.allowed == 0)
        return 0; /* nothing that this version knows of; the kernel takes no empty rule */
    return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static int add_port(int ruleset, uint16_t port)
{
    const struct net_port rule = {.allowed = port ? NET_CONNECT_TCP : NET_BIND_TCP, .port = port};
    return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0 ? -errno : 0;
}

int landlock_restrict(int abi, const struct landlock_path *paths, size_t path_count,
                      const uint16_t *ports, size_t port_count)
{
    const struct ruleset_attributes attributes = {
        .handled_files = file_rights_of(abi),
        .handled_network = abi >= 4 ? NET_BIND_TCP | NET_CONNECT_TCP : 0,
        .scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL : 0,
    };
    size_t size = abi >= 6   ? sizeof attributes
                  : abi >= 4 ? offsetof(struct ruleset_attributes, scoped)
                             : offsetof(struct ruleset_attributes, handled_network);
    _cleanup_close_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (ruleset < 0)
        return -errno;
    int r = 0;
    for (size_t i = 0; i < path_count && r == 0; i++)
        r = add_path(ruleset, attributes.handled_files, &paths[i]);
    for (size_t i = 0; i < port_count && r == 0 && attributes.handled_network; i++)
        r = add_port(ruleset, ports[i]);
    if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        r = -errno;
    return r;
}
