/* See fs/supervisor_accounts.h. */
#include "fs/supervisor_accounts.h"

#include "base/config_values.h"
#include "fs/supervisor_exit.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>

struct search {
    const char *config_path;
    config_report *report;
    void *context;
    bool mistaken;
};

_printf_(2, 3) static void mistake(struct search *search, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    search->report(search->context, search->config_path, 0, text);
    search->mistaken = true;
}

/* Beyond it are -1, which means "no change", and numbers that 32 bits do not hold. */
static bool parse_id(const char *text, uint32_t *ret_id)
{
    int64_t number;
    if (text[strspn(text, "0123456789")] != '\0' || !config_parse_number(text, &number) ||
        number >= UINT32_MAX)
        return false;
    *ret_id = (uint32_t)number;
    return true;
}

static void find_user(struct search *search, enum room_role role, const char *name,
                      struct child_identity *identity)
{
    uint32_t number;
    bool numeric = parse_id(name, &number);
    const struct passwd *user = numeric ? getpwuid(number) : getpwnam(name);
    if (!user && !numeric) {
        mistake(search, "[users] %s: there is no user %.64s", room_role_name(role), name);
        return;
    }
    identity->change = true;
    identity->uid = user ? user->pw_uid : number;
    identity->gid = user ? user->pw_gid : number;
    if (identity->uid == 0 || identity->gid == 0)
        mistake(search, "[users] %s: %.64s is root, or of its group", room_role_name(role), name);
}

static void find_users(struct search *search, const struct config_users *users,
                       struct child_identity rooms[ROOM_ROLE_COUNT])
{
    const char *const names[ROOM_ROLE_COUNT] = {[ROOM_MOUNT] = users->mount,
                                                [ROOM_LINK] = users->link,
                                                [ROOM_VERIFY] = users->verify,
                                                [ROOM_KEYS] = users->keys,
                                                [ROOM_SCHEMA] = users->schema};
    for (enum room_role role = ROOM_MOUNT; role < ROOM_ROLE_COUNT; role++) {
        find_user(search, role, names[role], &rooms[role]);
        for (enum room_role other = ROOM_MOUNT; other < role; other++) {
            if (rooms[role].change && rooms[other].change && rooms[role].uid == rooms[other].uid)
                mistake(search, "[users] %s and %s share uid %u; each process needs its own",
                        room_role_name(other), room_role_name(role), rooms[role].uid);
        }
    }
}

static void find_control_group(struct search *search, const char *name, gid_t *ret_group)
{
    uint32_t number;
    const struct group *group;
    if (*name == '\0')
        return;
    if (parse_id(name, &number))
        *ret_group = number;
    else if ((group = getgrnam(name)))
        *ret_group = group->gr_gid;
    else
        mistake(search, "[mount] control_group: there is no group %.64s", name);
}

int supervisor_accounts_find(const struct config *config, const char *config_path,
                             config_report *report, void *context,
                             struct supervisor_accounts *ret_accounts)
{
    struct search search = {.config_path = config_path, .report = report, .context = context};
    struct supervisor_accounts accounts = {.control_group = getegid()};
    for (enum room_role role = 0; role < ROOM_ROLE_COUNT; role++)
        accounts.rooms[role] = (struct child_identity){.uid = geteuid(), .gid = getegid()};
    if (geteuid() == 0)
        find_users(&search, &config->users, accounts.rooms);
    find_control_group(&search, config->mount.control_group, &accounts.control_group);
    if (search.mistaken)
        return EXIT_CONFIG;
    *ret_accounts = accounts;
    return 0;
}
