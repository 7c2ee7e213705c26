/* See kosekictl_daemon.h: arguments to a request, the reply to text. */
#include "tools/kosekictl_daemon.h"

#include "base/clock.h"
#include "base/json.h"
#include "tools/control_client.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <sysexits.h>

enum { GROUPS_MAX = 256, EXIT_REFUSED = 1 };

struct asking {
    const struct kosekictl_options *options;
    int fd;
    struct json *request;
};

/* --- printing --------------------------------------------------------------------------------- */

static void print_value(const char *key, const struct json *value, int depth)
{
    const char *text = json_text(value), *member;
    const struct json *child;
    void *cursor = NULL;
    if (json_is_object(value)) {
        printf("%*s%s:\n", 2 * depth, "", key);
        while (json_next(value, &cursor, &member, &child))
            print_value(member, child, depth + 1);
    } else if (json_array_count(value) > 0) {
        for (size_t i = 0; i < json_array_count(value); i++)
            print_value(key, json_array_at(value, i), depth);
    } else if (text) {
        printf("%*s%s: %s\n", 2 * depth, "", key, text);
    } else {
        _cleanup_free_ char *printed = json_print(value);
        printf("%*s%s: %s\n", 2 * depth, "", key, printed ? printed : "?");
    }
}

static void print_members(const struct json *object)
{
    void *cursor = NULL;
    const char *key;
    const struct json *value;
    while (json_next(object, &cursor, &key, &value))
        if (strcmp(key, "ok") != 0)
            print_value(key, value, 0);
}

