/*
 * See hidden.h. Inode numbers: the fixed ones of mountfs.h; a report is its certificate's number
 * with REPORT_BIT; a note under why/ gets a number from a ring of names asked for, since such a
 * name need not exist anywhere.
 */
#include "fs/hidden.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/certificate_report.h"
#include "fs/errno_table.h"
#include "fs/status.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum {
    REPORT_BIT = 1u << 30,
    WHY_INODE_FIRST = 1u << 31,
    WHY_NAMES_MAX = 1024,
    OPEN_TEXTS_MAX = 4096,
    HANDLE_SIZE_BITS = 19, /* the lower bits of a handle are the size of its text */
    HIDDEN_TEXT_MAX = (1 << HANDLE_SIZE_BITS) / 2,
};

struct open_text {
    struct open_text *next;
    uint64_t handle;
    char *text;
    size_t size;
};

struct hidden {
    pthread_mutex_t lock; /* guards all below */
    unsigned open_count;
    struct open_text *open;
    uint32_t next_name;
    struct certname names[WHY_NAMES_MAX];
};

struct hidden *hidden_new(void)
{
    struct hidden *hidden = calloc(1, sizeof *hidden);
    if (!hidden)
        return NULL;
    pthread_mutex_init(&hidden->lock, NULL);
    return hidden;
}

static void open_text_free(struct open_text *text)
{
    free(text->text);
    free(text);
}

struct hidden *hidden_free(struct hidden *hidden)
{
    if (!hidden)
        return NULL;
    while (hidden->open) {
        struct open_text *text = hidden->open;
        hidden->open = text->next;
        open_text_free(text);
    }
    pthread_mutex_destroy(&hidden->lock);
    free(hidden);
    return NULL;
}

bool hidden_owns(uint64_t inode)
{
    return (inode >= INODE_HIDDEN && inode <= INODE_WHYS) || inode > CACHE_INODE_LAST;
}

bool hidden_is_directory(uint64_t inode)
{
    return inode == INODE_HIDDEN || inode == INODE_REPORTS || inode == INODE_WHYS;
}

uint64_t hidden_parent(uint64_t inode)
{
    if (inode == INODE_HIDDEN)
        return INODE_ROOT;
    if (inode < CACHE_INODE_FIRST)
        return INODE_HIDDEN;
    return inode < WHY_INODE_FIRST ? INODE_REPORTS : INODE_WHYS;
}

/* --- names ------------------------------------------------------------------------------------ */

static uint64_t why_inode(struct hidden *hidden, const struct certname *name)
{
    pthread_mutex_lock(&hidden->lock);
    uint32_t slot = 0;
    while (slot < WHY_NAMES_MAX && strcmp(hidden->names[slot].text, name->text) != 0 &&
           hidden->names[slot].text[0])
        slot++;
    if (slot == WHY_NAMES_MAX) {
        slot = hidden->next_name;
        hidden->next_name = (slot + 1) % WHY_NAMES_MAX;
    }
    hidden->names[slot] = *name;
    pthread_mutex_unlock(&hidden->lock);
    return (uint64_t)WHY_INODE_FIRST + slot;
}

static bool why_name(struct hidden *hidden, uint64_t inode, struct certname *ret_name)
{
    uint64_t slot = inode - WHY_INODE_FIRST;
    if (inode < WHY_INODE_FIRST || slot >= WHY_NAMES_MAX)
        return false;
    pthread_mutex_lock(&hidden->lock);
    *ret_name = hidden->names[slot];
    pthread_mutex_unlock(&hidden->lock);
    return ret_name->text[0] != '\0';
}

bool hidden_exists(struct mountfs *fs, uint64_t inode)
{
    struct certname name;
    struct cache_entry entry;
    if (inode < CACHE_INODE_FIRST)
        return true;
    if (inode >= WHY_INODE_FIRST)
        return why_name(fs->hidden, inode, &name);
    return cache_find_inode(fs->cache, (uint32_t)(inode & ~(uint64_t)REPORT_BIT), &entry) == 0 &&
           entry.state != CACHE_KNOWN;
}

