/* See kosekictl_inventory.h. */
#include "tools/kosekictl_inventory.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/json.h"
#include "fs/statefile.h"
#include "tools/control_client.h"
#include "tools/inventory_items.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <string.h>
#include <sysexits.h>

#define DEFAULT_CONFIG "/etc/kosekifs/kosekifs.conf"

static const char usage_text[] =
    "usage: kosekictl inventory [--config FILE] ACTION\n"
    "  record --reason TEXT   what runs and is configured now is right; an approver says so\n"
    "  check [--report]       compares; --report tells the daemon, which raises an alert\n"
    "        [--offline]      … what the disk has, without asking what runs\n"
    "  show                   what was recorded\n"
    "Without --config " DEFAULT_CONFIG "; [inventory] file says where the inventory is kept.\n"
    "Exit: 0 as recorded; 1 it differs, or refused; 64 usage; 66 unreadable; 69 no daemon.\n";

enum { EXIT_DIFFERENT = 1, TOLD_MAX = 20 };

struct arguments {
    const struct kosekictl_options *options;
    const char *config_path, *reason;
    bool report, offline, help;
    struct config config;
};

static int complain(const char *what, int error, int status)
{
    fprintf(stderr, "kosekictl: %s: %s\n", what, strerror(-error));
    return status;
}

static void print_mistake(void *context, const char *file, int line, const char *text)
{
    (void)context;
    fprintf(stderr, "kosekictl: %s:%d: %s\n", file, line, text);
}

/* --- the daemon ------------------------------------------------------------------------------- */

/* The reply; NULL when nobody answers. */
static struct json *ask(const struct arguments *arguments, struct json *request)
{
    struct json *reply = NULL;
    _cleanup_json_ struct json *owned = request;
    _cleanup_close_ int fd = control_client_connect(arguments->options->socket);
    if (fd < 0 || !owned || control_client_ask(fd, owned, &reply) < 0)
        return NULL;
    return reply;
}

static struct json *request_new(const char *command)
{
    struct json *request = json_object_new();
    if (request && json_set_text(request, "command", command) == 0)
        return request;
    return json_free(request);
}

/* 0: no daemon. */
static pid_t daemon_pid(const struct arguments *arguments)
{
    int64_t pid = 0;
    _cleanup_json_ struct json *reply = ask(arguments, request_new("inventory-check"));
    if (!reply || !json_get_integer(reply, "pid", &pid) || pid < 0 || pid > INT32_MAX)
        return 0;
    return (pid_t)pid;
}

/* --- gathering -------------------------------------------------------------------------------- */

static int gather(const struct arguments *arguments, pid_t daemon, struct inventory *inventory)
{
    int error = inventory_add_configured(inventory, arguments->config_path, &arguments->config);
    if (error == 0 && daemon > 0)
        error = inventory_add_processes(inventory, daemon);
    if (error == 0)
        error = inventory_add_processes(inventory, getpid());
    if (error < 0)
        return complain("inventory", error, EX_OSERR);
    inventory_finish(inventory);
    return 0;
}

static int open_directory(const struct arguments *arguments, char name[256], int *ret_fd)
{
    char directory[256], base[256];
    snprintf(directory, sizeof directory, "%s", arguments->config.inventory.file);
    snprintf(base, sizeof base, "%s", arguments->config.inventory.file);
    snprintf(name, 256, "%s", basename(base));
    const char *parent = dirname(directory);
    *ret_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? complain(parent, -errno, EX_NOINPUT) : 0;
}

static int read_recorded(const struct arguments *arguments, struct inventory *ret_inventory)
{
    char name[256];
    _cleanup_close_ int fd = -1;
    _cleanup_buffer_ struct buffer text;
    _cleanup_json_ struct json *json = NULL;
    buffer_init(&text, INVENTORY_FILE_MAX);
    int status = open_directory(arguments, name, &fd);
    if (status != 0)
        return status;
    int error = statefile_read(fd, name, &text);
    if (error == 0)
        error = json_parse((const char *)text.data, text.size, &json);
    if (error == 0)
        error = inventory_parse(json, ret_inventory);
    return error < 0 ? complain(arguments->config.inventory.file, error, EX_NOINPUT) : 0;
}

