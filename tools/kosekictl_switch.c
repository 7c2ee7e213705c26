/*
 * kosekictl switch: the replica takes the place of a store whose disk is lost. The configuration is
 * all that changes: [mount] state_directory names the replica's directory, [replica] path is taken
 * out. The old file is kept beside.
 */
#include "base/bytes.h"
#include "base/config.h"
#include "tools/kosekictl_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>

#define DEFAULT_CONFIG "/etc/kosekifs/kosekifs.conf"

enum { EXIT_REFUSED = 1, FILE_MAX = 1 << 20 };

static void complain(void *context, const char *file, int line, const char *text)
{
    (void)context;
    fprintf(stderr, "kosekictl: %s:%d: %s\n", file, line, text);
}

static int refuse(const char *text)
{
    fprintf(stderr, "kosekictl: %s\n", text);
    return EXIT_REFUSED;
}

/* A daemon holds a lock on each of its directories. One that cannot be opened is lost. */
static bool in_use(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

static bool has_store(const char *path)
{
    struct stat status;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fstatat(fd, "data.mdb", &status, 0) == 0 && status.st_size > 0 &&
           fstatat(fd, "slots", &status, 0) == 0 && status.st_size > 0;
}

/* --- the file --------------------------------------------------------------------------------- */

struct editing {
    char section[64];
    bool placed; /* state_directory was written */
    const char *directory;
};

static bool is_key(const char *line, const char *key)
{
    size_t size = strlen(key);
    line += strspn(line, " \t");
    return strncmp(line, key, size) == 0 && line[size + strspn(line + size, " \t")] == '=';
}

static int edit_line(struct editing *editing, const char *line, FILE *out)
{
    char section[sizeof editing->section];
    if (sscanf(line, " [%63[^]]]", section) == 1)
        memcpy(editing->section, section, sizeof section);
    else if (strcmp(editing->section, "replica") == 0 && is_key(line, "path"))
        return fprintf(out, "; taken by kosekictl switch: %s", line);
    else if (strcmp(editing->section, "mount") == 0 && is_key(line, "state_directory"))
        return 0; /* written behind the section's head */
    int r = fputs(line, out);
    if (r >= 0 && !editing->placed && strcmp(editing->section, "mount") == 0) {
        editing->placed = true;
        r = fprintf(out, "state_directory = %s\n", editing->directory);
    }
    return r;
}

static int edit(FILE *in, FILE *out, const char *directory)
{
    struct editing editing = {.directory = directory};
    char line[4200];
    while (fgets(line, sizeof line, in))
        if (edit_line(&editing, line, out) < 0)
            return -EIO;
    if (!editing.placed && fprintf(out, "[mount]\nstate_directory = %s\n", directory) < 0)
        return -EIO;
    return ferror(in) || fflush(out) != 0 || fsync(fileno(out)) < 0 ? -EIO : 0;
}

static int replace(const char *path, const char *directory)
{
    char beside[4096], kept[4096];
    struct stat status;
    if ((size_t)snprintf(beside, sizeof beside, "%s.new", path) >= sizeof beside ||
        (size_t)snprintf(kept, sizeof kept, "%s.before-switch", path) >= sizeof kept)
        return -ENAMETOOLONG;
    _cleanup_fclose_ FILE *in = fopen(path, "re");
    _cleanup_fclose_ FILE *out = in ? fopen(beside, "wxe") : NULL;
    if (!in || !out || fstat(fileno(in), &status) < 0 ||
        fchown(fileno(out), status.st_uid, status.st_gid) < 0 ||
        fchmod(fileno(out), status.st_mode & 07777) < 0)
        return -errno;
    int r = edit(in, out, directory);
    if (r == 0 && link(path, kept) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0 && rename(beside, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(beside);
    return r;
}

int kosekictl_switch(int argc, char **argv)
{
    const char *path = DEFAULT_CONFIG;
    if (argc == 3 && strcmp(argv[1], "--config") == 0)
        path = argv[2];
    else if (argc != 1)
        return asking_usage("switch [--config FILE]");
    _cleanup_free_ struct config *config = calloc(1, sizeof *config);
    if (!config)
        return asking_out_of_memory();
    if (config_read(path, complain, NULL, config) < 0)
        return EX_CONFIG;
    const char *replica = config->replica.path;
    if (!*replica)
        return refuse("the configuration names no [replica] path");
    if (in_use(config->mount.state_directory) || in_use(replica))
        return refuse("a kosekifs is running: stop it first");
    if (!has_store(replica))
        return refuse("there is no store in the replica's directory");
    int r = replace(path, replica);
    if (r < 0) {
        fprintf(stderr, "kosekictl: %s: %s\n", path, strerror(-r));
        return EXIT_REFUSED;
    }
    printf("state_directory: %s\nStart kosekifs now; then give it another [replica] path on an "
           "empty disk.\n",
           replica);
    return 0;
}