static bool may_see_report(struct mountfs *fs, struct caller *caller, const struct certname *name)
{
    const struct access_question question = {
        .want = ACCESS_XATTR, .stored = true, .now_s = clock_realtime_s()};
    struct access_decision decision;
    return access_decide(fs->access, caller, name, &question, &decision);
}

static uint64_t report_inode(struct mountfs *fs, struct caller *caller, const char *file)
{
    struct certname name;
    struct cache_entry entry;
    char text[CERTNAME_MAX + sizeof ".json"];
    size_t size = strlen(file);
    if (size >= sizeof text || size < sizeof ".json" ||
        strcmp(file + size - (sizeof ".json" - 1), ".json") != 0)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)(size - (sizeof ".json" - 1)), file);
    if (!certname_parse(text, &name) || !may_see_report(fs, caller, &name))
        return 0;
    if (cache_find(fs->cache, &name, &entry) != 0 || entry.state == CACHE_KNOWN)
        return 0;
    return entry.inode | REPORT_BIT;
}

uint64_t hidden_lookup(struct mountfs *fs, struct caller *caller, uint64_t parent, const char *name)
{
    static const struct {
        const char *name;
        uint64_t inode;
    } fixed[] = {{"status.json", INODE_STATUS},
                 {"metrics", INODE_METRICS},
                 {"report", INODE_REPORTS},
                 {"why", INODE_WHYS}};
    struct certname certname;
    if (parent == INODE_REPORTS)
        return report_inode(fs, caller, name);
    if (parent == INODE_WHYS)
        return certname_parse(name, &certname) ? why_inode(fs->hidden, &certname) : 0;
    for (size_t i = 0; parent == INODE_HIDDEN && i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(name, fixed[i].name) == 0)
            return fixed[i].inode;
    return 0;
}

/* --- texts ------------------------------------------------------------------------------------ */

static int report_text(struct mountfs *fs, struct caller *caller, uint64_t inode, char **ret_text)
{
    struct cache_entry entry;
    _cleanup_json_ struct json *report = NULL;
    if (cache_find_inode(fs->cache, (uint32_t)(inode & ~(uint64_t)REPORT_BIT), &entry) != 0)
        return ENOENT;
    if (!may_see_report(fs, caller, &entry.name))
        return EACCES;
    int r = certificate_report(fs, &entry, &report);
    if (r != 0)
        return r == -ENOMEM ? ENOMEM : ENOENT;
    *ret_text = json_print(report);
    return *ret_text ? 0 : ENOMEM;
}

static int why_text(struct mountfs *fs, struct caller *caller, uint64_t inode, char **ret_text)
{
    struct certname name;
    struct why_note note;
    struct cache_entry entry;
    char time[RFC3339_SIZE], times[CERTIFICATE_TIMES_MAX] = "";
    int size;
    if (!why_name(fs->hidden, inode, &name))
        return ESTALE;
    if (!why_find(fs->why, caller->uid, &name, &note) || note.error == 0) {
        size = asprintf(ret_text, "No attempt of yours at this name has failed lately.\n");
    } else if (note.error == EACCES) {
        size = asprintf(ret_text, "%s %s\n", errno_meaning(EACCES), errno_advice(EACCES));
    } else {
        rfc3339_format(note.at_s, time);
        if (cache_find(fs->cache, &name, &entry) == 0 && may_see_report(fs, caller, &name) &&
            certificate_times(fs, &entry, times) != 0)
            times[0] = '\0';
        size = asprintf(ret_text, "%s %s\n%s\n%s\n%s\n%s", time, errno_name(note.error),
                        errno_meaning(note.error), note.reason, errno_advice(note.error), times);
    }
    return size < 0 ? ENOMEM : 0;
}

