#include "tools/trail_files.h"

#include "fs/audit_checkpoint.h"
#include "fs/audit_file.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

static int complain(const char *path, int error)
{
    fprintf(stderr, "kosekictl: %s: %s\n", path, strerror(error));
    return EX_NOINPUT;
}

static int add(char ***paths, size_t *count, size_t *capacity, const char *directory,
               const char *name)
{
    if (*count == *capacity) {
        size_t more = *capacity ? 2 * *capacity : 16;
        char **grown = more > TRAIL_FILES_MAX ? NULL : reallocarray(*paths, more, sizeof *grown);
        if (!grown)
            return complain(name, ENOMEM);
        *paths = grown;
        *capacity = more;
    }
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", directory, *directory ? "/" : "", name) < 0)
        return complain(name, ENOMEM);
    (*paths)[(*count)++] = path;
    return 0;
}

int trail_files_add_checkpoints(struct trail_files *files, const char *path)
{
    return add(&files->checkpoints, &files->checkpoint_count, &files->checkpoint_capacity, "",
               path);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_directory(struct trail_files *files, const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return complain(path, errno);
    size_t first = files->count;
    int status = 0;
    struct dirent *entry;
    while (status == 0 && (entry = readdir(directory))) {
        uint64_t number;
        if (audit_file_number(entry->d_name, &number))
            status = add(&files->paths, &files->count, &files->capacity, path, entry->d_name);
        else if (strcmp(entry->d_name, AUDIT_CHECKPOINT_FILE) == 0)
            status = add(&files->checkpoints, &files->checkpoint_count, &files->checkpoint_capacity,
                         path, entry->d_name);
    }
    closedir(directory);
    if (status == 0 && files->count == first) {
        fprintf(stderr, "kosekictl: %s: no trail-*.jsonl in it\n", path);
        return EX_NOINPUT;
    }
    if (files->count > first)
        qsort(files->paths + first, files->count - first, sizeof *files->paths, compare_paths);
    return status;
}

int trail_files_find(struct trail_files *files, char *const *paths, int count)
{
    char *const standard[] = {(char[]){TRAIL_DIRECTORY}};
    if (count == 0) {
        paths = standard;
        count = 1;
    }
    for (int i = 0; i < count; i++) {
        struct stat status;
        if (stat(paths[i], &status) < 0)
            return complain(paths[i], errno);
        int r = S_ISDIR(status.st_mode)
                    ? add_directory(files, paths[i])
                    : add(&files->paths, &files->count, &files->capacity, "", paths[i]);
        if (r != 0)
            return r;
    }
    return 0;
}

static void free_paths(char **paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}

void trail_files_done(struct trail_files *files)
{
    free_paths(files->paths, files->count);
    free_paths(files->checkpoints, files->checkpoint_count);
}
