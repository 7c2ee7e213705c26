/* See fs/trust_files.h. */
#include "fs/trust_files.h"

#include "base/trust.h"
#include "fs/schema_store.h"
#include "fs/supervisor_files.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct collection {
    struct buffer bundle;
    bool mistaken;
    config_report *report;
    void *context;
};

static void complain(struct collection *collection, const char *path, const char *text)
{
    collection->report(collection->context, path, 0, text);
    collection->mistaken = true;
}

/* The path, or as much of its end as a label holds. */
static const char *label_of(const char *path)
{
    size_t size = strlen(path);
    return size < TRUST_LABEL_MAX ? path : path + (size - TRUST_LABEL_MAX + 1);
}

static void add_content(struct collection *collection, enum trust_kind kind, const char *path,
                        struct bytes content)
{
    int r = trust_bundle_add(&collection->bundle, kind, label_of(path), content);
    if (r == -EMSGSIZE)
        complain(collection, path, "does not fit: trust files are more than 64 MiB or 4096 items");
    else if (r < 0)
        complain(collection, path, strerror(-r));
}

static void add_file(struct collection *collection, enum trust_kind kind, const char *path)
{
    _cleanup_buffer_ struct buffer content = {0};
    /* An anchor makes a signer the Minister: who can write it can forge. A CRL is signed. */
    if (supervisor_read_file(path, TRUST_FILE_MAX, kind == TRUST_ANCHOR, collection->report,
                             collection->context, &content) < 0)
        collection->mistaken = true;
    else
        add_content(collection, kind, path, bytes_of(content.data, content.size));
}

static bool has_suffix(const char *name, const char *const *suffixes)
{
    const char *dot = name[0] == '.' ? NULL : strrchr(name, '.');
    for (size_t i = 0; dot && suffixes[i]; i++) {
        if (strcmp(dot, suffixes[i]) == 0)
            return true;
    }
    return false;
}

static int is_crl_file(const struct dirent *entry)
{
    static const char *const suffixes[] = {".crl", ".pem", ".der", NULL};
    return has_suffix(entry->d_name, suffixes);
}

bool trust_files_is_anchor(const char *name)
{
    static const char *const suffixes[] = {".pem", ".crt", ".cer", ".der", NULL};
    return has_suffix(name, suffixes);
}

static int is_anchor_file(const struct dirent *entry)
{
    return trust_files_is_anchor(entry->d_name);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* not alphasort(3): the locale has no say */
}

static void add_directory(struct collection *collection, enum trust_kind kind, const char *path)
{
    struct dirent **entries = NULL;
    bool anchors = kind == TRUST_ANCHOR;
    if (anchors && supervisor_check_directory(path, collection->report, collection->context) < 0) {
        collection->mistaken = true;
        return;
    }
    int count = scandir(path, &entries, anchors ? is_anchor_file : is_crl_file, compare_names);
    if (count < 0) {
        complain(collection, path, strerror(errno));
        return;
    }
    if (count > TRUST_DIRECTORY_MAX)
        complain(collection, path, "contains more than 4096 files");
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];
        int length = snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (count <= TRUST_DIRECTORY_MAX && length < (int)sizeof file)
            add_file(collection, kind, file);
        free(entries[i]);
    }
    free(entries);
}

static void add_paths(struct collection *collection, enum trust_kind kind, const char *list)
{
    char path[PATH_MAX];
    struct stat status;
    while (config_list_next(&list, path, sizeof path)) {
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            add_directory(collection, kind, path);
        else
            add_file(collection, kind, path);
    }
}

static void add_limit(struct collection *collection, const char *name, int64_t time_ms)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%s=%lld", name, (long long)(time_ms / 1000));
    if (time_ms > 0)
        add_content(collection, TRUST_LIMIT, name, bytes_of(text, (size_t)size));
}

/* "NAME VERSION/FILE": kosekifs-verify shows the first part and finds includes by the last. */
static int add_schema_file(struct collection *collection, int store,
                           const struct schema_manifest *manifest, size_t index, char *text)
{
    char label[SCHEMA_NAME_SIZE + SCHEMA_VERSION_SIZE + SCHEMA_FILE_SIZE];
    _cleanup_buffer_ struct buffer content = {0};
    int r = schema_store_read(store, manifest, index, text, &content);
    if (r < 0)
        return r;
    snprintf(label, sizeof label, "%s %s/%s", manifest->id.name, manifest->id.version,
             manifest->files[index].name);
    add_content(collection, TRUST_SCHEMA, label, bytes_of(content.data, content.size));
    return 0;
}

static void add_schema(struct collection *collection, const char *path)
{
    char text[SCHEMA_TEXT_SIZE] = "memory is short";
    struct schema_id id;
    _cleanup_close_ int store = -1;
    _cleanup_free_ struct schema_manifest *manifest = calloc(1, sizeof *manifest);
    int r = *path == '\0' ? -ENOENT : schema_store_open(path, text, &store);
    if (r == -ENOENT)
        return;
    if (r == 0)
        r = manifest ? schema_store_current(store, text, &id) : -ENOMEM;
    if (r == SCHEMA_NONE_IN_USE)
        return;
    if (r == 0)
        r = schema_store_manifest(store, &id, text, manifest);
    for (size_t i = 0; r == 0 && i < manifest->file_count; i++)
        r = add_schema_file(collection, store, manifest, i, text);
    if (r < 0)
        complain(collection, path, text);
}

int trust_files_read(const struct config_trust *config, config_report *report, void *context,
                     struct buffer *ret_bundle)
{
    struct collection collection = {.report = report, .context = context};
    char item[PATH_MAX];
    buffer_init(&collection.bundle, TRUST_BUNDLE_MAX);
    add_paths(&collection, TRUST_ANCHOR, config->anchors);
    add_content(&collection, TRUST_SIGNER_DN, "signer_dn",
                bytes_of(config->signer_dn, strlen(config->signer_dn)));
    for (const char *list = config->signer_pins; config_list_next(&list, item, sizeof item);)
        add_content(&collection, TRUST_SIGNER_PIN, "signer_pins", bytes_of(item, strlen(item)));
    for (const char *list = config->signer_policies; config_list_next(&list, item, sizeof item);)
        add_content(&collection, TRUST_SIGNER_POLICY, "signer_policies",
                    bytes_of(item, strlen(item)));
    add_limit(&collection, "crl-grace", config->crl_grace);
    add_limit(&collection, "crl-max-age", config->crl_max_age);
    for (const char *list = config->policy; config_list_next(&list, item, sizeof item);)
        add_content(&collection, TRUST_POLICY, "policy", bytes_of(item, strlen(item)));
    add_schema(&collection, config->schema_directory);
    if (collection.mistaken) {
        buffer_done(&collection.bundle);
        return -EINVAL;
    }
    *ret_bundle = collection.bundle;
    return 0;
}

int trust_files_read_lists(const struct config_trust *config, config_report *report, void *context,
                           struct buffer *ret_bundle)
{
    struct collection collection = {.report = report, .context = context};
    buffer_init(&collection.bundle, TRUST_BUNDLE_MAX);
    add_paths(&collection, TRUST_CRL, config->crls);
    if (collection.mistaken) {
        buffer_done(&collection.bundle);
        return -EINVAL;
    }
    *ret_bundle = collection.bundle;
    return 0;
}
