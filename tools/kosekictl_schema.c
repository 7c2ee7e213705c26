/* See tools/kosekictl_schema.h. */
#include "tools/kosekictl_schema.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/json.h"
#include "fs/schema_change.h"
#include "tools/control_client.h"
#include "tools/schema_admission.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define DEFAULT_CONFIG "/etc/kosekifs/kosekifs.conf"

enum {
    EXIT_REFUSED = 1,
    OPTION_REASON = 1,
    OPTION_CONFIG,
    OPTION_DIRECTORY,
    OPTION_OFFLINE,
    OPTION_HELP
};

static const char usage_text[] =
    "usage: kosekictl schema add NAME VERSION FILE.xsd [FILE.xsd]... --reason TEXT\n"
    "       kosekictl schema list\n"
    "       kosekictl schema use NAME VERSION --reason TEXT\n"
    "       kosekictl schema use none --reason TEXT\n"
    "       kosekictl schema destroy NAME VERSION --reason TEXT\n"
    "  --config FILE     the daemon's configuration; default: " DEFAULT_CONFIG "\n"
    "  --directory DIR   the directory of schemas, in place of the configuration's\n"
    "  --offline         no daemon is running: nothing goes into the audit trail, the manifest "
    "and\n"
    "                    the directory's history say so\n"
    "The first FILE is the one to begin with; the others serve its include and import by name.\n"
    "Exit: 0 done; 1 refused or failed; 64 usage; 69 no daemon; 75 waits for a second person.\n";

struct schema_command {
    const struct kosekictl_options *options;
    const char *config, *directory, *reason;
    bool offline, help;
    char path[sizeof((struct config_trust *)0)->schema_directory];
    int store;
    int daemon; /* connection, -1 = offline */
};

static int usage(void)
{
    fputs(usage_text, stderr);
    return EX_USAGE;
}

static int refuse(const char *text)
{
    fprintf(stderr, "kosekictl: %s\n", text);
    return EXIT_REFUSED;
}

/* --- where ------------------------------------------------------------------------------------ */

static void complain(void *context, const char *file, int line, const char *text)
{
    (void)context;
    fprintf(stderr, "kosekictl: %s:%d: %s\n", file, line, text);
}

static int find_directory(struct schema_command *command)
{
    _cleanup_free_ struct config *config = calloc(1, sizeof *config);
    if (!config)
        return refuse("memory is short");
    const char *directory = command->directory;
    if (!directory) {
        if (config_read(command->config ? command->config : DEFAULT_CONFIG, complain, NULL,
                        config) < 0)
            return EX_CONFIG;
        directory = config->trust.schema_directory;
    }
    if (*directory == '\0' || (size_t)snprintf(command->path, sizeof command->path, "%s",
                                               directory) >= sizeof command->path)
        return refuse("[trust] schema_directory is empty, or too long");
    return 0;
}

/* --- the daemon ------------------------------------------------------------------------------- */

static int connect_daemon(struct schema_command *command)
{
    int fd = control_client_connect(command->options->socket);
    if (fd >= 0 && command->offline) {
        close(fd);
        return refuse("a daemon is running: without --offline it puts this on record");
    }
    if (fd < 0 && !command->offline) {
        fprintf(stderr,
                "kosekictl: %s: %s; without a running daemon nothing can be put on record "
                "(--offline does it all the same)\n",
                command->options->socket, strerror(-fd));
        return EX_UNAVAILABLE;
    }
    command->daemon = fd >= 0 ? fd : -1;
    return 0;
}

/* 0: done. */
static int ask(const struct schema_command *command, const struct json *request)
{
    _cleanup_json_ struct json *reply = NULL;
    bool ok = false;
    int r = control_client_ask(command->daemon, request, &reply);
    if (r < 0) {
        fprintf(stderr, "kosekictl: no answer from the daemon: %s\n", strerror(-r));
        return EX_UNAVAILABLE;
    }
    if (!json_get_bool(reply, "ok", &ok) || !ok) {
        const char *text = json_get_text(reply, "error");
        return refuse(text ? text : "refused by the daemon");
    }
    int64_t pending;
    if (!json_get_integer(reply, "pending", &pending))
        return 0;
    fprintf(
        stderr,
        "kosekictl: nothing is done yet: a second person gives \"kosekictl confirm %lld\", then "
        "you give this command again\n",
        (long long)pending);
    return EX_TEMPFAIL;
}

