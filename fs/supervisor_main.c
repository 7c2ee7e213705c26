/* kosekifs: the program that operators, mount(8) and systemd start. */
#include "base/log.h"
#include "fs/supervisor.h"
#include "fs/supervisor_daemon.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_options.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* The key files are open here, and what children are given passes through: no core, no ptrace. */
static int harden(void)
{
    const struct rlimit no_core = {0};
    /* Descriptors 0 to 2 must be something, or /dev/fuse would become one of them. */
    for (int fd = 0; fd < 3;) {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0 || (fd >= 3 && close(fd) < 0))
            return -errno;
    }
    if (setrlimit(RLIMIT_CORE, &no_core) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

static int dump_config(const char *path)
{
    struct config config;
    if (config_read(path, supervisor_complain, NULL, &config) < 0)
        return EXIT_CONFIG;
    config_dump(&config, stdout);
    return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

static int mountpoint_exit(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -ENOENT:
    case -ENOTDIR:
        return EXIT_NOINPUT;
    default:
        return EXIT_CANTCREATE;
    }
}

/* What would be hidden below the mount, or be asked of it by ourselves. */
static int check_places(const struct mountpoint *mountpoint, const struct config_mount *config)
{
    const char *const places[] = {config->state_directory, config->control_socket};
    size_t size = strlen(mountpoint->path);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (strncmp(places[i], mountpoint->path, size) != 0 ||
            (places[i][size] != '/' && places[i][size] != '\0'))
            continue;
        log_error("%s is at or below the mount point", places[i]);
        return EXIT_CONFIG;
    }
    return 0;
}

/* The configuration may stand in a path relative to where we were started: it has been read. */
static int settle(void)
{
    umask(022);
    if (chdir("/") == 0)
        return 0;
    log_error("/: %s", strerror(errno));
    return EXIT_OSERR;
}

static int serve(const struct supervisor_options *options)
{
    static struct supervisor_inputs inputs;
    struct mountpoint mountpoint = {.fd = -1};
    struct supervisor_task task = {.source = options->source,
                                   .inputs = &inputs,
                                   .mountpoint = &mountpoint,
                                   .ready_fd = -1,
                                   .log_fd = -1};
    int code = supervisor_inputs_read(options->config, &inputs);
    if (code != 0)
        return code;
    code = mountpoint_exit(mountpoint_open(options->mount_point, &mountpoint));
    if (code == 0)
        code = check_places(&mountpoint, &inputs.config.mount);
    if (code == 0)
        code = settle();
    if (code == 0)
        code = supervisor_inputs_claim(&inputs);
    if (code == 0 && supervisor_daemon_log(options->foreground, &task.log_fd) < 0)
        code = EXIT_OSERR;
    if (code == 0 && !options->foreground && supervisor_daemon_begin(&task.ready_fd) < 0)
        code = EXIT_OSERR;
    if (code == 0)
        code = supervisor_run(&task);
    supervisor_inputs_done(&inputs);
    mountpoint_close(&mountpoint);
    return code;
}

int main(int count, char *arguments[])
{
    struct supervisor_options options;
    log_init("kosekifs", LOG_LEVEL_INFO);
    if (harden() < 0) {
        log_error("cannot forbid core dumps: %s", strerror(errno));
        return EXIT_OSERR;
    }
    if (supervisor_options_parse(count, arguments, &options) != 0) {
        fputs("Try kosekifs --help.\n", stderr);
        return EXIT_USAGE;
    }
    if (options.help)
        fputs(supervisor_usage, stdout);
    else if (options.version)
        puts("kosekifs " KOSEKIFS_VERSION);
    else if (options.dump_config)
        return dump_config(options.config);
    else
        return serve(&options);
    return 0;
}