/* --- actions ---------------------------------------------------------------------------------- */

/* The daemon records who approved; then the file is written. */
static int approve(const struct arguments *arguments, const char *text)
{
    uint8_t digest[SHA256_SIZE];
    bool ok = false;
    struct json *request = request_new("inventory");
    if (!request || sha256(text, strlen(text), digest) < 0 ||
        json_set_hex(request, "digest", digest, SHA256_SIZE) < 0 ||
        json_set_text(request, "reason", arguments->reason) < 0) {
        json_free(request);
        return complain("inventory", -ENOMEM, EX_OSERR);
    }
    _cleanup_json_ struct json *reply = ask(arguments, request);
    if (!reply)
        return complain(arguments->options->socket, -ECONNREFUSED, EX_UNAVAILABLE);
    const char *state = json_get_text(reply, "state"), *error = json_get_text(reply, "error");
    if (!json_get_bool(reply, "ok", &ok) || !ok) {
        fprintf(stderr, "kosekictl: %s\n", error ? error : "refused");
        return EXIT_DIFFERENT;
    }
    if (state) { /* it waits for an approver */
        int64_t pending = 0;
        (void)json_get_integer(reply, "pending", &pending);
        printf("%s %" PRId64 ", then give this command again\n", state, pending);
        return EXIT_DIFFERENT;
    }
    return 0;
}

static int run_record(struct arguments *arguments)
{
    char name[256];
    _cleanup_close_ int fd = -1;
    _cleanup_inventory_ struct inventory inventory = {0};
    pid_t daemon = daemon_pid(arguments);
    if (!arguments->reason || !arguments->reason[0]) {
        fputs(usage_text, stderr);
        return EX_USAGE;
    }
    if (daemon == 0)
        return complain(arguments->options->socket, -ECONNREFUSED, EX_UNAVAILABLE);
    int status = gather(arguments, daemon, &inventory);
    for (size_t i = 0; i < inventory.count && status == 0; i++)
        if (inventory.list[i].error)
            status = complain(inventory.list[i].path, -inventory.list[i].error, EX_NOINPUT);
    if (status == 0 && inventory.replaced > 0) {
        fprintf(stderr,
                "kosekictl: %s runs in another version than is on the disk; kosekictl "
                "upgrade first\n",
                inventory.replaced_path);
        status = EXIT_DIFFERENT;
    }
    if (status != 0)
        return status;
    _cleanup_json_ struct json *json = inventory_print(&inventory);
    _cleanup_free_ char *text = json ? json_print(json) : NULL;
    if (!text)
        return complain("inventory", -ENOMEM, EX_OSERR);
    status = approve(arguments, text);
    if (status == 0)
        status = open_directory(arguments, name, &fd);
    if (status != 0)
        return status;
    int error = statefile_write(fd, name, bytes_of(text, strlen(text)));
    if (error < 0)
        return complain(arguments->config.inventory.file, error, EX_CANTCREAT);
    printf("%zu items recorded\n", inventory.count);
    return 0;
}

struct difference {
    uint64_t count;
    char first[INVENTORY_PATH_MAX + 32];
};

static void differ(struct difference *difference, const char *what, const char *path)
{
    if (difference->count++ == 0)
        snprintf(difference->first, sizeof difference->first, "%s: %s", what, path);
    if (difference->count <= TOLD_MAX)
        printf("%s: %s\n", what, path);
}

/* What was not recorded is looked at only where it runs: a new library can do harm. */
static void compare(const struct inventory *recorded, const struct inventory *found,
                    struct difference *difference)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct inventory_item *item = &found->list[i];
        const struct inventory_item *was = inventory_find(recorded, item->path);
        if (!was)
            differ(difference, "not recorded", item->path);
        else if (item->error)
            differ(difference, item->error == ENOENT ? "missing" : "unreadable", item->path);
        else if (item->size != was->size || memcmp(item->sha256, was->sha256, SHA256_SIZE) != 0)
            differ(difference, "changed", item->path);
    }
    if (found->replaced > 0)
        differ(difference, "runs in another version than is on the disk", found->replaced_path);
}

