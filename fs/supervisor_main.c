/* kosekifs: the program that operators, mount(8) and systemd start. */
#include "base/bytes.h"
#include "base/log.h"
#include "fs/generation.h"
#include "fs/journal.h"
#include "fs/supervisor.h"
#include "fs/supervisor_daemon.h"
#include "fs/supervisor_exit.h"
#include "fs/supervisor_inventory.h"
#include "fs/supervisor_options.h"
#include "fs/supervisor_state.h"
#include "fs/survivors.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* For a kosekifs-mount whose supervisor is gone and which still ends. */
enum { RESUMED_AWAIT_MS = 15000, FRESH_AWAIT_MS = 5000 };

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

/* A fresh start: nothing is mounted yet. */
static int begin_anew(const struct supervisor_options *options, struct supervisor_task *task)
{
    int code = mountpoint_exit(mountpoint_open(options->mount_point, task->mountpoint));
    if (code == 0)
        code = check_places(task->mountpoint, &task->inputs->config.mount);
    return code;
}

/* What an earlier supervisor left cannot be gone on with: its mount is taken away. */
static void clear_away(const struct survivor_record *record, struct survivors *survivors)
{
    struct mountpoint old;
    survivors_restore(record, NULL, &old, NULL);
    survivors_unstore();
    survivors_close(survivors);
    mountpoint_unmount(&old);
}

/* Goes on with the mount of an earlier supervisor, if there is one that fits. */
static int take_place(const struct supervisor_options *options, struct supervisor_task *task)
{
    static struct survivor_record record;
    struct survivors survivors;
    int taken = survivors_take(&survivors, &record);
    if (taken != 0)
        return begin_anew(options, task);
    const char *misfit = survivors_misfit(&record, options->mount_point, task->inputs);
    survivors_restore(&record, &survivors, task->mountpoint, task->inputs);
    task->fuse_fd = steal_fd(&survivors.fds[SURVIVOR_FUSE]);
    task->journal_fd = steal_fd(&survivors.fds[SURVIVOR_JOURNAL]);
    task->gone_ms = record.gone_ms;
    if (record.gone_ms == 0 && memory_equal(record.generation, task->generation, SHA256_SIZE))
        task->record_fd = steal_fd(&survivors.fds[SURVIVOR_RECORD]);
    task->resumed =
        !misfit && journal_check(task->journal_fd) == 0 && mountpoint_is_mounted(task->mountpoint);
    survivors_close(&survivors);
    if (task->resumed)
        return 0;
    log_warning("%s: unmounting what an earlier kosekifs left: %s", record.path,
                misfit ? misfit : "it cannot be gone on with");
    cleanup_close(&task->fuse_fd);
    cleanup_close(&task->journal_fd);
    cleanup_close(&task->record_fd);
    cleanup_close(&task->inputs->open_files_fd);
    cleanup_close(&task->inputs->control.fd);
    task->fuse_fd = task->journal_fd = task->record_fd = -1;
    task->inputs->open_files_fd = task->inputs->control.fd = -1;
    clear_away(&record, &survivors);
    return begin_anew(options, task);
}

static int find_origin(char *const arguments[], struct supervisor_origin *ret_origin)
{
    static const char deleted[] = " (deleted)";
    struct supervisor_origin origin = {.arguments = arguments};
    ssize_t size = readlink("/proc/self/exe", origin.program, sizeof origin.program - 1);
    origin.directory_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (size <= 0 || origin.directory_fd < 0) {
        log_error("cannot tell how kosekifs was started: %s", strerror(errno));
        return EXIT_OSERR;
    }
    char *end = strstr(origin.program, deleted);
    if (end && end[sizeof deleted - 1] == '\0')
        *end = '\0'; /* replaced since: what stands there now */
    *ret_origin = origin;
    return 0;
}

static int settle_task(const struct supervisor_options *options, struct supervisor_task *task)
{
    int code = take_place(options, task);
    if (code == 0)
        code = settle();
    if (code == 0)
        supervisor_state_await(task->inputs->config.mount.state_directory,
                               task->resumed ? RESUMED_AWAIT_MS : FRESH_AWAIT_MS);
    if (code == 0)
        code = supervisor_inputs_claim(task->inputs);
    if (code == 0 && supervisor_daemon_log(options->foreground, &task->log_fd) < 0)
        code = EXIT_OSERR;
    if (code == 0 && !options->foreground && !task->resumed &&
        supervisor_daemon_begin(&task->ready_fd) < 0)
        code = EXIT_OSERR;
    return code;
}

/* --try: beside one that runs, if it gave us what a next one would get; else by itself. */
static int settle_attempt(const struct supervisor_options *options, struct supervisor_task *task)
{
    static struct survivor_record record;
    struct survivors survivors;
    int taken = survivors_take(&survivors, &record);
    int code = taken < 0 ? EXIT_FAILED : 0;
    if (taken == 0) {
        const char *misfit = survivors_misfit(&record, options->mount_point, task->inputs);
        int journal = journal_check(survivors.fds[SURVIVOR_JOURNAL]);
        if (misfit)
            log_error("%s cannot change while mounted: unmount and start kosekifs again", misfit);
        else if (journal < 0)
            log_error("this kosekifs cannot go on with the request journal of the one that runs: "
                      "unmount and start kosekifs again");
        code = misfit || journal < 0 ? EXIT_CONFIG : 0;
        if (code == 0 && memory_equal(record.generation, task->generation, SHA256_SIZE))
            code = EXIT_SAME;
        survivors_close(&survivors);
    }
    task->attempt = true;
    if (code == 0 && supervisor_daemon_log(true, &task->log_fd) < 0)
        code = EXIT_OSERR;
    if (code == 0)
        code = supervisor_inputs_pretend(task->inputs);
    return code;
}

static int serve(const struct supervisor_options *options, char *const arguments[])
{
    static struct supervisor_inputs inputs;
    static struct supervisor_task task;
    struct mountpoint mountpoint = {.fd = -1};
    task = (struct supervisor_task){.source = options->source,
                                    .argument = options->mount_point,
                                    .inputs = &inputs,
                                    .mountpoint = &mountpoint,
                                    .fuse_fd = -1,
                                    .journal_fd = -1,
                                    .record_fd = -1,
                                    .ready_fd = -1,
                                    .log_fd = -1};
    int code = find_origin(arguments, &task.origin);
    if (code == 0)
        code = supervisor_inputs_read(options->config, &inputs);
    if (code != 0)
        return code;
    if (generation_of(&inputs, task.origin.program, task.generation) < 0)
        code = EXIT_OSERR;
    if (code == 0)
        code = options->attempt ? settle_attempt(options, &task) : settle_task(options, &task);
    if (code == 0 && !options->attempt && !task.resumed)
        code = inventory_check_start(&inputs.config, inputs.config_path);
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
        return serve(&options, arguments);
    return 0;
}
