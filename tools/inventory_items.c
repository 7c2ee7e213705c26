#include "tools/inventory_items.h"

#include "base/bytes.h"
#include "base/config.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const kinds[] = {"program", "library", "script",      "configuration", "policy",
                                    "schema",  "anchor",  "certificate", "other"};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0], OTHER = KIND_COUNT - 1 };

static const char *kind_of(const char *text)
{
    for (size_t i = 0; text && i < KIND_COUNT; i++)
        if (strcmp(kinds[i], text) == 0)
            return kinds[i];
    return kinds[OTHER];
}

/* --- list ------------------------------------------------------------------------------------- */

static int append(struct inventory *inventory, const struct inventory_item *item)
{
    if (inventory->count == inventory->capacity) {
        size_t more = inventory->capacity ? 2 * inventory->capacity : 64;
        if (more > INVENTORY_ITEMS_MAX)
            return -E2BIG;
        struct inventory_item *grown = reallocarray(inventory->list, more, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        inventory->list = grown;
        inventory->capacity = more;
    }
    inventory->list[inventory->count++] = *item;
    return 0;
}

int inventory_add(struct inventory *inventory, const char *kind, const char *path)
{
    for (size_t i = 0; i < inventory->count; i++)
        if (strcmp(inventory->list[i].path, path) == 0)
            return 0;
    struct inventory_item item = {.path = strdup(path), .kind = kind_of(kind)};
    int error = item.path ? append(inventory, &item) : -ENOMEM;
    if (error < 0)
        free(item.path);
    return error;
}

void inventory_done(struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->count; i++)
        free(inventory->list[i].path);
    free(inventory->list);
    *inventory = (struct inventory){0};
}

static int item_compare(const void *a, const void *b)
{
    return strcmp(((const struct inventory_item *)a)->path,
                  ((const struct inventory_item *)b)->path);
}

const struct inventory_item *inventory_find(const struct inventory *inventory, const char *path)
{
    for (size_t i = 0; i < inventory->count; i++)
        if (strcmp(inventory->list[i].path, path) == 0)
            return &inventory->list[i];
    return NULL;
}

/* --- digests ---------------------------------------------------------------------------------- */

static int digest_file(struct inventory_item *item)
{
    uint8_t block[64 * 1024];
    _cleanup_close_ int fd = open(item->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    _cleanup_sha256_stream_ struct sha256_stream *hash = sha256_stream_new();
    int error = hash ? 0 : -ENOMEM;
    while (error == 0) {
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            error = got < 0 ? -errno : 0;
            break;
        }
        item->size += (uint64_t)got;
        error = sha256_stream_update(hash, block, (size_t)got);
    }
    return error == 0 ? sha256_stream_finish(hash, item->sha256) : error;
}

void inventory_finish(struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->count; i++)
        inventory->list[i].error = -digest_file(&inventory->list[i]);
    qsort(inventory->list, inventory->count, sizeof *inventory->list, item_compare);
}

/* --- what is configured ----------------------------------------------------------------------- */

static int add_list(struct inventory *inventory, const char *kind, const char *list)
{
    char path[INVENTORY_PATH_MAX];
    int error = 0;
    while (error == 0 && config_list_next(&list, path, sizeof path))
        error = inventory_add(inventory, kind, path);
    return error;
}