static void report(const struct arguments *arguments, const struct difference *difference)
{
    struct json *request = request_new("inventory-check");
    if (request && json_set_integer(request, "differences", (int64_t)difference->count) == 0 &&
        json_set_text(request, "first", difference->first) == 0) {
        _cleanup_json_ struct json *reply = ask(arguments, request);
        if (!reply)
            fprintf(stderr, "kosekictl: the daemon does not answer\n");
    } else {
        json_free(request);
    }
}

static int run_check(struct arguments *arguments)
{
    _cleanup_inventory_ struct inventory recorded = {0}, found = {0};
    struct difference difference = {0};
    int status = read_recorded(arguments, &recorded);
    if (status != 0) {
        snprintf(difference.first, sizeof difference.first, "unreadable: %s",
                 arguments->config.inventory.file);
        difference.count = 1;
        if (arguments->report)
            report(arguments, &difference);
        return status;
    }
    /* Also what was recorded and is not in use now, such as libraries before the start. */
    for (size_t i = 0; i < recorded.count && status == 0; i++)
        if (inventory_add(&found, recorded.list[i].kind, recorded.list[i].path) < 0)
            status = complain("inventory", -ENOMEM, EX_OSERR);
    pid_t daemon = arguments->offline ? 0 : daemon_pid(arguments);
    if (status == 0)
        status = gather(arguments, daemon, &found);
    if (status != 0)
        return status;
    if (daemon == 0 && !arguments->offline)
        differ(&difference, "not looked at", "what runs: the daemon does not answer");
    compare(&recorded, &found, &difference);
    if (arguments->report)
        report(arguments, &difference);
    if (difference.count == 0)
        printf("%zu items, as recorded\n", recorded.count);
    return difference.count ? EXIT_DIFFERENT : 0;
}

static int run_show(struct arguments *arguments)
{
    _cleanup_inventory_ struct inventory recorded = {0};
    int status = read_recorded(arguments, &recorded);
    for (size_t i = 0; i < recorded.count && status == 0; i++) {
        char digest[2 * SHA256_SIZE + 1];
        hex_encode(recorded.list[i].sha256, SHA256_SIZE, digest);
        printf("%s  %s\t%s\n", digest, recorded.list[i].path, recorded.list[i].kind);
    }
    return status;
}

/* --- command line ----------------------------------------------------------------------------- */

static int read_options(struct arguments *arguments, int argc, char **argv)
{
    static const struct option table[] = {
        {"config", required_argument, NULL, 'c'}, {"reason", required_argument, NULL, 'r'},
        {"report", no_argument, NULL, 'p'},       {"offline", no_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},         {0},
    };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == 'c')
            arguments->config_path = optarg;
        else if (option == 'r')
            arguments->reason = optarg;
        else if (option == 'p')
            arguments->report = true;
        else if (option == 'o')
            arguments->offline = true;
        else if (option == 'h')
            arguments->help = true;
        else
            return EX_USAGE;
    }
    return optind + 1 == argc || arguments->help ? 0 : EX_USAGE;
}

int kosekictl_inventory(const struct kosekictl_options *options, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct arguments *arguments);
    } actions[] = {{"record", run_record}, {"check", run_check}, {"show", run_show}};
    static struct arguments arguments; /* holds a configuration */
    arguments = (struct arguments){.options = options, .config_path = DEFAULT_CONFIG};
    int status = read_options(&arguments, argc, argv);
    if (status != 0 || arguments.help) {
        fputs(usage_text, status ? stderr : stdout);
        return status;
    }
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(argv[optind], actions[i].name) != 0)
            continue;
        if (config_read(arguments.config_path, print_mistake, NULL, &arguments.config) < 0)
            return EX_NOINPUT;
        return actions[i].run(&arguments);
    }
    fputs(usage_text, stderr);
    return EX_USAGE;
}
