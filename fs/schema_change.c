/* See fs/schema_change.h. */
#include "fs/schema_change.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/write_all.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* No name of a schema begins with a dot. */
#define NEW ".new"
#define NEW_CURRENT ".current"
#define GONE ".gone"

static int write_file(int directory, const char *name, const void *data, size_t size)
{
    _cleanup_close_ int fd =
        openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
    int r = fd < 0 ? -errno : write_all(fd, data, size);
    if (r == 0 && (fchmod(fd, 0444) < 0 || fsync(fd) < 0))
        r = -errno;
    return r;
}

static int open_directory(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* --- clearing away ---------------------------------------------------------------------------- */

/* On a file system that writes in place nothing of it is left; others need the disk's encryption.
 */
static int overwrite(int directory, const char *name)
{
    static const uint8_t zeros[16384];
    struct stat status;
    _cleanup_close_ int fd = -1;
    if (fchmodat(directory, name, 0600, 0) < 0)
        return -errno;
    fd = openat(directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    int r = 0;
    for (off_t left = status.st_size; r == 0 && left > 0;) {
        size_t size = left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros;
        r = write_all(fd, zeros, size);
        left -= (off_t)size;
    }
    return r == 0 && fsync(fd) < 0 ? -errno : r;
}

/* A directory of files, of ours alone. */
static int clear_directory(int parent, const char *name)
{
    _cleanup_close_ int fd = open_directory(parent, name);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    DIR *directory = fdopendir(dup(fd));
    const struct dirent *entry;
    int r = directory ? 0 : -errno;
    while (r == 0 && (entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        r = overwrite(fd, entry->d_name);
        if (r == 0 && unlinkat(fd, entry->d_name, 0) < 0)
            r = -errno;
    }
    if (directory)
        closedir(directory);
    return r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : r;
}

int schema_change_begin(const char *path, char *ret_text, int *ret_store)
{
    _cleanup_close_ int store = -1;
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return schema_fault(ret_text, -errno, "%s cannot be made: %s", path, strerror(errno));
    int r = schema_store_open(path, ret_text, &store);
    if (r < 0)
        return r;
    if (flock(store, LOCK_EX | LOCK_NB) < 0)
        return schema_fault(ret_text, -EBUSY, "%s is being changed by somebody else", path);
    if (unlinkat(store, NEW_CURRENT, 0) < 0 && errno != ENOENT)
        r = -errno;
    if (r == 0)
        r = clear_directory(store, NEW);
    if (r == 0)
        r = clear_directory(store, GONE);
    if (r < 0)
        return schema_fault(ret_text, r,
                            "%s: what an interrupted change left cannot be removed: %s", path,
                            strerror(-r));
    *ret_store = steal_fd(&store);
    return 0;
}

/* --- changes ---------------------------------------------------------------------------------- */

static bool is_there(int store, const struct schema_id *id)
{
    char path[SCHEMA_NAME_SIZE + SCHEMA_VERSION_SIZE + 1];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", id->name, id->version);
    return fstatat(store, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static int check_add(int store, const struct schema_id *id, char *ret_text)
{
    size_t count;
    _cleanup_free_ struct schema_id *ids = calloc(SCHEMA_VERSIONS_MAX, sizeof *ids);
    if (!ids)
        return schema_fault(ret_text, -ENOMEM, "memory is short");
    if (is_there(store, id))
        return schema_fault(ret_text, -EEXIST,
                            "schema %s %s is there already; versions never change", id->name,
                            id->version);
    int r = schema_store_list(store, ret_text, ids, SCHEMA_VERSIONS_MAX, &count);
    if (r == 0 && count == SCHEMA_VERSIONS_MAX)
        r = schema_fault(ret_text, -ENOSPC, "there are %d versions already", SCHEMA_VERSIONS_MAX);
    return r;
}

int schema_change_check(int store, const struct schema_change *change, char *ret_text)
{
    struct schema_id current;
    if (strcmp(change->action, "add") == 0)
        return check_add(store, &change->id, ret_text);
    if (change->id.name[0] == '\0')
        return 0; /* use none */
    if (!is_there(store, &change->id))
        return schema_fault(ret_text, -ENOENT, "there is no schema %s %s", change->id.name,
                            change->id.version);
    if (strcmp(change->action, "use") == 0)
        return 0;
    int r = schema_store_current(store, ret_text, &current);
    if (r == 0 && strcmp(current.name, change->id.name) == 0 &&
        strcmp(current.version, change->id.version) == 0)
        return schema_fault(ret_text, -EBUSY, "schema %s %s is in use", current.name,
                            current.version);
    return r < 0 ? r : 0;
}

static struct json *history_object(const struct schema_change *change)
{
    char at[RFC3339_SIZE];
    rfc3339_format(change->at_s, at);
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "at", at) < 0 ||
        json_set_text(object, "action", change->action) < 0 ||
        json_set_text(object, "name", *change->id.name ? change->id.name : "none") < 0 ||
        json_set_text(object, "version", change->id.version) < 0 ||
        json_set_text(object, "digest", change->digest) < 0 ||
        json_set_integer(object, "by", change->by) < 0 ||
        json_set_text(object, "reason", change->reason) < 0 ||
        json_set_bool(object, "offline", change->offline) < 0)
        return NULL;
    return steal_ptr(&object);
}

/* Written before the deed, as the audit trail is. */
static int note(int store, const struct schema_change *change, char *ret_text)
{
    _cleanup_json_ struct json *object = history_object(change);
    _cleanup_free_ char *line = object ? json_print(object) : NULL;
    if (!line)
        return schema_fault(ret_text, -ENOMEM, "memory is short");
    size_t size = strlen(line);
    line[size] = '\n'; /* in place of the NUL: one write, so that lines stay whole */
    _cleanup_close_ int fd =
        openat(store, "history", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    int r = fd < 0 ? -errno : write_all(fd, line, size + 1);
    if (r == 0 && (fsync(fd) < 0 || fsync(store) < 0))
        r = -errno;
    return r < 0 ? schema_fault(ret_text, r, "history cannot be written: %s", strerror(-r)) : 0;
}

static int write_version(int directory, const struct schema_manifest *manifest,
                         const struct bytes *contents)
{
    _cleanup_free_ char *text = schema_manifest_print(manifest);
    int r = text ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < manifest->file_count; i++)
        r = write_file(directory, manifest->files[i].name, contents[i].data, contents[i].size);
    if (r == 0)
        r = write_file(directory, "manifest", text, strlen(text));
    return r == 0 && fsync(directory) < 0 ? -errno : r;
}

static int publish(int store, const struct schema_id *id)
{
    _cleanup_close_ int name = -1;
    if (mkdirat(store, id->name, 0755) < 0 && errno != EEXIST)
        return -errno;
    name = open_directory(store, id->name);
    if (name < 0)
        return name;
    if (renameat2(store, NEW, name, id->version, RENAME_NOREPLACE) < 0 || fsync(name) < 0 ||
        fsync(store) < 0)
        return -errno;
    return 0;
}

int schema_change_add(int store, const struct schema_change *change,
                      const struct schema_manifest *manifest, const struct bytes *contents,
                      char *ret_text)
{
    _cleanup_close_ int directory = -1;
    int r = schema_change_check(store, change, ret_text);
    if (r == 0)
        r = note(store, change, ret_text);
    if (r < 0)
        return r;
    if (mkdirat(store, NEW, 0755) < 0)
        r = -errno;
    directory = r < 0 ? r : open_directory(store, NEW);
    r = directory < 0 ? directory : write_version(directory, manifest, contents);
    if (r == 0)
        r = publish(store, &change->id);
    return r < 0 ? schema_fault(ret_text, r, "the schema cannot be written: %s", strerror(-r)) : 0;
}

int schema_change_use(int store, const struct schema_change *change, char *ret_text)
{
    char line[SCHEMA_NAME_SIZE + SCHEMA_VERSION_SIZE + 1];
    int size = *change->id.name
                   ? snprintf(line, sizeof line, "%s %s\n", change->id.name, change->id.version)
                   : snprintf(line, sizeof line, "none\n");
    int r = schema_change_check(store, change, ret_text);
    if (r == 0)
        r = note(store, change, ret_text);
    if (r < 0)
        return r;
    r = write_file(store, NEW_CURRENT, line, (size_t)size);
    if (r == 0 && (renameat(store, NEW_CURRENT, store, "current") < 0 || fsync(store) < 0))
        r = -errno;
    return r < 0 ? schema_fault(ret_text, r, "current cannot be written: %s", strerror(-r)) : 0;
}

int schema_change_destroy(int store, const struct schema_change *change, char *ret_text)
{
    _cleanup_close_ int name = -1;
    int r = schema_change_check(store, change, ret_text);
    if (r == 0)
        r = note(store, change, ret_text);
    if (r < 0)
        return r;
    name = open_directory(store, change->id.name);
    r = name < 0 ? name : 0;
    if (r == 0 && (renameat(name, change->id.version, store, GONE) < 0 || fsync(name) < 0))
        r = -errno;
    if (r == 0)
        r = clear_directory(store, GONE);
    if (r == 0 && unlinkat(store, change->id.name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
        errno != EEXIST)
        r = -errno;
    if (r == 0 && fsync(store) < 0)
        r = -errno;
    return r < 0 ? schema_fault(ret_text, r, "schema %s %s cannot be removed: %s", change->id.name,
                                change->id.version, strerror(-r))
                 : 0;
}
