/* Owner, group, mode and POSIX ACL of a certificate, made from the policy: for people and backup
 * tools to look at. The decision is access.c's. */
#include "fs/access.h"

#include "fs/access_affair.h"
#include "fs/grants.h"

#include <string.h>

/* linux/posix_acl_xattr.h, POSIX_ACL_XATTR_VERSION and acl(5). */
enum { ACL_VERSION = 2 };
enum acl_tag {
    ACL_USER_OBJ = 0x01,
    ACL_USER = 0x02,
    ACL_GROUP_OBJ = 0x04,
    ACL_GROUP = 0x08,
    ACL_MASK = 0x10,
    ACL_OTHER = 0x20,
};
enum { ACL_READ = 4, ACL_NO_ID = -1 };

/* Ids, ascending, each once. When it is full the highest leave: always the same ones. */
struct idset {
    size_t count;
    uint32_t ids[ACCESS_ACL_ENTRIES_MAX];
};

static void idset_add(struct idset *set, uint32_t id)
{
    size_t place = set->count;
    while (place > 0 && set->ids[place - 1] > id)
        place--;
    if ((place > 0 && set->ids[place - 1] == id) || place == ACCESS_ACL_ENTRIES_MAX)
        return;
    if (set->count == ACCESS_ACL_ENTRIES_MAX)
        set->count--;
    memmove(&set->ids[place + 1], &set->ids[place], (set->count - place) * sizeof set->ids[0]);
    set->ids[place] = id;
    set->count++;
}

struct showing {
    bool has_group;
    uint32_t group; /* the first */
    struct idset users, groups;
};

static void show_subjects(struct showing *showing, const struct access_subjects *subjects)
{
    for (uint32_t i = 0; i < subjects->count; i++) {
        uint32_t id = subjects->list[i].id;
        if (!subjects->list[i].is_group) {
            if (id != 0) /* the owner shown anyway */
                idset_add(&showing->users, id);
        } else if (!showing->has_group) {
            showing->has_group = true;
            showing->group = id;
        } else if (id != showing->group) {
            idset_add(&showing->groups, id);
        }
    }
}

static void show_grants(struct showing *showing, struct grants *grants, const struct certname *name,
                        int64_t now_s)
{
    uid_t uids[ACCESS_ACL_ENTRIES_MAX];
    size_t count = grants ? grants_users(grants, name, now_s, uids, ACCESS_ACL_ENTRIES_MAX) : 0;
    for (size_t i = 0; i < count; i++)
        idset_add(&showing->users, uids[i]);
}

static void put_le16(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
}

static void put_entry(struct access_shown *shown, enum acl_tag tag, uint16_t permissions,
                      uint32_t id)
{
    uint8_t *out = shown->acl + shown->acl_size;
    put_le16(out, (uint16_t)tag);
    put_le16(out + 2, permissions);
    put_le16(out + 4, (uint16_t)id);
    put_le16(out + 6, (uint16_t)(id >> 16));
    shown->acl_size += 8;
}

/* In the order that acl_valid(3) demands. */
static void put_acl(struct access_shown *shown, const struct showing *showing)
{
    put_le16(shown->acl, ACL_VERSION);
    put_le16(shown->acl + 2, 0);
    shown->acl_size = 4;
    put_entry(shown, ACL_USER_OBJ, ACL_READ, (uint32_t)ACL_NO_ID);
    size_t users = showing->users.count;
    for (size_t i = 0; i < users; i++)
        put_entry(shown, ACL_USER, ACL_READ, showing->users.ids[i]);
    put_entry(shown, ACL_GROUP_OBJ, showing->has_group ? ACL_READ : 0, (uint32_t)ACL_NO_ID);
    for (size_t i = 0; i < showing->groups.count && users + i < ACCESS_ACL_ENTRIES_MAX; i++)
        put_entry(shown, ACL_GROUP, ACL_READ, showing->groups.ids[i]);
    put_entry(shown, ACL_MASK, ACL_READ, (uint32_t)ACL_NO_ID);
    put_entry(shown, ACL_OTHER, 0, (uint32_t)ACL_NO_ID);
}

void access_show(struct access *access, const struct certname *name, int64_t now_s,
                 struct access_shown *ret_shown)
{
    struct showing showing;
    showing.has_group = false;
    showing.group = 0;
    showing.users.count = showing.groups.count = 0;

    struct access_ruling *ruling;
    const struct access_policy *policy = access_take_ruling(access, &ruling);
    for (uint32_t i = 0; i < policy->affair_count; i++) {
        const struct access_affair *affair = &policy->affairs[i];
        if (access_affair_covers_id(affair, name) && access_affair_covers_format(affair, name) &&
            access_affair_began(affair, now_s) && !access_affair_over(affair, now_s))
            show_subjects(&showing, &affair->readers);
    }
    show_grants(&showing, access_grants(access), name, now_s);
    show_subjects(&showing, &policy->backup);
    if (policy->scanner_as == ACCESS_AS_BACKUP)
        show_subjects(&showing, &policy->scanner);
    access_give_ruling(access, ruling);

    bool named = showing.users.count + showing.groups.count > 0;
    ret_shown->uid = 0;
    ret_shown->gid = showing.has_group ? showing.group : 0;
    ret_shown->mode = 0400 | (showing.has_group || named ? 0040 : 0);
    ret_shown->acl_size = 0;
    if (named)
        put_acl(ret_shown, &showing);
}
