/*
 * /proc/<tid>/status and comm through descriptors kept in a small table, direct-mapped by thread
 * number. Threads whose numbers meet in one slot take turns and pay for open(2) each time.
 */
#include "fs/caller.h"

#include "base/bytes.h"

#include <fcntl.h>
#include <pthread.h>

enum {
    CALLER_SLOTS = 128, /* two descriptors each: within a soft limit of 1,024 */
    CALLER_STATUS_MAX = 16 * 1024,
    /* What unmapped groups look like from inside a user namespace: membership of nothing. */
    CALLER_OVERFLOW_GID = 65534,
};

struct slot {
    pthread_mutex_t lock; /* all below */
    pid_t pid;            /* 0 = empty */
    int comm_fd;
    int status_fd; /* -1 until groups are asked for */
};

struct caller_table {
    int proc_fd;
    struct slot slots[CALLER_SLOTS];
};

int caller_table_new(int proc_fd, struct caller_table **ret_table)
{
    struct caller_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    table->proc_fd = proc_fd;
    for (size_t i = 0; i < CALLER_SLOTS; i++) {
        pthread_mutex_init(&table->slots[i].lock, NULL);
        table->slots[i].comm_fd = -1;
        table->slots[i].status_fd = -1;
    }
    *ret_table = table;
    return 0;
}

static void slot_clear(struct slot *slot)
{
    cleanup_close(&slot->comm_fd);
    cleanup_close(&slot->status_fd);
    slot->pid = 0;
    slot->comm_fd = -1;
    slot->status_fd = -1;
}

struct caller_table *caller_table_free(struct caller_table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < CALLER_SLOTS; i++) {
        slot_clear(&table->slots[i]);
        pthread_mutex_destroy(&table->slots[i].lock);
    }
    free(table);
    return NULL;
}

static struct slot *slot_lock(struct caller_table *table, pid_t pid)
{
    struct slot *slot = &table->slots[(unsigned)pid % CALLER_SLOTS];
    pthread_mutex_lock(&slot->lock);
    if (slot->pid != pid) {
        slot_clear(slot);
        slot->pid = pid;
    }
    return slot;
}

static ssize_t read_kept(const struct caller_table *table, pid_t pid, const char *file, int *kept,
                         char *out, size_t size)
{
    for (;;) {
        bool fresh = *kept < 0;
        if (fresh) {
            char path[32];
            snprintf(path, sizeof path, "%d/%s", (int)pid, file);
            *kept = openat(table->proc_fd, path, O_RDONLY | O_CLOEXEC);
            if (*kept < 0)
                return -errno;
        }
        ssize_t got = pread(*kept, out, size, 0);
        if (got >= 0)
            return got;
        /* ESRCH: the thread that the descriptor was opened for has ended; another may have its
         * number by now. */
        int error = errno;
        close(*kept);
        *kept = -1;
        if (fresh)
            return -error;
    }
}

static void take_comm(struct caller *caller, const char *text, size_t size)
{
    caller->comm_asked = true;
    size_t used = 0;
    while (used < size && used < CALLER_COMM_SIZE - 1 && text[used] != '\n') {
        bool printable = text[used] >= 0x20 && text[used] < 0x7f;
        caller->unverified_comm[used] = printable ? text[used] : '?';
        used++;
    }
    caller->unverified_comm[used] = '\0';
}

/* All but the groups, which are 4 KiB that need no clearing. */
static void caller_clear(struct caller *caller, uid_t uid, gid_t gid, pid_t pid)
{
    caller->uid = uid;
    caller->gid = gid;
    caller->pid = pid;
    caller->table = NULL;
    caller->comm_asked = false;
    caller->unverified_comm[0] = '\0';
    caller->groups_asked = false;
    caller->groups_known = false;
    caller->group_count = 0;
}

void caller_of(struct caller_table *table, uid_t uid, gid_t gid, pid_t pid,
               struct caller *ret_caller)
{
    caller_clear(ret_caller, uid, gid, pid > 0 ? pid : 0);
    ret_caller->table = pid > 0 ? table : NULL;
}

static void load_comm(struct caller *caller)
{
    char text[CALLER_COMM_SIZE + 1];
    struct slot *slot = slot_lock(caller->table, caller->pid);
    ssize_t size = read_kept(caller->table, caller->pid, "comm", &slot->comm_fd, text, sizeof text);
    pthread_mutex_unlock(&slot->lock);
    take_comm(caller, text, size > 0 ? (size_t)size : 0); /* asked once, whatever comes out */
}