static int put_on_record(const struct schema_command *command, const struct schema_change *change)
{
    if (command->daemon < 0)
        return 0;
    _cleanup_json_ struct json *request = json_object_new();
    if (!request || json_set_text(request, "command", "schema") < 0 ||
        json_set_text(request, "action", change->action) < 0 ||
        json_set_text(request, "name", *change->id.name ? change->id.name : "none") < 0 ||
        json_set_text(request, "version", change->id.version) < 0 ||
        json_set_text(request, "digest", change->digest) < 0 ||
        json_set_text(request, "reason", change->reason) < 0)
        return refuse("memory is short");
    return ask(command, request);
}

static int reload(const struct schema_command *command)
{
    if (command->daemon < 0)
        return 0;
    _cleanup_json_ struct json *request = json_object_new();
    if (!request || json_set_text(request, "command", "reload") < 0)
        return refuse("memory is short");
    int status = ask(command, request);
    if (status != 0)
        fprintf(stderr, "kosekictl: the daemon does not know of it before it reloads (SIGHUP)\n");
    return status;
}

/* --- the commands ----------------------------------------------------------------------------- */

/* Locked, possible and on record: what is left is to do it. */
static int begin(struct schema_command *command, const struct schema_change *change)
{
    char text[SCHEMA_TEXT_SIZE];
    if (schema_change_check(command->store, change, text) < 0)
        return refuse(text);
    return put_on_record(command, change);
}

static struct schema_change change_of(const struct schema_command *command, const char *action,
                                      const struct schema_id *id, const char *digest)
{
    return (struct schema_change){.action = action,
                                  .id = *id,
                                  .digest = digest,
                                  .reason = command->reason,
                                  .by = getuid(),
                                  .at_s = clock_realtime_s(),
                                  .offline = command->offline};
}

static int run_add(struct schema_command *command, const struct schema_id *id, char *const files[],
                   size_t count)
{
    char text[SCHEMA_TEXT_SIZE];
    struct bytes contents[SCHEMA_FILES_MAX];
    _cleanup_schema_admission_ struct schema_admission *admission = schema_admission_new();
    if (!admission)
        return refuse("memory is short");
    if (schema_admission_read(admission, files, count, text) < 0 ||
        schema_admission_inspect(admission, text) < 0)
        return refuse(text);
    struct schema_manifest *manifest = &admission->manifest;
    struct schema_change change = change_of(command, "add", id, manifest->digest);
    manifest->id = *id;
    manifest->added_by = change.by;
    manifest->added_at_s = change.at_s;
    manifest->offline = change.offline;
    snprintf(manifest->reason, sizeof manifest->reason, "%s", command->reason);
    for (size_t i = 0; i < count; i++)
        contents[i] = admission->files[i].content;
    int status = begin(command, &change);
    if (status != 0)
        return status;
    if (schema_change_add(command->store, &change, manifest, contents, text) < 0)
        return refuse(text);
    printf("%s %s: %s, %zu files, %s\n", id->name, id->version, manifest->processor, count,
           manifest->digest);
    return 0;
}

static int run_use(struct schema_command *command, const struct schema_id *id)
{
    char text[SCHEMA_TEXT_SIZE];
    struct schema_manifest manifest = {0};
    if (*id->name && schema_store_manifest(command->store, id, text, &manifest) < 0)
        return refuse(text);
    const struct schema_change change = change_of(command, "use", id, manifest.digest);
    int status = begin(command, &change);
    if (status != 0)
        return status;
    if (schema_change_use(command->store, &change, text) < 0)
        return refuse(text);
    return reload(command);
}

static int run_destroy(struct schema_command *command, const struct schema_id *id)
{
    char text[SCHEMA_TEXT_SIZE];
    struct schema_manifest manifest;
    if (schema_store_manifest(command->store, id, text, &manifest) < 0)
        return refuse(text);
    const struct schema_change change = change_of(command, "destroy", id, manifest.digest);
    int status = begin(command, &change);
    if (status != 0)
        return status;
    return schema_change_destroy(command->store, &change, text) < 0 ? refuse(text) : 0;
}

