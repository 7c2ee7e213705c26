/* See fs/schema_store.h: reading. Every step down is taken from the directory above it and follows
 * no link, so that a name leads nowhere else. */
#include "fs/schema_store.h"

#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

int schema_fault(char *ret_text, int r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_text, SCHEMA_TEXT_SIZE, format, arguments);
    va_end(arguments);
    return r;
}

static bool of_form(const char *text, size_t size_max, const char *first, const char *rest)
{
    size_t size = strnlen(text, size_max);
    return size > 0 && size < size_max && strchr(first, text[0]) && strspn(text, rest) == size;
}

bool schema_id_parse(const char *name, const char *version, struct schema_id *ret_id)
{
    if (!of_form(name, SCHEMA_NAME_SIZE, LETTERS, LETTERS DIGITS "-") ||
        strcmp(name, "none") == 0 ||
        !of_form(version, SCHEMA_VERSION_SIZE, LETTERS CAPITALS DIGITS,
                 LETTERS CAPITALS DIGITS "._-"))
        return false;
    memcpy(ret_id->name, name, strlen(name) + 1);
    memcpy(ret_id->version, version, strlen(version) + 1);
    return true;
}

bool schema_file_name_valid(const char *name)
{
    static const char suffix[] = ".xsd";
    size_t size = strnlen(name, SCHEMA_FILE_SIZE);
    return of_form(name, SCHEMA_FILE_SIZE, LETTERS CAPITALS DIGITS,
                   LETTERS CAPITALS DIGITS "._-") &&
           size > sizeof suffix && strcmp(name + size - (sizeof suffix - 1), suffix) == 0;
}

bool schema_reason_valid(const char *text)
{
    size_t size = strnlen(text, SCHEMA_REASON_SIZE);
    if (size == 0 || size == SCHEMA_REASON_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return true;
}

/* --- files ------------------------------------------------------------------------------------ */

static int open_guarded(int directory, const char *name, int flags, char *ret_text, int *ret_fd)
{
    struct stat status;
    _cleanup_close_ int fd =
        openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags);
    if (fd < 0 || fstat(fd, &status) < 0)
        return schema_fault(ret_text, -errno, "%s: %s", name, strerror(errno));
    if (!(flags & O_DIRECTORY) && !S_ISREG(status.st_mode))
        return schema_fault(ret_text, -EINVAL, "%s is not a regular file", name);
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return schema_fault(ret_text, -EPERM, "%s belongs to uid %u; it must belong to root%s",
                            name, status.st_uid, geteuid() == 0 ? "" : " or to you");
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return schema_fault(ret_text, -EPERM,
                            "%s has mode %04o; group and others must not be able to write", name,
                            status.st_mode & 07777);
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int read_guarded(int directory, const char *name, size_t size_max, char *ret_text,
                        struct buffer *ret_content)
{
    uint8_t part[16384];
    ssize_t size;
    _cleanup_close_ int fd = -1;
    _cleanup_buffer_ struct buffer content = {0};
    buffer_init(&content, size_max);
    int r = open_guarded(directory, name, 0, ret_text, &fd);
    if (r < 0)
        return r;
    while ((size = read(fd, part, sizeof part)) > 0) {
        r = buffer_append(&content, part, (size_t)size);
        if (r < 0)
            return schema_fault(ret_text, r, "%s: %s", name,
                                r == -EMSGSIZE ? "too large" : strerror(-r));
    }
    if (size < 0)
        return schema_fault(ret_text, -errno, "%s: %s", name, strerror(errno));
    *ret_content = content;
    content.data = NULL;
    return 0;
}

int schema_store_open(const char *path, char *ret_text, int *ret_store)
{
    struct stat status;
    if (lstat(path, &status) < 0 && errno == ENOENT)
        return -ENOENT;
    int r = open_guarded(AT_FDCWD, path, O_DIRECTORY, ret_text, ret_store);
    return r == -ENOENT ? -EAGAIN : r;
}

/* The directory NAME/VERSION. */
static int open_version(int store, const struct schema_id *id, char *ret_text, int *ret_fd)
{
    _cleanup_close_ int name = -1;
    int r = open_guarded(store, id->name, O_DIRECTORY, ret_text, &name);
    if (r == 0)
        r = open_guarded(name, id->version, O_DIRECTORY, ret_text, ret_fd);
    return r == -ENOENT
               ? schema_fault(ret_text, r, "there is no schema %s %s", id->name, id->version)
               : r;
}

int schema_store_current(int store, char *ret_text, struct schema_id *ret_id)
{
    enum { LINE_MAX_SIZE = SCHEMA_NAME_SIZE + SCHEMA_VERSION_SIZE };
    _cleanup_buffer_ struct buffer content = {0};
    char line[LINE_MAX_SIZE + 1], *save = NULL;
    int r = read_guarded(store, "current", LINE_MAX_SIZE, ret_text, &content);
    if (r == -ENOENT)
        return SCHEMA_NONE_IN_USE;
    if (r < 0)
        return r;
    if (content.size < 2 || content.data[content.size - 1] != '\n' ||
        memchr(content.data, '\0', content.size))
        return schema_fault(ret_text, -EBADMSG, "current is not understood");
    memcpy(line, content.data, content.size - 1);
    line[content.size - 1] = '\0';
    if (strcmp(line, "none") == 0)
        return SCHEMA_NONE_IN_USE;
    const char *name = strtok_r(line, " ", &save);
    if (!name || !schema_id_parse(name, save, ret_id))
        return schema_fault(ret_text, -EBADMSG, "current is not understood");
    return 0;
}

/* --- manifest --------------------------------------------------------------------------------- */

int schema_manifest_digest(struct schema_manifest *manifest)
{
    uint8_t digest[SHA256_SIZE];
    _cleanup_buffer_ struct buffer lines = {0};
    int r = 0;
    buffer_init(&lines, SCHEMA_MANIFEST_MAX);
    for (size_t i = 0; r == 0 && i < manifest->file_count; i++) {
        char line[SCHEMA_HEX_SIZE + SCHEMA_FILE_SIZE + 8];
        int size = snprintf(line, sizeof line, "%s  %s\n", manifest->files[i].sha256,
                            manifest->files[i].name);
        r = buffer_append(&lines, line, (size_t)size);
    }
    if (r == 0)
        r = sha256(lines.data, lines.size, digest);
    if (r == 0)
        hex_encode(digest, sizeof digest, manifest->digest);
    return r;
}

static struct json *file_object(const struct schema_file *file)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "file", file->name) < 0 ||
        json_set_integer(object, "size", (int64_t)file->size) < 0 ||
        json_set_text(object, "sha256", file->sha256) < 0)
        return NULL;
    return steal_ptr(&object);
}