/* Schemas change by kosekictl only, which leaves a record; here they are compared as files. */
static int add_tree(struct inventory *inventory, const char *kind, char *path)
{
    char *const roots[] = {path, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int error = tree ? 0 : -errno;
    FTSENT *entry;
    while (error == 0 && (entry = fts_read(tree)))
        if (entry->fts_info == FTS_F)
            error = inventory_add(inventory, kind, entry->fts_path);
    if (tree)
        fts_close(tree);
    return error;
}

/* Files, or directories of them. */
static int add_anchors(struct inventory *inventory, const char *list)
{
    char path[INVENTORY_PATH_MAX];
    struct stat status;
    int error = 0;
    while (error == 0 && config_list_next(&list, path, sizeof path)) {
        bool directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
        error = directory ? add_tree(inventory, "anchor", path)
                          : inventory_add(inventory, "anchor", path);
    }
    return error;
}

int inventory_add_configured(struct inventory *inventory, const char *config_path,
                             const struct config *config)
{
    char schemas[sizeof config->trust.schema_directory];
    memcpy(schemas, config->trust.schema_directory, sizeof schemas);
    int error = inventory_add(inventory, "configuration", config_path);
    if (error == 0)
        error = inventory_add(inventory, "policy", config->mount.access_policy);
    if (error == 0)
        error = inventory_add(inventory, "anchor", config->link.ca_file);
    if (error == 0)
        error = add_list(inventory, "certificate", config->link.certificate_file);
    if (error == 0)
        error = add_anchors(inventory, config->trust.anchors);
    if (error == 0 && config->alerts.hook[0])
        error = inventory_add(inventory, "program", config->alerts.hook);
    if (error == 0 && schemas[0] && access(schemas, F_OK) == 0)
        error = add_tree(inventory, "schema", schemas);
    return error;
}

/* --- what runs -------------------------------------------------------------------------------- */

static void note_replaced(struct inventory *inventory, const char *path)
{
    if (inventory->replaced++ == 0)
        snprintf(inventory->replaced_path, sizeof inventory->replaced_path, "%s", path);
}

/* A mapped program or library: "START-END PERMS OFFSET MAJOR:MINOR INODE   PATH". */
static int add_mapped(struct inventory *inventory, const char *line, const char *program)
{
    static const char deleted[] = " (deleted)";
    char permissions[8], path[INVENTORY_PATH_MAX];
    unsigned major_number, minor_number;
    unsigned long inode;
    struct stat status;
    if (sscanf(line, "%*s %7s %*s %x:%x %lu %4095[^\n]", permissions, &major_number, &minor_number,
               &inode, path) != 5 ||
        permissions[2] != 'x' || path[0] != '/')
        return 0;
    size_t size = strlen(path), suffix = sizeof deleted - 1;
    bool gone = size > suffix && strcmp(path + size - suffix, deleted) == 0;
    if (gone)
        path[size - suffix] = '\0';
    if (gone || stat(path, &status) < 0 || status.st_ino != inode)
        note_replaced(inventory, path);
    return inventory_add(inventory, strcmp(path, program) == 0 ? "program" : "library", path);
}

static int add_maps(struct inventory *inventory, pid_t pid)
{
    char name[64], program[INVENTORY_PATH_MAX] = "", line[INVENTORY_PATH_MAX + 128];
    snprintf(name, sizeof name, "/proc/%d/exe", pid);
    if (readlink(name, program, sizeof program - 1) < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    snprintf(name, sizeof name, "/proc/%d/maps", pid);
    _cleanup_fclose_ FILE *maps = fopen(name, "re");
    if (!maps)
        return errno == ENOENT ? -ESRCH : -errno;
    int error = 0;
    while (error == 0 && fgets(line, sizeof line, maps))
        error = add_mapped(inventory, line, program);
    return error;
}

/* What an interpreter was told to run is an argument of it. */
static int add_script(struct inventory *inventory, pid_t pid)
{
    char name[64], words[INVENTORY_PATH_MAX];
    snprintf(name, sizeof name, "/proc/%d/cmdline", pid);
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, words, sizeof words - 1);
    int error = 0;
    for (ssize_t at = 0; at < size && error == 0; at += (ssize_t)strlen(words + at) + 1) {
        words[size] = '\0';
        size_t length = strlen(words + at);
        if (words[at] == '/' && length > 3 && strcmp(words + at + length - 3, ".py") == 0)
            error = inventory_add(inventory, "script", words + at);
    }
    return error;
}

static pid_t parent_of(pid_t pid)
{
    char name[64], text[512] = "";
    int parent = 0;
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    _cleanup_fclose_ FILE *in = fopen(name, "re");
    if (!in || !fgets(text, sizeof text, in))
        return 0;
    const char *behind = strrchr(text, ')'); /* a program's name may hold anything */
    return behind && sscanf(behind, ") %*c %d", &parent) == 1 ? parent : 0;
}

static uid_t owner_of(pid_t pid)
{
    char name[64], line[256];
    unsigned uid = 0;
    snprintf(name, sizeof name, "/proc/%d/status", pid);
    _cleanup_fclose_ FILE *in = fopen(name, "re");
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "Uid: %u", &uid) == 1)
            return uid;
    return 0;
}

