/* See tools/kosekictl_keep.h. */
#include "tools/kosekictl_keep.h"

#include "base/config.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/key_source.h"
#include "tools/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#define DEFAULT_CONFIG "/etc/kosekifs/kosekifs.conf"

enum { EXIT_REFUSED = 1 };

struct options {
    const char *reason, *approver, *to, *config;
    bool repair, refetch, destroy_old;
    const char *word; /* the one that is no option */
};

/* False at an unknown option, a missing value, or a second word. */
static bool read_options(struct options *options, int argc, char **argv)
{
    const struct {
        const char *name;
        const char **value;
        bool *flag;
    } table[] = {{"--reason", &options->reason, NULL},
                 {"--approver", &options->approver, NULL},
                 {"--to", &options->to, NULL},
                 {"--config", &options->config, NULL},
                 {"--repair", NULL, &options->repair},
                 {"--refetch", NULL, &options->refetch},
                 {"--destroy-old", NULL, &options->destroy_old}};
    for (int i = 1; i < argc; i++) {
        size_t place = 0;
        while (place < sizeof table / sizeof *table && strcmp(table[place].name, argv[i]) != 0)
            place++;
        if (place < sizeof table / sizeof *table && table[place].flag)
            *table[place].flag = true;
        else if (place < sizeof table / sizeof *table && i + 1 < argc)
            *table[place].value = argv[++i];
        else if (argv[i][0] == '-' || options->word)
            return false;
        else
            options->word = argv[i];
    }
    return true;
}

static int set_approval(struct asking *asking, const struct options *options)
{
    if (json_set_text(asking->request, "reason", options->reason) < 0 ||
        (options->approver && json_set_text(asking->request, "approver", options->approver) < 0))
        return -ENOMEM;
    return 0;
}

static int print_reply(const struct asking *asking, const struct json *reply)
{
    void *cursor = NULL;
    const char *key;
    const struct json *value;
    _cleanup_free_ char *whole = asking->options->json ? json_print(reply) : NULL;
    if (whole) {
        puts(whole);
        return 0;
    }
    while (json_next(reply, &cursor, &key, &value)) {
        _cleanup_free_ char *text = json_text(value) ? strdup(json_text(value)) : json_print(value);
        if (strcmp(key, "ok") != 0 && !json_array_count(value))
            printf("%s: %s\n", key, text ? text : "?");
    }
    return 0;
}

/* --- export ----------------------------------------------------------------------------------- */

int kosekictl_export(struct asking *asking, int argc, char **argv)
{
    static const char text[] = "export NAME --to FILE --reason TEXT [--approver NAME]";
    struct options options = {0};
    int status;
    if (!read_options(&options, argc, argv) || !options.word || !options.to || !options.reason ||
        options.repair || options.refetch || options.destroy_old)
        return asking_usage(text);
    _cleanup_close_ int fd =
        open(options.to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        fprintf(stderr, "kosekictl: %s: %s\n", options.to, strerror(errno));
        return EX_CANTCREAT;
    }
    if (json_set_text(asking->request, "name", options.word) < 0 ||
        set_approval(asking, &options) < 0)
        return asking_out_of_memory();
    asking->fds[0] = fd;
    asking->fd_count = 1;
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    bool pending = reply && asking_pending(reply, ", then you give this command again");
    if (!reply || pending) {
        unlink(options.to);
        return reply ? EX_TEMPFAIL : status;
    }
    return print_reply(asking, reply);
}

/* --- fsck ------------------------------------------------------------------------------------- */

static bool refetch(const struct asking *asking, const char *name)
{
    _cleanup_json_ struct json *request = json_object_new();
    int status;
    if (!request || json_set_text(request, "command", "fetch") < 0 ||
        json_set_text(request, "name", name) < 0 || json_set_bool(request, "again", true) < 0)
        return false;
    struct asking again = {.options = asking->options, .fd = asking->fd, .request = request};
    _cleanup_json_ struct json *reply = asking_send(&again, &status);
    printf("%s\t%s\n", name, reply ? "fetched again" : "not fetched");
    return reply != NULL;
}

int kosekictl_fsck(struct asking *asking, int argc, char **argv)
{
    struct options options = {0};
    int status;
    if (!read_options(&options, argc, argv) || options.word || options.reason || options.to)
        return asking_usage("fsck [--repair | --refetch]");
    if (json_set_bool(asking->request, "repair", options.repair || options.refetch) < 0)
        return asking_out_of_memory();
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply)
        return status;
    const struct json *damage = json_get(reply, "damage");
    print_reply(asking, reply);
    if (!asking->options->json)
        asking_print_rows(damage);
    for (size_t i = 0; options.refetch && i < json_array_count(damage); i++) {
        const char *name = json_get_text(json_array_at(damage, i), "name");
        if (name && strcmp(name, "-") != 0)
            refetch(asking, name);
    }
    return json_array_count(damage) == 0 ? 0 : EXIT_REFUSED;
}

/* --- rotate-key ------------------------------------------------------------------------------- */

static void complain(void *context, const char *file, int line, const char *text)
{
    (void)context;
    fprintf(stderr, "kosekictl: %s:%d: %s\n", file, line, text);
}

/* Overwrites and removes; durable. On disks that do not write in place only the disk's own
 * encryption destroys the old sector. */
static int destroy_file(const char *path)
{
    uint8_t noise[4096];
    struct stat status;
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_size > (off_t)sizeof noise)
        return -EINVAL;
    int r = random_bytes(noise, sizeof noise);
    if (r < 0)
        return r;
    if (pwrite(fd, noise, (size_t)status.st_size, 0) != status.st_size || fsync(fd) < 0 ||
        unlink(path) < 0)
        return -EIO;
    _cleanup_free_ char *copy = strdup(path);
    _cleanup_close_ int directory =
        copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return directory < 0 || fsync(directory) < 0 ? -EIO : 0;
}

static int destroy_old(const char *path)
{
    _cleanup_free_ struct config *config = calloc(1, sizeof *config);
    int status = 0;
    if (!config)
        return asking_out_of_memory();
    if (config_read(path, complain, NULL, config) < 0)
        return EX_CONFIG;
    const char *cursor = config->keys.previous_master_keys;
    char source[sizeof config->keys.previous_master_keys];
    while (config_list_next(&cursor, source, sizeof source)) {
        int r = source[0] == '/' ? destroy_file(source) : -EOPNOTSUPP;
        if (r < 0)
            status = EXIT_REFUSED;
        printf("%s\t%s\n", source,
               r == -EOPNOTSUPP ? "no file: destroy it where it is kept"
               : r < 0          ? strerror(-r)
                                : "destroyed");
    }
    printf("now take previous_master_keys out of %s\n", path);
    return status;
}

int kosekictl_rotate_key(struct asking *asking, int argc, char **argv)
{
    static const char text[] =
        "rotate-key --reason TEXT [--approver NAME] [--destroy-old [--config FILE]]";
    struct options options = {.config = DEFAULT_CONFIG};
    int status;
    if (!read_options(&options, argc, argv) || options.word || !options.reason || options.to ||
        options.repair || options.refetch)
        return asking_usage(text);
    if (set_approval(asking, &options) < 0)
        return asking_out_of_memory();
    _cleanup_json_ struct json *reply = asking_send(asking, &status);
    if (!reply)
        return status;
    if (asking_pending(reply, ""))
        return EX_TEMPFAIL;
    print_reply(asking, reply);
    return options.destroy_old ? destroy_old(options.config) : 0;
}