char *schema_manifest_print(const struct schema_manifest *manifest)
{
    _cleanup_json_ struct json *object = json_object_new();
    _cleanup_json_ struct json *files = json_array_new();
    for (size_t i = 0; files && i < manifest->file_count; i++) {
        if (json_append(files, file_object(&manifest->files[i])) < 0)
            return NULL;
    }
    if (!object || !files || json_set_text(object, "name", manifest->id.name) < 0 ||
        json_set_text(object, "version", manifest->id.version) < 0 ||
        json_set_text(object, "digest", manifest->digest) < 0 ||
        json_set(object, "files", steal_ptr(&files)) < 0 ||
        json_set_text(object, "processor", manifest->processor) < 0 ||
        json_set_integer(object, "added_by", manifest->added_by) < 0 ||
        json_set_integer(object, "added_at", manifest->added_at_s) < 0 ||
        json_set_text(object, "reason", manifest->reason) < 0 ||
        json_set_bool(object, "offline", manifest->offline) < 0)
        return NULL;
    return json_print(object);
}

static bool take_text(const struct json *object, const char *key, char *out, size_t size)
{
    const char *text = json_get_text(object, key);
    return text && (size_t)snprintf(out, size, "%s", text) < size;
}

static bool take_hex(const struct json *object, const char *key, char *out)
{
    uint8_t digest[SHA256_SIZE];
    return take_text(object, key, out, SCHEMA_HEX_SIZE) &&
           hex_decode(out, strlen(out), digest, sizeof digest);
}

static bool take_file(const struct json *object, struct schema_file *file)
{
    int64_t size;
    if (!take_text(object, "file", file->name, sizeof file->name) ||
        !schema_file_name_valid(file->name) || !take_hex(object, "sha256", file->sha256) ||
        !json_get_integer(object, "size", &size) || size < 0 || size > SCHEMA_BYTES_MAX)
        return false;
    file->size = (uint64_t)size;
    return true;
}

