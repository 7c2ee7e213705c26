/* See attributes.h. */
#include "fs/attributes.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

enum { BLOCK = 512, READ_UNIT = 131072, NANOSECONDS = 1000000000 };

static struct timespec time_of_ns(int64_t nanoseconds)
{
    return (struct timespec){.tv_sec = nanoseconds / NANOSECONDS,
                             .tv_nsec = nanoseconds % NANOSECONDS};
}

void attributes_of_entry(struct mountfs *fs, const struct cache_entry *entry,
                         struct stat *ret_status)
{
    struct access_shown shown;
    access_show(fs->access, &entry->name, clock_realtime_s(), &shown);
    *ret_status = (struct stat){
        .st_ino = entry->inode,
        .st_mode = S_IFREG | (shown.mode & 0444),
        .st_nlink = 1,
        .st_uid = shown.uid,
        .st_gid = shown.gid,
        .st_size = (off_t)entry->size,
        .st_blocks = (blkcnt_t)((entry->size + BLOCK - 1) / BLOCK),
        .st_blksize = READ_UNIT,
        .st_mtim = {.tv_sec = entry->modified_s},
        .st_atim = {.tv_sec = entry->modified_s},
        .st_ctim = time_of_ns(entry->first_seen_ns),
    };
}

void attributes_of_directory(struct mountfs *fs, uint64_t inode, struct stat *ret_status)
{
    struct cache_statistics store;
    struct timespec changed = {.tv_sec = fs->started_s};
    /* The hidden directories do not change; what is added to the root moves its time. */
    if (inode == INODE_ROOT && cache_statistics(fs->cache, &store) == 0 && store.changed_at_ns)
        changed = time_of_ns(store.changed_at_ns);
    *ret_status = (struct stat){
        .st_ino = inode,
        .st_mode = S_IFDIR | 0555,
        .st_nlink = 2,
        .st_size = 4096,
        .st_blksize = READ_UNIT,
        .st_mtim = changed,
        .st_atim = changed,
        .st_ctim = changed,
    };
}

void attributes_of_file(struct mountfs *fs, uint64_t inode, struct stat *ret_status)
{
    const struct timespec now = {.tv_sec = clock_realtime_s()};
    (void)fs;
    *ret_status = (struct stat){
        .st_ino = inode,
        .st_mode = S_IFREG | 0444,
        .st_nlink = 1,
        .st_blksize = READ_UNIT,
        .st_mtim = now,
        .st_atim = now,
        .st_ctim = now,
    };
}

int attributes_of_store(struct mountfs *fs, struct statvfs *ret_status)
{
    struct cache_statistics store;
    int error = cache_statistics(fs->cache, &store);
    if (error < 0)
        return error;
    *ret_status = (struct statvfs){
        .f_bsize = store.block_size,
        .f_frsize = store.block_size,
        .f_blocks = store.blocks,
        .f_bfree = store.blocks_free,
        .f_bavail = store.blocks_free,
        .f_files = store.stored + store.inodes_left,
        .f_ffree = store.inodes_left,
        .f_favail = store.inodes_left,
        .f_namemax = CERTNAME_MAX,
        .f_flag = ST_RDONLY | ST_NOSUID,
    };
    return 0;
}

static ssize_t put_text(char *value, const char *text)
{
    size_t size = strlen(text); /* of a bounded array of the verdict */
    if (size == 0)
        return -ENODATA;
    memcpy(value, text, size);
    return (ssize_t)size;
}

static ssize_t put_time(char *value, int64_t seconds)
{
    char text[RFC3339_SIZE];
    if (!seconds)
        return -ENODATA;
    rfc3339_format(seconds, text);
    return put_text(value, text);
}

/* X(name, expression over `verdict`) */
#define VERDICT_ATTRIBUTES(X)                                                                      \
    X("user.koseki.sha256", put_text(value, digest))                                               \
    X("user.koseki.signer", put_text(value, verdict->signer))                                      \
    X("user.koseki.signing_time", put_time(value, verdict->signing_time_s))                        \
    X("user.koseki.verified_at", put_time(value, verdict->verified_at_s))                          \
    X("user.koseki.indication", put_text(value, verdict_indication_text(verdict->indication)))     \
    X("user.koseki.schema", put_text(value, verdict->schema))

static ssize_t get_of_verdict(const struct verdict *verdict, const char *name, char *value)
{
    char digest[2 * SHA256_SIZE + 1];
    hex_encode(verdict->document_sha256, SHA256_SIZE, digest);
#define ATTRIBUTE(attribute, expression)                                                           \
    if (strcmp(name, attribute) == 0)                                                              \
        return expression;
    VERDICT_ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
    return -ENODATA;
}

static ssize_t get_acl(struct mountfs *fs, const struct cache_entry *entry, char *value)
{
    struct access_shown shown;
    access_show(fs->access, &entry->name, clock_realtime_s(), &shown);
    if (shown.acl_size == 0)
        return -ENODATA;
    memcpy(value, shown.acl, shown.acl_size);
    return (ssize_t)shown.acl_size;
}

static int stored_verdict(struct mountfs *fs, const struct cache_entry *entry,
                          struct verdict **ret_verdict)
{
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    if (!verdict)
        return -ENOMEM;
    if (entry->state != CACHE_STORED)
        return -ENODATA;
    int result = cache_verdict(fs->cache, &entry->name, verdict);
    if (result != 0)
        return result < 0 ? result : -ENODATA;
    *ret_verdict = steal_ptr(&verdict);
    return 0;
}

ssize_t attributes_get(struct mountfs *fs, const struct cache_entry *entry, const char *name,
                       char value[ATTRIBUTES_VALUE_MAX])
{
    if (strcmp(name, "system.posix_acl_access") == 0)
        return get_acl(fs, entry, value);
    if (strncmp(name, "user.koseki.", sizeof "user.koseki." - 1) != 0)
        return -ENODATA;
    _cleanup_free_ struct verdict *verdict = NULL;
    int error = stored_verdict(fs, entry, &verdict);
    return error < 0 ? error : get_of_verdict(verdict, name, value);
}

ssize_t attributes_list(struct mountfs *fs, const struct cache_entry *entry,
                        char list[ATTRIBUTES_VALUE_MAX])
{
    static const char *const names[] = {
#define ATTRIBUTE(attribute, expression) attribute,
        VERDICT_ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
    };
    char value[ATTRIBUTES_VALUE_MAX];
    size_t size = 0;
    _cleanup_free_ struct verdict *verdict = NULL;
    int error = stored_verdict(fs, entry, &verdict);
    if (error < 0 && error != -ENODATA)
        return error;
    for (size_t i = 0; verdict && i < sizeof names / sizeof *names; i++) {
        if (get_of_verdict(verdict, names[i], value) < 0)
            continue;
        memcpy(list + size, names[i], strlen(names[i]) + 1);
        size += strlen(names[i]) + 1;
    }
    if (get_acl(fs, entry, value) > 0) {
        memcpy(list + size, "system.posix_acl_access", sizeof "system.posix_acl_access");
        size += sizeof "system.posix_acl_access";
    }
    return (ssize_t)size;
}