const char *caller_unverified_comm(struct caller *caller)
{
    if (caller->table && !caller->comm_asked)
        load_comm(caller);
    return caller->unverified_comm;
}

static int compare_gids(const void *a, const void *b)
{
    gid_t left = *(const gid_t *)a, right = *(const gid_t *)b;
    return (left > right) - (left < right);
}

static void sort_groups(struct caller *caller)
{
    for (size_t i = 1; i < caller->group_count; i++) {
        if (caller->groups[i - 1] > caller->groups[i]) { /* the kernel keeps them sorted */
            qsort(caller->groups, caller->group_count, sizeof caller->groups[0], compare_gids);
            return;
        }
    }
}

void caller_of_groups(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count,
                      struct caller *ret_caller)
{
    caller_clear(ret_caller, uid, gid, 0);
    ret_caller->groups_known = true;
    for (size_t i = 0; i < group_count && i < CALLER_GROUPS_MAX; i++)
        ret_caller->groups[ret_caller->group_count++] = groups[i];
    sort_groups(ret_caller);
}

/* A decimal number that something follows, else it may have been cut off; moves *text behind it. */
static bool next_number(const char **text, const char *end, uint32_t *ret_value)
{
    const char *c = *text;
    while (c < end && (*c == ' ' || *c == '\t'))
        c++;
    uint64_t value = 0;
    const char *digits = c;
    for (; c < end && *c >= '0' && *c <= '9'; c++) {
        value = value * 10 + (uint64_t)(*c - '0');
        if (value > UINT32_MAX)
            return false;
    }
    if (c == digits || c == end)
        return false;
    *ret_value = (uint32_t)value;
    *text = c;
    return true;
}

/* What follows "\nKEY:", up to the end of the text; NULL if there is no such line. */
static const char *find_line(const char *status, size_t size, const char *key)
{
    const char *line = memmem(status, size, key, strlen(key));
    return line ? line + strlen(key) : NULL;
}

/* Real, effective, saved and file system id: FUSE tells the last. */
static bool fsid_is(const char *numbers, const char *end, uint32_t id)
{
    uint32_t value = 0;
    for (int i = 0; numbers && i < 4; i++) {
        if (!next_number(&numbers, end, &value))
            return false;
    }
    return numbers && value == id;
}

/* The first line. The kernel writes a line feed in a name as \n and a backslash twice; `comm` has
 * the name as it is, and take_comm() ends at the line feed. */
static void parse_name(struct caller *caller, const char *status, size_t size)
{
    static const char key[] = "Name:\t";
    char name[CALLER_COMM_SIZE];
    size_t used = 0;
    if (size < sizeof key - 1 || memcmp(status, key, sizeof key - 1) != 0)
        return;
    for (size_t i = sizeof key - 1; i < size && status[i] != '\n' && used < sizeof name; i++) {
        bool escaped = status[i] == '\\' && i + 1 < size;
        if (escaped)
            i++;
        name[used++] = escaped && status[i] == 'n' ? '\n' : status[i];
    }
    take_comm(caller, name, used);
}

bool caller_parse_status(struct caller *caller, const char *status, size_t size)
{
    const char *end = status + size;
    parse_name(caller, status, size);
    const char *groups = find_line(status, size, "\nGroups:");
    if (!groups || !fsid_is(find_line(status, size, "\nUid:"), end, caller->uid) ||
        !fsid_is(find_line(status, size, "\nGid:"), end, caller->gid))
        return false;

    uint32_t gid;
    uint16_t count = 0;
    while (count < CALLER_GROUPS_MAX && next_number(&groups, end, &gid)) {
        if (gid != CALLER_OVERFLOW_GID)
            caller->groups[count++] = gid;
    }
    caller->group_count = count;
    caller->groups_known = true;
    sort_groups(caller);
    return true;
}

static void load_groups(struct caller *caller)
{
    char status[CALLER_STATUS_MAX];
    struct slot *slot = slot_lock(caller->table, caller->pid);
    ssize_t size =
        read_kept(caller->table, caller->pid, "status", &slot->status_fd, status, sizeof status);
    pthread_mutex_unlock(&slot->lock);
    caller->groups_asked = true; /* once, whatever comes out */
    if (size > 0 && !caller_parse_status(caller, status, (size_t)size))
        caller->group_count = 0;
}

bool caller_in_group(struct caller *caller, gid_t gid)
{
    if (gid == caller->gid)
        return true;
    if (caller->table && !caller->groups_asked)
        load_groups(caller);
    return bsearch(&gid, caller->groups, caller->group_count, sizeof gid, compare_gids) != NULL;
}