static bool take_manifest(const struct json *object, const struct schema_id *id,
                          struct schema_manifest *manifest)
{
    const struct json *files = json_get(object, "files");
    const char *name = json_get_text(object, "name"), *version = json_get_text(object, "version");
    char stated[SCHEMA_HEX_SIZE];
    manifest->file_count = json_array_count(files);
    if (!name || !version || strcmp(name, id->name) != 0 || strcmp(version, id->version) != 0 ||
        manifest->file_count == 0 || manifest->file_count > SCHEMA_FILES_MAX ||
        !take_text(object, "processor", manifest->processor, sizeof manifest->processor) ||
        !take_text(object, "reason", manifest->reason, sizeof manifest->reason) ||
        !json_get_integer(object, "added_by", &manifest->added_by) ||
        !json_get_integer(object, "added_at", &manifest->added_at_s) ||
        !json_get_bool(object, "offline", &manifest->offline) ||
        !take_hex(object, "digest", stated))
        return false;
    for (size_t i = 0; i < manifest->file_count; i++) {
        if (!take_file(json_array_at(files, i), &manifest->files[i]))
            return false;
    }
    manifest->id = *id;
    return schema_manifest_digest(manifest) == 0 && strcmp(stated, manifest->digest) == 0;
}

int schema_store_manifest(int store, const struct schema_id *id, char *ret_text,
                          struct schema_manifest *ret_manifest)
{
    _cleanup_close_ int version = -1;
    _cleanup_buffer_ struct buffer content = {0};
    _cleanup_json_ struct json *object = NULL;
    _cleanup_free_ struct schema_manifest *manifest = calloc(1, sizeof *manifest);
    if (!manifest)
        return schema_fault(ret_text, -ENOMEM, "memory is short");
    int r = open_version(store, id, ret_text, &version);
    if (r == 0)
        r = read_guarded(version, "manifest", SCHEMA_MANIFEST_MAX, ret_text, &content);
    if (r < 0)
        return r;
    r = content.size > 0 ? json_parse((const char *)content.data, content.size, &object) : -EBADMSG;
    if (r == 0 && !take_manifest(object, id, manifest))
        r = -EBADMSG;
    if (r < 0)
        return schema_fault(ret_text, r, "the manifest of %s %s is not understood", id->name,
                            id->version);
    *ret_manifest = *manifest;
    return 0;
}

int schema_store_read(int store, const struct schema_manifest *manifest, size_t index,
                      char *ret_text, struct buffer *ret_content)
{
    const struct schema_file *file = &manifest->files[index];
    uint8_t digest[SHA256_SIZE];
    char hex[SCHEMA_HEX_SIZE];
    _cleanup_close_ int version = -1;
    _cleanup_buffer_ struct buffer content = {0};
    int r = open_version(store, &manifest->id, ret_text, &version);
    if (r == 0)
        r = read_guarded(version, file->name, SCHEMA_BYTES_MAX, ret_text, &content);
    if (r < 0)
        return r;
    r = sha256(content.data, content.size, digest);
    if (r < 0)
        return schema_fault(ret_text, r, "memory is short");
    hex_encode(digest, sizeof digest, hex);
    if (content.size != file->size || strcmp(hex, file->sha256) != 0)
        return schema_fault(ret_text, -EBADMSG, "%s of schema %s %s is not the file that was added",
                            file->name, manifest->id.name, manifest->id.version);
    *ret_content = content;
    content.data = NULL;
    return 0;
}

/* --- list ------------------------------------------------------------------------------------- */

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_directory(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

static int list_versions(int store, const char *name, struct schema_id *ids, size_t most,
                         size_t *count)
{
    struct dirent **versions = NULL;
    int r = 0, found = scandirat(store, name, &versions, is_directory, compare_names);
    if (found < 0)
        return errno == ENOTDIR ? 0 : -errno;
    for (int i = 0; i < found; i++) {
        struct schema_id id;
        if (r == 0 && schema_id_parse(name, versions[i]->d_name, &id)) {
            if (*count < most)
                ids[(*count)++] = id;
            else
                r = -E2BIG;
        }
        free(versions[i]);
    }
    free(versions);
    return r;
}

int schema_store_list(int store, char *ret_text, struct schema_id *ids, size_t most,
                      size_t *ret_count)
{
    struct dirent **names = NULL;
    size_t count = 0;
    int r = 0, found = scandirat(store, ".", &names, is_directory, compare_names);
    if (found < 0)
        return schema_fault(ret_text, -errno, "the schemas cannot be listed: %s", strerror(errno));
    for (int i = 0; i < found; i++) {
        if (r == 0)
            r = list_versions(store, names[i]->d_name, ids, most, &count);
        free(names[i]);
    }
    free(names);
    if (r < 0)
        return schema_fault(ret_text, r, "the schemas cannot be listed: %s", strerror(-r));
    *ret_count = count;
    return 0;
}