static int status_text(struct mountfs *fs, char **ret_text)
{
    _cleanup_json_ struct json *status = status_object(fs);
    *ret_text = status ? json_print(status) : NULL;
    return *ret_text ? 0 : ENOMEM;
}

static int make_text(struct mountfs *fs, struct caller *caller, uint64_t inode, char **ret_text)
{
    if (inode == INODE_STATUS)
        return status_text(fs, ret_text);
    if (inode == INODE_METRICS) {
        *ret_text = status_metrics(fs);
        return *ret_text ? 0 : ENOMEM;
    }
    if (inode >= WHY_INODE_FIRST)
        return why_text(fs, caller, inode, ret_text);
    return report_text(fs, caller, inode, ret_text);
}

/* Makes the text and keeps it, under `handle` or under one made of `unique` and its size. */
static int keep_text(struct mountfs *fs, struct caller *caller, uint64_t inode, uint64_t unique,
                     uint64_t *handle)
{
    _cleanup_free_ char *text = NULL;
    int error = make_text(fs, caller, inode, &text);
    if (error)
        return error;
    struct open_text *open = calloc(1, sizeof *open);
    if (!open)
        return ENOMEM;
    open->size = strnlen(text, HIDDEN_TEXT_MAX);
    open->text = steal_ptr(&text);
    if (unique)
        *handle = unique << HANDLE_SIZE_BITS | open->size;
    open->handle = *handle;
    pthread_mutex_lock(&fs->hidden->lock);
    bool room = fs->hidden->open_count < OPEN_TEXTS_MAX;
    if (room) {
        open->next = fs->hidden->open;
        fs->hidden->open = open;
        fs->hidden->open_count++;
    }
    pthread_mutex_unlock(&fs->hidden->lock);
    if (!room)
        open_text_free(open);
    return room ? 0 : EAGAIN;
}

int hidden_open(struct mountfs *fs, struct caller *caller, uint64_t inode, uint64_t unique,
                uint64_t *ret_handle)
{
    return keep_text(fs, caller, inode, unique, ret_handle);
}

static bool copy_part(struct hidden *hidden, uint64_t handle, uint64_t offset, char *out,
                      size_t size, size_t *ret_got)
{
    pthread_mutex_lock(&hidden->lock);
    const struct open_text *open = hidden->open;
    while (open && open->handle != handle)
        open = open->next;
    if (open && offset < open->size) {
        *ret_got = open->size - offset < size ? open->size - offset : size;
        memcpy(out, open->text + offset, *ret_got);
    }
    pthread_mutex_unlock(&hidden->lock);
    return open != NULL;
}

size_t hidden_read(struct mountfs *fs, struct caller *caller, uint64_t inode, uint64_t handle,
                   uint64_t offset, char *out, size_t size, int *ret_error)
{
    size_t got = 0;
    *ret_error = 0;
    if ((inode & REPORT_BIT) && seals_cover_all(fs->seals)) {
        *ret_error = EPERM;
        return 0;
    }
    if (copy_part(fs->hidden, handle, offset, out, size, &got))
        return got;
    /* Opened in an earlier life of kosekifs-mount. */
    if (offset == 0) {
        *ret_error = keep_text(fs, caller, inode, 0, &handle);
        if (*ret_error == 0)
            copy_part(fs->hidden, handle, offset, out, size, &got);
    } else if (offset < (handle & ((1u << HANDLE_SIZE_BITS) - 1))) {
        *ret_error = ESTALE;
    }
    return got;
}

void hidden_release(struct mountfs *fs, uint64_t handle)
{
    pthread_mutex_lock(&fs->hidden->lock);
    struct open_text **link = &fs->hidden->open;
    while (*link && (*link)->handle != handle)
        link = &(*link)->next;
    struct open_text *open = *link;
    if (open) {
        *link = open->next;
        fs->hidden->open_count--;
    }
    pthread_mutex_unlock(&fs->hidden->lock);
    if (open)
        open_text_free(open);
}
