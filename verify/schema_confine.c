/* See verify/schema_confine.h. */
#include "verify/schema_confine.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static void limit(int kind, rlim_t most)
{
    struct rlimit rlimit = {.rlim_cur = most, .rlim_max = most};

    (void)setrlimit((__rlimit_resource_t)kind, &rlimit);
}

static void allow_reading(int ruleset, int fd)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access =
            LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE,
        .parent_fd = fd,
    };

    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
        return;
    /* A file takes no right on directories. */
    rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
    (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* Without Landlock in the kernel the other limits must do: the process still has no network, writes
 * no file and reads what its user may read. */
void schema_confine_files(int program_fd)
{
    static const char *const readable[] = {"/usr", "/lib", "/lib64", "/etc/ld.so.cache"};
    struct landlock_ruleset_attr attributes = {
        .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1, /* all of version 1 */
    };
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);

    if (ruleset < 0)
        return;
    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++) {
        int fd = open(readable[i], O_PATH | O_CLOEXEC);
        if (fd < 0)
            continue;
        allow_reading(ruleset, fd);
        close(fd);
    }
    allow_reading(ruleset, program_fd);
    (void)syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
}

void schema_confine_network(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        (void)unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

void schema_confine_resources(uint64_t memory_max)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, 32);
    /* Last: whoever calls may have more already, and then gets no page more before it executes. */
    limit(RLIMIT_AS, memory_max);
}
