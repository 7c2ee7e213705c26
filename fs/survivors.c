/* See fs/survivors.h. The names are those of FDNAME= and LISTEN_FDNAMES. */
#include "fs/survivors.h"

#include "base/log.h"
#include "base/memfd.h"
#include "fs/supervisor_notify.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <string.h>
#include <sys/stat.h>

enum {
    RECORD_MAGIC = 0x4b535652,
    RECORD_VERSION = 1,
    FIRST_FD = 3, /* SD_LISTEN_FDS_START */
    LISTEN_FDS_MAX = 16,
    SAFE_FD = 64, /* above whatever is given */
};

static const char *const names[SURVIVOR_COUNT] = {
    [SURVIVOR_RECORD] = "record",   [SURVIVOR_FUSE] = "fuse",
    [SURVIVOR_JOURNAL] = "journal", [SURVIVOR_OPEN_FILES] = "open-files",
    [SURVIVOR_CONTROL] = "control",
};

void survivors_init(struct survivors *survivors)
{
    for (unsigned i = 0; i < SURVIVOR_COUNT; i++)
        survivors->fds[i] = -1;
}

void survivors_close(struct survivors *survivors)
{
    for (unsigned i = 0; i < SURVIVOR_COUNT; i++)
        cleanup_close(&survivors->fds[i]);
    survivors_init(survivors);
}

static long number_of(const char *name)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

/* Sorts the descriptors by name; one that nobody knows, or that comes twice, is closed. */
static void sort(struct survivors *survivors, long count, const char *list)
{
    for (long i = 0; i < count; i++) {
        int fd = FIRST_FD + (int)i;
        size_t size = strcspn(list, ":");
        unsigned n = 0;
        while (n < SURVIVOR_COUNT &&
               (strlen(names[n]) != size || memcmp(names[n], list, size) != 0))
            n++;
        if (n == SURVIVOR_COUNT || survivors->fds[n] >= 0) {
            close(fd);
        } else {
            /* Away from the numbers that standard streams and rooms use. */
            survivors->fds[n] = fcntl(fd, F_DUPFD_CLOEXEC, SAFE_FD);
            close(fd);
        }
        list += size + (list[size] == ':');
    }
}

static bool text_ok(const char *text, size_t size)
{
    return *text != '\0' && memchr(text, '\0', size) != NULL;
}

static int read_record(int fd, struct survivor_record *ret_record)
{
    struct survivor_record *record = ret_record;
    size_t size;
    if (memfd_check_sealed(fd, sizeof *record, &size) < 0 || size != sizeof *record ||
        pread(fd, record, sizeof *record, 0) != (ssize_t)sizeof *record ||
        record->magic != RECORD_MAGIC || record->version != RECORD_VERSION)
        return -EBADMSG;
    bool whole = text_ok(record->argument, sizeof record->argument) &&
                 text_ok(record->path, sizeof record->path) &&
                 text_ok(record->device, sizeof record->device) &&
                 text_ok(record->state_directory, sizeof record->state_directory) &&
                 text_ok(record->control_socket, sizeof record->control_socket);
    return whole ? 0 : -EBADMSG;
}

int survivors_take(struct survivors *ret_survivors, struct survivor_record *ret_record)
{
    const char *list = getenv("LISTEN_FDNAMES");
    long count = number_of("LISTEN_PID") == getpid() ? number_of("LISTEN_FDS") : 0;
    bool complete = true;
    survivors_init(ret_survivors);
    if (count <= 0 || count > LISTEN_FDS_MAX || !list)
        return SURVIVORS_NONE;
    sort(ret_survivors, count, list);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (unsigned i = 0; i < SURVIVOR_COUNT; i++)
        complete = complete && ret_survivors->fds[i] >= 0;
    if (complete && read_record(ret_survivors->fds[SURVIVOR_RECORD], ret_record) == 0)
        return 0;
    log_error("what an earlier kosekifs left is incomplete or of another version");
    survivors_close(ret_survivors);
    return -EBADMSG;
}

