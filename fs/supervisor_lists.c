/*
 * The files with revocation lists, which something outside keeps up to date: looked at every two
 * seconds by name, size and times, read when any of these changed. Whether a list is good is for
 * kosekifs-verify to say; here it is bytes.
 */
#include "fs/supervisor_private.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { LOOK_MS = 2000, SEEN_MAX = 1024 * 1024 };

static void add_file(struct buffer *seen, const char *path)
{
    struct stat status = {0};
    (void)!stat(path, &status);
    const uint64_t facts[] = {status.st_ino, (uint64_t)status.st_size,
                              (uint64_t)status.st_mtim.tv_sec, (uint64_t)status.st_mtim.tv_nsec,
                              (uint64_t)status.st_ctim.tv_nsec};
    /* Beyond the ceiling a change shows in the directory's own times. */
    if (buffer_append(seen, path, strlen(path)) == 0)
        (void)!buffer_append(seen, facts, sizeof facts);
}

static void add_directory(struct buffer *seen, const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];
        if (entries[i]->d_name[0] != '.' &&
            snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name) < (int)sizeof file)
            add_file(seen, file);
        free(entries[i]);
    }
    free(entries);
}

/* -ENOMEM. */
static int look(const char *list, uint8_t ret_seen[SHA256_SIZE])
{
    _cleanup_buffer_ struct buffer seen;
    char path[PATH_MAX];
    struct stat status;
    buffer_init(&seen, SEEN_MAX);
    while (config_list_next(&list, path, sizeof path)) {
        add_file(&seen, path);
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            add_directory(&seen, path);
    }
    return sha256(seen.data, seen.size, ret_seen);
}

void supervisor_lists_reload(struct supervisor *supervisor)
{
    struct supervisor_inputs *inputs = supervisor->task->inputs;
    int fd = -1;
    if (look(inputs->config.trust.crls, supervisor->lists_seen) < 0 ||
        supervisor_read_lists(&inputs->config.trust, &fd) < 0) {
        log_error("revocation lists stay as they were");
        return;
    }
    cleanup_close(&inputs->lists_fd);
    inputs->lists_fd = fd;
    rooms_send(rooms_find(&supervisor->rooms, ROOM_MOUNT, 0), ROOM_LISTS, NULL, 0, fd);
}

void supervisor_lists_tend(struct supervisor *supervisor)
{
    uint8_t seen[SHA256_SIZE];
    int64_t now_ms = clock_monotonic_ms();
    if (supervisor->phase != PHASE_RUNNING || now_ms < supervisor->lists_look_ms)
        return;
    supervisor->lists_look_ms = now_ms + LOOK_MS;
    /* The first look finds "changed": the start may have read something older. */
    if (look(supervisor->task->inputs->config.trust.crls, seen) == 0 &&
        !memory_equal(seen, supervisor->lists_seen, SHA256_SIZE))
        supervisor_lists_reload(supervisor);
}