int inventory_add_processes(struct inventory *inventory, pid_t pid)
{
    int error = add_maps(inventory, pid);
    DIR *proc = error == 0 ? opendir("/proc") : NULL;
    struct dirent *entry;
    while (proc && error == 0 && (entry = readdir(proc))) {
        char *rest;
        long child = strtol(entry->d_name, &rest, 10);
        /* What root runs as root beside the rooms, such as the alert hook, comes and goes. */
        if (*rest || child <= 0 || parent_of((pid_t)child) != pid ||
            (geteuid() == 0 && owner_of((pid_t)child) == 0))
            continue;
        error = add_maps(inventory, (pid_t)child);
        if (error == 0)
            error = add_script(inventory, (pid_t)child);
        if (error == -ESRCH)
            error = 0; /* it ended meanwhile; another one takes its place */
    }
    if (proc)
        closedir(proc);
    return error;
}

/* --- text ------------------------------------------------------------------------------------- */

struct json *inventory_print(const struct inventory *inventory)
{
    _cleanup_json_ struct json *file = json_object_new();
    _cleanup_json_ struct json *items = json_array_new();
    if (!file || !items)
        return NULL;
    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_item *item = &inventory->list[i];
        struct json *row = json_object_new();
        if (!row || json_set_text(row, "kind", item->kind) < 0 ||
            json_set_text(row, "path", item->path) < 0 ||
            json_set_hex(row, "sha256", item->sha256, SHA256_SIZE) < 0 ||
            json_set_integer(row, "size", (int64_t)item->size) < 0) {
            json_free(row);
            return NULL;
        }
        if (json_append(items, row) < 0)
            return NULL;
    }
    if (json_set_integer(file, "inventory", 1) < 0 ||
        json_set(file, "items", steal_ptr(&items)) < 0)
        return NULL;
    return steal_ptr(&file);
}

static int parse_item(struct inventory *inventory, const struct json *row)
{
    const char *path = json_get_text(row, "path"), *digest = json_get_text(row, "sha256");
    int64_t size;
    if (!path || path[0] != '/' || strlen(path) >= INVENTORY_PATH_MAX || !digest ||
        !json_get_integer(row, "size", &size) || size < 0)
        return -EBADMSG;
    struct inventory_item item = {
        .path = strdup(path), .kind = kind_of(json_get_text(row, "kind")), .size = (uint64_t)size};
    bool good = hex_decode(digest, strlen(digest), item.sha256, sizeof item.sha256);
    int error = !item.path ? -ENOMEM : good ? append(inventory, &item) : -EBADMSG;
    if (error < 0)
        free(item.path);
    return error;
}

int inventory_parse(const struct json *json, struct inventory *ret_inventory)
{
    struct inventory inventory = {0};
    const struct json *items = json_get(json, "items");
    int64_t version;
    if (!json_get_integer(json, "inventory", &version) || version != 1 || !json_is_array(items) ||
        json_array_count(items) == 0)
        return -EBADMSG;
    int error = 0;
    for (size_t i = 0; i < json_array_count(items) && error == 0; i++)
        error = parse_item(&inventory, json_array_at(items, i));
    if (error < 0)
        inventory_done(&inventory);
    else
        *ret_inventory = inventory;
    return error;
}