static void print_rows(const struct json *rows)
{
    for (size_t i = 0; i < json_array_count(rows); i++) {
        const struct json *row = json_array_at(rows, i), *value;
        void *cursor = NULL;
        const char *key, *separator = "";
        while (json_next(row, &cursor, &key, &value)) {
            _cleanup_free_ char *printed =
                json_text(value) ? strdup(json_text(value)) : json_print(value);
            printf("%s%s", separator, printed ? printed : "?");
            separator = "\t";
        }
        putchar('\n');
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

/* The reply, or NULL after a message; *ret_exit is set then. */
static struct json *ask(struct asking *asking, int *ret_exit)
{
    _cleanup_json_ struct json *reply = NULL;
    bool ok = false;
    int error = control_client_ask(asking->fd, asking->request, &reply);
    if (error < 0) {
        fprintf(stderr, "kosekictl: no answer from the daemon: %s\n", strerror(-error));
        *ret_exit = EX_UNAVAILABLE;
        return NULL;
    }
    if (!json_get_bool(reply, "ok", &ok) || !ok) {
        const char *text = json_get_text(reply, "error");
        fprintf(stderr, "kosekictl: %s\n", text ? text : "refused");
        *ret_exit = EXIT_REFUSED;
        return NULL;
    }
    *ret_exit = 0;
    return steal_ptr(&reply);
}

static int ask_and_print(struct asking *asking, const char *rows)
{
    int status;
    _cleanup_json_ struct json *reply = ask(asking, &status);
    if (!reply)
        return status;
    if (asking->options->json) {
        _cleanup_free_ char *printed = json_print(reply);
        puts(printed ? printed : "{}");
    } else if (rows) {
        print_rows(json_get(reply, rows));
    } else {
        print_members(reply);
    }
    return status;
}

static int usage(const char *text)
{
    fprintf(stderr, "kosekictl: usage: kosekictl %s\n", text);
    return EX_USAGE;
}

static int short_of_memory(void)
{
    fprintf(stderr, "kosekictl: memory is short\n");
    return EX_OSERR;
}

static int run_plain(struct asking *asking, int argc, char **argv)
{
    bool plain = strcmp(argv[0], "status") == 0 || strcmp(argv[0], "reload") == 0;
    const char *rows = plain ? NULL : argv[0];
    return argc == 1 ? ask_and_print(asking, rows) : usage(argv[0]);
}

static int run_list(struct asking *asking, int argc, char **argv)
{
    int64_t next = 0;
    if (argc != 1)
        return usage(argv[0]);
    do {
        int status;
        if (json_set_integer(asking->request, "after", next) < 0)
            return short_of_memory();
        _cleanup_json_ struct json *reply = ask(asking, &status);
        if (!reply)
            return status;
        if (asking->options->json) {
            _cleanup_free_ char *printed = json_print(json_get(reply, "certificates"));
            puts(printed ? printed : "[]");
        } else {
            print_rows(json_get(reply, "certificates"));
        }
        if (!json_get_integer(reply, "next", &next))
            next = 0;
    } while (next > 0);
    return 0;
}

static int run_why(struct asking *asking, int argc, char **argv)
{
    if (argc != 2)
        return usage("why NAME");
    if (json_set_text(asking->request, "name", argv[1]) < 0)
        return short_of_memory();
    return ask_and_print(asking, NULL);
}

static int run_fetch(struct asking *asking, int argc, char **argv)
{
    const char *name = NULL;
    bool again = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--again") == 0)
            again = true;
        else if (!name && argv[i][0] != '-')
            name = argv[i];
        else
            return usage("fetch [--again] NAME");
    }
    if (!name)
        return usage("fetch [--again] NAME");
    if (json_set_text(asking->request, "name", name) < 0 ||
        json_set_bool(asking->request, "again", again) < 0)
        return short_of_memory();
    return ask_and_print(asking, NULL);
}

static struct json *groups_of(const struct passwd *user)
{
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX;
    _cleanup_json_ struct json *list = json_array_new();
    if (!list || getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
        return NULL;
    for (int i = 0; i < count; i++)
        if (json_append(list, json_integer_new(groups[i])) < 0)
            return NULL;
    return steal_ptr(&list);
}

static int run_access(struct asking *asking, int argc, char **argv)
{
    if (argc != 4 || strcmp(argv[1], "explain") != 0)
        return usage("access explain USER NAME");
    errno = 0;
    const struct passwd *user = getpwnam(argv[2]);
    if (!user) {
        fprintf(stderr, "kosekictl: no user %s%s%s\n", argv[2], errno ? ": " : "",
                errno ? strerror(errno) : "");
        return EX_NOUSER;
    }
    if (json_set_text(asking->request, "name", argv[3]) < 0 ||
        json_set_integer(asking->request, "uid", user->pw_uid) < 0 ||
        json_set_integer(asking->request, "gid", user->pw_gid) < 0 ||
        json_set(asking->request, "groups", groups_of(user)) < 0)
        return short_of_memory();
    return ask_and_print(asking, NULL);
}

/* grant NAME USER --reason TEXT [--until RFC3339]; revoke NAME USER [--reason TEXT] */
static int run_grant(struct asking *asking, int argc, char **argv)
{
    static const char text[] = "grant|revoke NAME USER --reason TEXT [--until RFC3339]";
    const char *reason = NULL;
    int64_t until = 0;
    if (argc < 5)
        return usage(text);
    const struct passwd *user = getpwnam(argv[2]);
    if (!user) {
        fprintf(stderr, "kosekictl: no user %s\n", argv[2]);
        return EX_NOUSER;
    }
    for (int i = 3; i < argc; i += 2) {
        if (i + 1 == argc)
            return usage(text);
        if (strcmp(argv[i], "--reason") == 0)
            reason = argv[i + 1];
        else if (strcmp(argv[i], "--until") != 0 || !rfc3339_parse(argv[i + 1], &until))
            return usage(text);
    }
    if (!reason)
        return usage(text);
    if (json_set_text(asking->request, "name", argv[1]) < 0 ||
        json_set_text(asking->request, "user", argv[2]) < 0 ||
        json_set_integer(asking->request, "uid", user->pw_uid) < 0 ||
        json_set_text(asking->request, "reason", reason) < 0 ||
        (until && json_set_integer(asking->request, "until", until) < 0))
        return short_of_memory();
    return ask_and_print(asking, NULL);
}

static int run_alerts(struct asking *asking, int argc, char **argv)
{
    char *rest = NULL;
    if (argc == 1 || (argc == 2 && strcmp(argv[1], "list") == 0))
        return ask_and_print(asking, "alerts");
    if (argc != 3 || strcmp(argv[1], "ack") != 0)
        return usage("alerts [list | ack ID]");
    errno = 0;
    long long id = strtoll(argv[2], &rest, 10);
    if (errno || *rest || id <= 0)
        return usage("alerts [list | ack ID]");
    if (json_set_text(asking->request, "command", "ack") < 0 ||
        json_set_integer(asking->request, "id", id) < 0)
        return short_of_memory();
    return ask_and_print(asking, NULL);
}

static int run_confirm(struct asking *asking, int argc, char **argv)
{
    char *rest = NULL;
    errno = 0;
    long long id = argc == 2 ? strtoll(argv[1], &rest, 10) : 0;
    if (argc != 2 || errno || *rest || id <= 0)
        return usage("confirm ID");
    if (json_set_integer(asking->request, "id", id) < 0)
        return short_of_memory();
    return ask_and_print(asking, NULL);
}

static const struct {
    const char *name;
    int (*run)(struct asking *, int, char **);
} commands[] = {
    {"status", run_plain},  {"list", run_list},       {"why", run_why},
    {"fetch", run_fetch},   {"grants", run_plain},    {"grant", run_grant},
    {"revoke", run_grant},  {"access", run_access},   {"alerts", run_alerts},
    {"pending", run_plain}, {"confirm", run_confirm}, {"reload", run_plain},
};

int kosekictl_daemon(const struct kosekictl_options *options, int argc, char **argv)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[0], commands[i].name) != 0)
            continue;
        _cleanup_close_ int fd = control_client_connect(options->socket);
        if (fd < 0) {
            fprintf(stderr, "kosekictl: %s: %s\n", options->socket, strerror(-fd));
            return EX_UNAVAILABLE;
        }
        _cleanup_json_ struct json *request = json_object_new();
        if (!request || json_set_text(request, "command", argv[0]) < 0)
            return short_of_memory();
        struct asking asking = {options, fd, request};
        return commands[i].run(&asking, argc, argv);
    }
    fprintf(stderr, "kosekictl: unknown command %s\n", argv[0]);
    return EX_USAGE;
}
