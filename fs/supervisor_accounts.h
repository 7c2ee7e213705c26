/*
 * Whom each room becomes. Asks NSS, once, at the start. Numbers need not belong to a user: then the
 * group has the same number.
 */
#ifndef FS_SUPERVISOR_ACCOUNTS_H
#define FS_SUPERVISOR_ACCOUNTS_H

#include "base/cleanup.h"
#include "base/config.h"
#include "fs/children.h"

struct supervisor_accounts {
    struct child_identity rooms[ROOM_ROLE_COUNT];
    gid_t control_group;
};

/* Without root every room remains whoever started us. EXIT_CONFIG after a report for every account
 * that does not exist, is root, or is shared by two rooms. */
_must_use_ int supervisor_accounts_find(const struct config *config, const char *config_path,
                                        config_report *report, void *context,
                                        struct supervisor_accounts *ret_accounts);

#endif
