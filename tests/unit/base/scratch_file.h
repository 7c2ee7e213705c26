/* A file with given content that exists only in memory; its path is opened like any other. */
#ifndef TESTS_UNIT_BASE_SCRATCH_FILE_H
#define TESTS_UNIT_BASE_SCRATCH_FILE_H

#include "base/memfd.h"

#include <stdio.h>
#include <string.h>

struct scratch_file {
    int fd;
    char path[32];
};

static inline void scratch_file_close(struct scratch_file *file)
{
    cleanup_close(&file->fd);
}

static inline int scratch_file_open(struct scratch_file *file, const void *data, size_t size)
{
    int r = memfd_of("scratch", data, size, &file->fd);
    if (r == 0)
        snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
    return r;
}

/* Mistakes as "LINE: text\n", one after the other. */
struct mistakes {
    int count;
    char text[16384];
};

static inline void mistakes_note(void *context, const char *file, int line, const char *text)
{
    struct mistakes *mistakes = context;
    (void)file;
    size_t size = strlen(mistakes->text);
    snprintf(mistakes->text + size, sizeof mistakes->text - size, "%d: %s\n", line, text);
    mistakes->count++;
}

#endif
