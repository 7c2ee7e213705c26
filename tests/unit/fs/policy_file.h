/* A policy read from a text, with the mistakes that reading told. */
#ifndef TESTS_UNIT_FS_POLICY_FILE_H
#define TESTS_UNIT_FS_POLICY_FILE_H

#include "fs/access_policy.h"
#include "scratch_dir.h"

#include <stdio.h>

struct policy_file {
    int r;
    char mistakes[16384]; /* "LINE: text\n" … */
    unsigned mistake_count;
    struct access_policy *policy; /* allocated once, kept by the test's process */
};

static inline void policy_file_note(void *context, const char *file, int line, const char *text)
{
    struct policy_file *read = context;
    (void)file;
    size_t used = strlen(read->mistakes);
    snprintf(read->mistakes + used, sizeof read->mistakes - used, "%d: %s\n", line, text);
    read->mistake_count++;
}

/* One result a process: the next call overwrites it. */
static inline struct policy_file *policy_file_read(const char *text)
{
    static struct access_policy policy;
    static struct policy_file read;
    memset(&policy, 0xa5, sizeof policy);
    memset(&read, 0, sizeof read);
    read.policy = &policy;
    _cleanup_scratch_dir_ struct scratch_dir dir;
    char path[128];
    read.r = scratch_dir_open(&dir);
    if (read.r == 0)
        read.r = scratch_write(dir.fd, "access.conf", text, strlen(text));
    snprintf(path, sizeof path, "%s/access.conf", dir.path);
    if (read.r == 0)
        read.r = access_policy_read(path, policy_file_note, &read, &policy);
    return &read;
}

#endif
