/* See kosekictl_seal.h. */
#include "tools/kosekictl_seal.h"

#include "base/json.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sysexits.h>

static const char seal_usage[] =
    "seal [--affair NAME | --user USER | --name CERTIFICATE] --reason TEXT";
static const char unseal_usage[] = "unseal ID --reason TEXT";

struct wanted {
    const char *scope, *subject, *reason;
};

static bool take_option(struct wanted *wanted, const char *option, const char *value)
{
    static const char *const scopes[] = {"affair", "user", "name"};
    if (strcmp(option, "--reason") == 0) {
        wanted->reason = value;
        return true;
    }
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        if (strncmp(option, "--", 2) == 0 && strcmp(option + 2, scopes[i]) == 0 &&
            !wanted->subject) {
            wanted->scope = scopes[i];
            wanted->subject = value;
            return true;
        }
    }
    return false;
}

/* A user that is no more can be sealed by number. */
static int find_uid(const char *user, uint32_t *ret_uid)
{
    char *rest = NULL;
    const struct passwd *entry = getpwnam(user);
    errno = 0;
    long long number = entry ? entry->pw_uid : strtoll(user, &rest, 10);
    if ((!entry && (errno || !*user || *rest)) || number < 0 || number >= UINT32_MAX) {
        fprintf(stderr, "kosekictl: no user %s; a number may be given\n", user);
        return EX_NOUSER;
    }
    *ret_uid = (uint32_t)number;
    return 0;
}

int kosekictl_seal(struct asking *asking, int argc, char **argv)
{
    struct wanted wanted = {.scope = "all"};
    uint32_t uid = 0;
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !take_option(&wanted, argv[i], argv[i + 1]))
            return asking_usage(seal_usage);
    if (!wanted.reason)
        return asking_usage(seal_usage);
    if (strcmp(wanted.scope, "user") == 0) {
        int status = find_uid(wanted.subject, &uid);
        if (status != 0)
            return status;
    }
    if (json_set_text(asking->request, "scope", wanted.scope) < 0 ||
        json_set_text(asking->request, "subject", wanted.subject ? wanted.subject : "") < 0 ||
        json_set_integer(asking->request, "uid", uid) < 0 ||
        json_set_text(asking->request, "reason", wanted.reason) < 0)
        return asking_out_of_memory();
    return asking_print(asking, NULL);
}

int kosekictl_unseal(struct asking *asking, int argc, char **argv)
{
    char *rest = NULL;
    errno = 0;
    long long id = argc == 4 ? strtoll(argv[1], &rest, 10) : -1;
    if (argc != 4 || strcmp(argv[2], "--reason") != 0 || errno || *rest || id < 0)
        return asking_usage(unseal_usage);
    if (json_set_integer(asking->request, "id", id) < 0 ||
        json_set_text(asking->request, "reason", argv[3]) < 0)
        return asking_out_of_memory();
    return asking_print(asking, NULL);
}

int kosekictl_seals(struct asking *asking, int argc, char **argv)
{
    return argc == 1 ? asking_print(asking, "seals") : asking_usage(argv[0]);
}