int survivors_record(const char *argument, const struct mountpoint *mountpoint,
                     const struct supervisor_inputs *inputs, const uint8_t generation[SHA256_SIZE],
                     int64_t gone_ms, int *ret_fd)
{
    _cleanup_free_ struct survivor_record *record = calloc(1, sizeof *record);
    if (!record)
        return -ENOMEM;
    const struct config_mount *mount = &inputs->config.mount;
    record->magic = RECORD_MAGIC;
    record->version = RECORD_VERSION;
    record->privileged = mountpoint->privileged;
    record->allow_other = mountpoint->allow_other;
    record->control_device = inputs->control.device;
    record->control_inode = inputs->control.inode;
    record->control_group = inputs->accounts.control_group;
    record->mount_uid = inputs->accounts.rooms[ROOM_MOUNT].uid;
    record->gone_ms = gone_ms;
    snprintf(record->argument, sizeof record->argument, "%s", argument);
    snprintf(record->path, sizeof record->path, "%s", mountpoint->path);
    snprintf(record->device, sizeof record->device, "%s", mountpoint->device);
    snprintf(record->state_directory, sizeof record->state_directory, "%s", mount->state_directory);
    snprintf(record->control_socket, sizeof record->control_socket, "%s", mount->control_socket);
    memcpy(record->generation, generation, SHA256_SIZE);
    return memfd_of("supervisor-record", record, sizeof *record, ret_fd);
}

void survivors_restore(const struct survivor_record *record, struct survivors *survivors,
                       struct mountpoint *ret_mountpoint, struct supervisor_inputs *inputs)
{
    *ret_mountpoint = (struct mountpoint){
        .fd = -1, .privileged = record->privileged, .allow_other = record->allow_other};
    memcpy(ret_mountpoint->path, record->path, sizeof ret_mountpoint->path);
    memcpy(ret_mountpoint->device, record->device, sizeof ret_mountpoint->device);
    if (!inputs)
        return;
    inputs->open_files_fd = steal_fd(&survivors->fds[SURVIVOR_OPEN_FILES]);
    inputs->control.fd = steal_fd(&survivors->fds[SURVIVOR_CONTROL]);
    inputs->control.device = record->control_device;
    inputs->control.inode = record->control_inode;
    snprintf(inputs->control.path, sizeof inputs->control.path, "%s", record->control_socket);
}

const char *survivors_misfit(const struct survivor_record *record, const char *argument,
                             const struct supervisor_inputs *inputs)
{
    const struct config_mount *mount = &inputs->config.mount;
    if (strcmp(record->argument, argument) != 0)
        return "the mount point";
    if (strcmp(record->state_directory, mount->state_directory) != 0)
        return "[mount] state_directory";
    if (strcmp(record->control_socket, mount->control_socket) != 0)
        return "[mount] control_socket";
    if (record->control_group != inputs->accounts.control_group)
        return "[mount] control_group";
    if (record->mount_uid != inputs->accounts.rooms[ROOM_MOUNT].uid)
        return "[users] mount";
    return NULL;
}

void survivors_store(const struct survivors *survivors)
{
    for (unsigned i = 0; i < SURVIVOR_COUNT; i++)
        supervisor_notify_fd(survivors->fds[i], "FDSTORE=1\nFDNAME=%s", names[i]);
}

void survivors_unstore(void)
{
    for (unsigned i = 0; i < SURVIVOR_COUNT; i++)
        supervisor_notify("FDSTOREREMOVE=1\nFDNAME=%s", names[i]);
}

static int set_environment(void)
{
    char list[256] = "", number[16];
    for (unsigned i = 0; i < SURVIVOR_COUNT; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ":" : "", names[i]);
    snprintf(number, sizeof number, "%d", getpid());
    if (setenv("LISTEN_PID", number, 1) < 0 || setenv("LISTEN_FDNAMES", list, 1) < 0)
        return -errno;
    snprintf(number, sizeof number, "%d", SURVIVOR_COUNT);
    return setenv("LISTEN_FDS", number, 1) < 0 ? -errno : 0;
}

int survivors_exec(const struct survivors *survivors, const char *program, char *const arguments[],
                   int directory_fd)
{
    int moved[SURVIVOR_COUNT];
    int directory = fcntl(directory_fd, F_DUPFD_CLOEXEC, SAFE_FD);
    int r = set_environment();
    for (unsigned i = 0; r == 0 && i < SURVIVOR_COUNT; i++) {
        moved[i] = fcntl(survivors->fds[i], F_DUPFD_CLOEXEC, SAFE_FD);
        r = moved[i] < 0 ? -errno : 0;
    }
    for (unsigned i = 0; r == 0 && i < SURVIVOR_COUNT; i++)
        r = dup2(moved[i], FIRST_FD + (int)i) < 0 ? -errno : 0;
    if (r == 0 && (directory < 0 || fchdir(directory) < 0 ||
                   close_range(FIRST_FD + SURVIVOR_COUNT, ~0u, CLOSE_RANGE_CLOEXEC) < 0))
        r = -errno;
    if (r < 0)
        return r;
    execv(program, arguments);
    r = -errno;
    if (chdir("/") < 0)
        log_debug("cannot go to /");
    return r;
}
