/* A directory of a test's own, with files in it; gone afterwards. Mistakes are noted as text. */
#ifndef TESTS_UNIT_SUPERVISOR_SCRATCH_DIRECTORY_H
#define TESTS_UNIT_SUPERVISOR_SCRATCH_DIRECTORY_H

#include "base/cleanup.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct scratch {
    char path[PATH_MAX / 2];
    char file[PATH_MAX]; /* of the last scratch_path() */
    char mistakes[8192];
};

static inline int scratch_open(void **state)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch)
        return -1;
    /* tests/run.py names a place whose path is short enough for sockets. */
    const char *place = getenv("TMPDIR");
    char here[PATH_MAX / 4];
    if (!place && !(place = getcwd(here, sizeof here)))
        return -1;
    snprintf(scratch->path, sizeof scratch->path, "%s/scratch-XXXXXX", place);
    *state = scratch;
    return mkdtemp(scratch->path) ? 0 : -1;
}

static inline int scratch_remove_entry(const char *path, const struct stat *status, int kind,
                                       struct FTW *position)
{
    (void)status, (void)kind, (void)position;
    return remove(path);
}

static inline int scratch_close(void **state)
{
    struct scratch *scratch = *state;
    int r = nftw(scratch->path, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(scratch);
    return r;
}

static inline const char *scratch_path(struct scratch *scratch, const char *name)
{
    snprintf(scratch->file, sizeof scratch->file, "%s/%s", scratch->path, name);
    return scratch->file;
}

static inline const char *scratch_write(struct scratch *scratch, const char *name, const void *data,
                                        size_t size, mode_t mode)
{
    const char *path = scratch_path(scratch, name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || fchmod(fd, mode) < 0)
        abort();
    close(fd);
    return path;
}

/* A config_report. */
static inline void scratch_note(void *context, const char *file, int line, const char *text)
{
    struct scratch *scratch = context;
    size_t size = strlen(scratch->mistakes);
    const char *name = strrchr(file, '/');
    snprintf(scratch->mistakes + size, sizeof scratch->mistakes - size, "%s:%d: %s\n",
             name ? name + 1 : file, line, text);
}

#endif
