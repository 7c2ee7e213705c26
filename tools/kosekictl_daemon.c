/* See kosekictl_daemon.h: arguments to a request, the reply to text. */
#include "tools/kosekictl_daemon.h"

#include "base/clock.h"
#include "base/json.h"
#include "tools/asking.h"
#include "tools/control_client.h"
#include "tools/kosekictl_backup.h"
#include "tools/kosekictl_keep.h"
#include "tools/kosekictl_link.h"
#include "tools/kosekictl_reload.h"
#include "tools/kosekictl_revalidate.h"
#include "tools/kosekictl_scan.h"
#include "tools/kosekictl_revocation.h"
#include "tools/kosekictl_seal.h"
#include "tools/kosekictl_store.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <sysexits.h>

enum { GROUPS_MAX = 256 };

static int run_plain(struct asking *asking, int argc, char **argv)
{
    bool plain = strcmp(argv[0], "status") == 0;
    const char *rows = plain ? NULL : argv[0];
    return argc == 1 ? asking_print(asking, rows) : asking_usage(argv[0]);
}

static int run_list(struct asking *asking, int argc, char **argv)
{
    int64_t next = 0;
    if (argc != 1)
        return asking_usage(argv[0]);
    do {
        int status;
        if (json_set_integer(asking->request, "after", next) < 0)
            return asking_out_of_memory();
        _cleanup_json_ struct json *reply = asking_send(asking, &status);
        if (!reply)
            return status;
        if (asking->options->json) {
            _cleanup_free_ char *printed = json_print(json_get(reply, "certificates"));
            puts(printed ? printed : "[]");
        } else {
            asking_print_rows(json_get(reply, "certificates"));
        }
        if (!json_get_integer(reply, "next", &next))
            next = 0;
    } while (next > 0);
    return 0;
}

static int run_why(struct asking *asking, int argc, char **argv)
{
    if (argc != 2)
        return asking_usage("why NAME");
    if (json_set_text(asking->request, "name", argv[1]) < 0)
        return asking_out_of_memory();
    return asking_print(asking, NULL);
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
        return asking_usage("access explain USER NAME");
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
        return asking_out_of_memory();
    return asking_print(asking, NULL);
}

/* grant NAME USER --reason TEXT [--until RFC3339]; revoke NAME USER [--reason TEXT] */
static int run_grant(struct asking *asking, int argc, char **argv)
{
    static const char text[] = "grant|revoke NAME USER --reason TEXT [--until RFC3339]";
    const char *reason = NULL;
    int64_t until = 0;
    if (argc < 5)
        return asking_usage(text);
    const struct passwd *user = getpwnam(argv[2]);
    if (!user) {
        fprintf(stderr, "kosekictl: no user %s\n", argv[2]);
        return EX_NOUSER;
    }
    for (int i = 3; i < argc; i += 2) {
        if (i + 1 == argc)
            return asking_usage(text);
        if (strcmp(argv[i], "--reason") == 0)
            reason = argv[i + 1];
        else if (strcmp(argv[i], "--until") != 0 || !rfc3339_parse(argv[i + 1], &until))
            return asking_usage(text);
    }
    if (!reason)
        return asking_usage(text);
    if (json_set_text(asking->request, "name", argv[1]) < 0 ||
        json_set_text(asking->request, "user", argv[2]) < 0 ||
        json_set_integer(asking->request, "uid", user->pw_uid) < 0 ||
        json_set_text(asking->request, "reason", reason) < 0 ||
        (until && json_set_integer(asking->request, "until", until) < 0))
        return asking_out_of_memory();
    return asking_print(asking, NULL);
}

static int run_alerts(struct asking *asking, int argc, char **argv)
{
    char *rest = NULL;
    if (argc == 1 || (argc == 2 && strcmp(argv[1], "list") == 0))
        return asking_print(asking, "alerts");
    if (argc != 3 || strcmp(argv[1], "ack") != 0)
        return asking_usage("alerts [list | ack ID]");
    errno = 0;
    long long id = strtoll(argv[2], &rest, 10);
    if (errno || *rest || id <= 0)
        return asking_usage("alerts [list | ack ID]");
    if (json_set_text(asking->request, "command", "ack") < 0 ||
        json_set_integer(asking->request, "id", id) < 0)
        return asking_out_of_memory();
    return asking_print(asking, NULL);
}

static int run_confirm(struct asking *asking, int argc, char **argv)
{
    char *rest = NULL;
    errno = 0;
    long long id = argc == 2 ? strtoll(argv[1], &rest, 10) : 0;
    if (argc != 2 || errno || *rest || id <= 0)
        return asking_usage("confirm ID");
    if (json_set_integer(asking->request, "id", id) < 0)
        return asking_out_of_memory();
    return asking_print(asking, NULL);
}

static const struct {
    const char *name;
    int (*run)(struct asking *, int, char **);
} commands[] = {
    {"status", run_plain},
    {"list", run_list},
    {"why", run_why},
    {"grants", run_plain},
    {"grant", run_grant},
    {"revoke", run_grant},
    {"access", run_access},
    {"alerts", run_alerts},
    {"pending", run_plain},
    {"confirm", run_confirm},
    {"reload", kosekictl_reload},
    {"upgrade", kosekictl_reload},
    {"seal", kosekictl_seal},
    {"unseal", kosekictl_unseal},
    {"seals", kosekictl_seals},
    {"scan", kosekictl_scan},
    {"revalidate", kosekictl_revalidate},
    {"purge", kosekictl_decide},
    {"hold", kosekictl_decide},
    {"release", kosekictl_decide},
    {"backup", kosekictl_backup},
    {"export", kosekictl_export},
    {"fsck", kosekictl_fsck},
    {"rotate-key", kosekictl_rotate_key},
    {"trust", kosekictl_show_trust},
    {"crl", kosekictl_show_crl},
    {"link", kosekictl_link},
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
            return asking_out_of_memory();
        struct asking asking = {.options = options, .fd = fd, .request = request};
        return commands[i].run(&asking, argc, argv);
    }
    fprintf(stderr, "kosekictl: unknown command %s\n", argv[0]);
    return EX_USAGE;
}
