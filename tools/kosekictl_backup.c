/* See tools/kosekictl_backup.h. Backups are files backup-NNNNNNNN.ksb of one directory. */
#include "tools/kosekictl_backup.h"

#include "base/clock.h"
#include "base/json.h"
#include "cache/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { EXIT_REFUSED = 1, NAME_SIZE = 32 };

static const char part_name[] = "backup.part";

static void file_name(uint32_t number, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "backup-%08" PRIu32 ".ksb", number);
}

static int complain(const char *what, int error)
{
    fprintf(stderr, "kosekictl: %s: %s\n", what, strerror(-error));
    return EXIT_REFUSED;
}

static int open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* The highest number there is; 0 = none. */
static int find_newest(int directory_fd, uint32_t *ret_number)
{
    int copy = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
    if (!directory) {
        int r = -errno;
        cleanup_close(&copy);
        return r;
    }
    *ret_number = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        char name[NAME_SIZE];
        uint32_t number;
        if (sscanf(entry->d_name, "backup-%8" SCNu32, &number) != 1)
            continue;
        file_name(number, name);
        if (strcmp(name, entry->d_name) == 0 && number > *ret_number)
            *ret_number = number;
    }
    closedir(directory);
    return 0;
}

/* --- backup ----------------------------------------------------------------------------------- */

static int keep_part(int directory_fd, uint32_t number)
{
    char name[NAME_SIZE];
    file_name(number, name);
    if (renameat2(directory_fd, part_name, directory_fd, name, RENAME_NOREPLACE) < 0 ||
        fsync(directory_fd) < 0)
        return -errno;
    printf("file: %s\n", name);
    return 0;
}

static int ask_for_backup(struct asking *asking, int directory_fd, uint32_t newest, bool full)
{
    char name[NAME_SIZE];
    int status;
    file_name(newest, name);
    if (unlinkat(directory_fd, part_name, 0) < 0 && errno != ENOENT)
        return complain(part_name, -errno);
    _cleanup_close_ int part =
        openat(directory_fd, part_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    _cleanup_close_ int previous =
        newest > 0 && !full ? openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (part < 0 || (newest > 0 && !full && previous < 0))
        return complain(part < 0 ? part_name : name, -errno);
    asking->fds[0] = part;
    asking->fds[1] = previous;
    asking->fd_count = previous >= 0 ? 2 : 1;
    if (json_set_integer(asking->request, "number", newest + 1) < 0)
        return asking_out_of_memory();
    status = asking_print(asking, NULL);
    if (status != 0) {
        unlinkat(directory_fd, part_name, 0);
        return status;
    }
    int r = keep_part(directory_fd, newest + 1);
    return r < 0 ? complain("the backup's file cannot get its name", r) : 0;
}

int kosekictl_backup(struct asking *asking, int argc, char **argv)
{
    uint32_t newest;
    bool full = argc == 3 && strcmp(argv[2], "--full") == 0;
    if ((argc != 2 && !full) || argv[1][0] == '-')
        return asking_usage("backup DIRECTORY [--full]");
    _cleanup_close_ int directory_fd = open_directory(argv[1]);
    int r = directory_fd < 0 ? directory_fd : find_newest(directory_fd, &newest);
    if (r < 0)
        return complain(argv[1], r);
    return ask_for_backup(asking, directory_fd, newest, full);
}

/* --- restore ---------------------------------------------------------------------------------- */

static int open_backup(void *context, uint32_t number)
{
    const int *directory_fd = context;
    char name[NAME_SIZE];
    file_name(number, name);
    int fd = openat(*directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* What root made belongs to whom the directory belongs to. */
static int give_to_owner(int directory_fd)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "slots", "lock"};
    struct stat status;
    if (fstat(directory_fd, &status) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (fchownat(directory_fd, names[i], status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) <
                0 &&
            errno != ENOENT)
            return -errno;
    return fsync(directory_fd) < 0 ? -errno : 0;
}

struct restore_options {
    const char *from, *ledger, *to;
    uint32_t number; /* 0 = the newest */
};

static bool read_options(struct restore_options *options, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        char *rest = NULL;
        if (strcmp(argv[i], "--from") == 0) {
            options->from = argv[i + 1];
        } else if (strcmp(argv[i], "--ledger") == 0) {
            options->ledger = argv[i + 1];
        } else if (strcmp(argv[i], "--to") == 0) {
            options->to = argv[i + 1];
        } else if (strcmp(argv[i], "--number") == 0) {
            unsigned long number = strtoul(argv[i + 1], &rest, 10);
            if (*rest || number == 0 || number >= UINT32_MAX)
                return false;
            options->number = (uint32_t)number;
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && options->from && options->to;
}

int kosekictl_restore(int argc, char **argv)
{
    struct restore_options options = {0};
    char message[256];
    uint64_t certificates = 0;
    if (!read_options(&options, argc, argv))
        return asking_usage("restore --from DIRECTORY --ledger DIRECTORY --to DIRECTORY "
                            "[--number N]");
    if (!options.ledger) {
        fprintf(stderr, "kosekictl: nothing is restored without the ledger, since it alone says "
                        "what was erased: --ledger DIRECTORY\n");
        return EXIT_REFUSED;
    }
    int64_t began_ms = clock_monotonic_ms();
    _cleanup_close_ int from = open_directory(options.from);
    _cleanup_close_ int ledger = open_directory(options.ledger);
    _cleanup_close_ int to = open_directory(options.to);
    int r = from < 0 ? from : ledger < 0 ? ledger : to < 0 ? to : 0;
    if (r < 0)
        return complain("a directory cannot be opened", r);
    if (options.number == 0)
        r = find_newest(from, &options.number);
    if (r < 0 || options.number == 0)
        return complain(options.from, r < 0 ? r : -ENOENT);
    const struct cache_restore restore = {.directory_fd = to,
                                          .ledger_fd = ledger,
                                          .newest = options.number,
                                          .context = &from,
                                          .open_backup = open_backup};
    r = cache_restore(&restore, message, &certificates);
    if (r == 0)
        r = give_to_owner(to);
    if (r < 0) {
        fprintf(stderr, "kosekictl: not restored: %s\n", message[0] ? message : strerror(-r));
        return EXIT_REFUSED;
    }
    printf(
        "backup: %" PRIu32 "\ncertificates: %" PRIu64 "\nmilliseconds: %" PRId64
        "\nWhat was erased since is dropped when kosekifs starts; kosekictl fsck then proves the "
        "rest.\n",
        options.number, certificates, clock_monotonic_ms() - began_ms);
    return 0;
}
