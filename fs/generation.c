/* See fs/generation.h. */
#include "fs/generation.h"

#include "base/memfd.h"
#include "fs/children.h"
#include "fs/supervisor_files.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#ifndef KOSEKIFS_LIBEXECDIR
#error "KOSEKIFS_LIBEXECDIR is set by the build"
#endif

static void print_identity(FILE *out, const struct stat *status)
{
    fprintf(out, "%ju %ju %jd %jd.%ld %jd.%ld\n", (uintmax_t)status->st_dev,
            (uintmax_t)status->st_ino, (intmax_t)status->st_size, (intmax_t)status->st_mtim.tv_sec,
            status->st_mtim.tv_nsec, (intmax_t)status->st_ctim.tv_sec, status->st_ctim.tv_nsec);
}

static void print_program(FILE *out, const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0)
        print_identity(out, &status);
    else
        fputs("missing\n", out);
}

static void print_programs(FILE *out, const char *program)
{
    print_program(out, program);
    for (enum room_role role = ROOM_MOUNT; role < ROOM_ROLE_COUNT; role++) {
        char path[PATH_MAX] = "";
        if (child_find_program(role, KOSEKIFS_LIBEXECDIR, path))
            print_program(out, path);
    }
}

static void print_files(FILE *out, const struct supervisor_inputs *inputs)
{
    struct stat status;
    for (unsigned i = 0; i < inputs->keys.count; i++)
        if (fstat(inputs->keys.fds[i], &status) == 0)
            print_identity(out, &status);
}

static int print_content(FILE *out, int fd)
{
    _cleanup_mapping_ struct mapping content = {0};
    int r = mapping_open(fd, SUPERVISOR_PEM_MAX, &content);
    if (r == 0)
        fwrite(content.data, 1, content.size, out);
    return r;
}

int generation_of(const struct supervisor_inputs *inputs, const char *program,
                  uint8_t ret_generation[SHA256_SIZE])
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return -ENOMEM;
    config_dump(&inputs->config, out);
    print_programs(out, program);
    print_files(out, inputs);
    int r = print_content(out, inputs->ca_fd);
    if (r == 0)
        r = print_content(out, inputs->certificate_fd);
    if (fclose(out) != 0 && r == 0)
        r = -ENOMEM;
    return r < 0 ? r : sha256(text, size, ret_generation);
}
