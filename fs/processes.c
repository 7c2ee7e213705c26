/* See fs/processes.h. */
#include "fs/processes.h"

#include "base/json.h"
#include "base/room.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>

enum { STATUS_MAX = 8192, VALUE_SIZE = 64 };

struct processes {
    int proc_fd;
    pthread_mutex_t lock; /* the list */
    struct room_process list[ROOM_PROCESS_MAX];
    size_t count;
};

struct processes *processes_new(int proc_fd)
{
    struct processes *processes = calloc(1, sizeof *processes);
    if (!processes)
        return NULL;
    processes->proc_fd = proc_fd;
    pthread_mutex_init(&processes->lock, NULL);
    return processes;
}

struct processes *processes_free(struct processes *processes)
{
    if (processes) {
        pthread_mutex_destroy(&processes->lock);
        free(processes);
    }
    return NULL;
}

int processes_take(struct processes *processes, const struct ipc_message *message)
{
    size_t count = message->size / sizeof processes->list[0];
    if (message->fd_count != 0 || count > ROOM_PROCESS_MAX ||
        message->size != count * sizeof processes->list[0])
        return -EBADMSG;
    pthread_mutex_lock(&processes->lock);
    memcpy(processes->list, message->payload, message->size);
    processes->count = count;
    pthread_mutex_unlock(&processes->lock);
    return 0;
}

static size_t copy_list(struct processes *processes, struct room_process list[ROOM_PROCESS_MAX])
{
    pthread_mutex_lock(&processes->lock);
    size_t count = processes->count;
    memcpy(list, processes->list, count * sizeof list[0]);
    pthread_mutex_unlock(&processes->lock);
    return count;
}

const char *processes_level(struct processes *processes)
{
    struct room_process list[ROOM_PROCESS_MAX];
    size_t count = copy_list(processes, list);
    uint32_t least = CONFINE_FULL;
    for (size_t i = 0; i < count; i++)
        if (list[i].role != ROOM_SUPERVISOR && list[i].report.level < least)
            least = list[i].report.level;
    return confine_level_text(count > 1 ? least : CONFINE_NONE);
}

static bool read_status(const struct processes *processes, pid_t pid, char out[STATUS_MAX])
{
    char path[32];
    snprintf(path, sizeof path, "%d/status", (int)pid);
    _cleanup_close_ int fd = openat(processes->proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, out, STATUS_MAX - 1);
    if (size <= 0)
        return false;
    out[size] = '\0';
    return true;
}

/* The first word behind "KEY:". */
static bool find_value(const char *status, const char *key, char out[VALUE_SIZE])
{
    const char *line = strstr(status, key);
    if (!line)
        return false;
    line += strlen(key);
    line += strspn(line, " \t");
    size_t size = strcspn(line, " \t\n");
    if (size == 0 || size >= VALUE_SIZE)
        return false;
    memcpy(out, line, size);
    out[size] = '\0';
    return true;
}

static bool is_zero(const char *digits)
{
    return digits[strspn(digits, "0")] == '\0';
}

/* Permitted, since what is permitted can be made effective. */
static int set_capabilities(struct json *object, const char *status)
{
    char permitted[VALUE_SIZE], ambient[VALUE_SIZE];
    if (!find_value(status, "\nCapPrm:", permitted) || !find_value(status, "\nCapAmb:", ambient))
        return json_set_text(object, "capabilities", "?");
    return json_set_text(object, "capabilities",
                         is_zero(permitted) && is_zero(ambient) ? "none" : permitted);
}

static int set_seccomp(struct json *object, const char *status)
{
    static const char *const modes[] = {"none", "strict", "filter"};
    char mode[VALUE_SIZE];
    unsigned long number = find_value(status, "\nSeccomp:", mode) ? strtoul(mode, NULL, 10) : ~0ul;
    return json_set_text(object, "seccomp", number < 3 ? modes[number] : "?");
}

static int set_status(struct json *object, const char *status)
{
    char uid[VALUE_SIZE], no_new_privs[VALUE_SIZE];
    if (!find_value(status, "\nUid:", uid) || !find_value(status, "\nNoNewPrivs:", no_new_privs))
        return 0;
    int r = json_set_integer(object, "uid", strtol(uid, NULL, 10));
    if (r == 0)
        r = set_capabilities(object, status);
    if (r == 0)
        r = json_set_bool(object, "no_new_privs", strcmp(no_new_privs, "1") == 0);
    return r < 0 ? r : set_seccomp(object, status);
}

static struct json *process_object(const struct processes *processes,
                                   const struct room_process *process)
{
    char status[STATUS_MAX];
    const struct confine_report *report = &process->report;
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_integer(object, "pid", process->pid) < 0 ||
        json_set_text(object, "sandbox", confine_level_text(report->level)) < 0)
        return NULL;
    if (read_status(processes, process->pid, status) && set_status(object, status) < 0)
        return NULL;
    if (process->role == ROOM_SUPERVISOR)
        return steal_ptr(&object);
    if (json_set_integer(object, "landlock_abi", report->landlock_abi) < 0 ||
        json_set_text(object, "not_restricted", landlock_missing((int)report->landlock_abi)) < 0)
        return NULL;
    return steal_ptr(&object);
}

static void name_of(const struct room_process *process, char out[VALUE_SIZE])
{
    if (process->role == ROOM_SUPERVISOR)
        snprintf(out, VALUE_SIZE, "kosekifs");
    else if (process->role == ROOM_VERIFY || process->role == ROOM_SCHEMA)
        snprintf(out, VALUE_SIZE, "kosekifs-%s[%u]", room_role_name(process->role), process->index);
    else
        snprintf(out, VALUE_SIZE, "kosekifs-%s", room_role_name(process->role));
}

struct json *processes_object(struct processes *processes)
{
    struct room_process list[ROOM_PROCESS_MAX];
    size_t count = copy_list(processes, list);
    _cleanup_json_ struct json *object = json_object_new();
    for (size_t i = 0; object && i < count; i++) {
        char name[VALUE_SIZE];
        name_of(&list[i], name);
        if (json_set(object, name, process_object(processes, &list[i])) < 0)
            return NULL;
    }
    return steal_ptr(&object);
}