static bool print_version(int store, const struct schema_id *id, bool in_use)
{
    char text[SCHEMA_TEXT_SIZE], at[RFC3339_SIZE];
    struct schema_manifest manifest;
    if (schema_store_manifest(store, id, text, &manifest) < 0) {
        fprintf(stderr, "kosekictl: %s\n", text);
        return false;
    }
    rfc3339_format(manifest.added_at_s, at);
    printf("%s\t%s %s\t%s\t%s\t%s\tuid %lld\t%s%s\n", in_use ? "in use" : "-", id->name,
           id->version, manifest.processor, manifest.digest, at, (long long)manifest.added_by,
           manifest.reason, manifest.offline ? "\t(offline, in no audit trail)" : "");
    return true;
}

static int run_list(struct schema_command *command)
{
    char text[SCHEMA_TEXT_SIZE] = "";
    struct schema_id current = {0};
    size_t count = 0;
    _cleanup_free_ struct schema_id *ids = calloc(SCHEMA_VERSIONS_MAX, sizeof *ids);
    if (!ids)
        return refuse("memory is short");
    int r = schema_store_open(command->path, text, &command->store);
    if (r == -ENOENT)
        return 0;
    if (r < 0 || schema_store_current(command->store, text, &current) < 0 ||
        schema_store_list(command->store, text, ids, SCHEMA_VERSIONS_MAX, &count) < 0)
        return refuse(text);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        bool in_use =
            strcmp(ids[i].name, current.name) == 0 && strcmp(ids[i].version, current.version) == 0;
        good = print_version(command->store, &ids[i], in_use) && good;
    }
    return good ? 0 : EXIT_REFUSED;
}

/* --- command line ----------------------------------------------------------------------------- */

static bool read_options(struct schema_command *command, int argc, char **argv)
{
    static const struct option table[] = {
        {"reason", required_argument, NULL, OPTION_REASON},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"directory", required_argument, NULL, OPTION_DIRECTORY},
        {"offline", no_argument, NULL, OPTION_OFFLINE},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == OPTION_REASON)
            command->reason = optarg;
        else if (option == OPTION_CONFIG)
            command->config = optarg;
        else if (option == OPTION_DIRECTORY)
            command->directory = optarg;
        else if (option == OPTION_OFFLINE)
            command->offline = true;
        else if (option == OPTION_HELP)
            command->help = true;
        else
            return false;
    }
    return true;
}

/* add, use, destroy: words[0], and what follows. */
static int run_change(struct schema_command *command, char **words, int count)
{
    char text[SCHEMA_TEXT_SIZE];
    struct schema_id id = {0};
    bool none = count == 2 && strcmp(words[0], "use") == 0 && strcmp(words[1], "none") == 0;
    bool add = strcmp(words[0], "add") == 0;
    if (!none && (add ? count < 4 : count != 3))
        return usage();
    if (!none && !schema_id_parse(words[1], words[2], &id))
        return refuse("a name is of a-z, 0-9 and -, a version of letters, digits, dot, - and _, "
                      "each shorter than 20");
    if (!command->reason || !schema_reason_valid(command->reason))
        return refuse("--reason is needed: one line, shorter than 400 bytes");
    int status = connect_daemon(command);
    if (status != 0)
        return status;
    if (schema_change_begin(command->path, text, &command->store) < 0)
        return refuse(text);
    if (add)
        return run_add(command, &id, words + 3, (size_t)(count - 3));
    return strcmp(words[0], "use") == 0 ? run_use(command, &id) : run_destroy(command, &id);
}

static int run(struct schema_command *command, char **words, int count)
{
    if (count == 0)
        return usage();
    bool list = count == 1 && strcmp(words[0], "list") == 0;
    if (!list && strcmp(words[0], "add") != 0 && strcmp(words[0], "use") != 0 &&
        strcmp(words[0], "destroy") != 0)
        return usage();
    int status = find_directory(command);
    if (status != 0)
        return status;
    return list ? run_list(command) : run_change(command, words, count);
}

int kosekictl_schema(const struct kosekictl_options *options, int argc, char **argv)
{
    struct schema_command command = {.options = options, .store = -1, .daemon = -1};
    if (!read_options(&command, argc, argv))
        return usage();
    if (command.help) {
        fputs(usage_text, stdout);
        return 0;
    }
    int status = run(&command, argv + optind, argc - optind);
    cleanup_close(&command.store);
    cleanup_close(&command.daemon);
    return status;
}
