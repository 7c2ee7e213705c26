/* See cache/environment.h. */
#include "cache/environment.h"

#include "cache/format.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

enum {
    READER_MAX = 512, /* threads that may read at one time */
    TABLE_MAX = 24,
};

static const char *const table_names[TABLE_COUNT] = {
    [TABLE_META] = "meta",         [TABLE_NAMES] = "names",       [TABLE_ENTRIES] = "entries",
    [TABLE_RECORDS] = "records",   [TABLE_CHUNKS] = "chunks",     [TABLE_VERDICTS] = "verdicts",
    [TABLE_ERASURES] = "erasures", [TABLE_UNUSED] = "unused",     [TABLE_OUTBOX] = "outbox",
    [TABLE_PERIODS] = "periods",   [TABLE_AGES] = "ages",         [TABLE_LISTS] = "lists",
    [TABLE_SIGNERS] = "signers",   [TABLE_PARTIALS] = "partials", [TABLE_PIECES] = "pieces",
};

int environment_check_directory(int directory_fd, char *ret_message)
{
    struct stat status;
    struct statfs system;
    if (fstat(directory_fd, &status) < 0 || fstatfs(directory_fd, &system) < 0) {
        int r = -errno;
        snprintf(ret_message, STORE_MESSAGE_MAX, "store directory: %s", strerror(-r));
        return r;
    }
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 0077) != 0) {
        snprintf(ret_message, STORE_MESSAGE_MAX,
                 "store directory: must be a directory of user %u with mode 0700; it is of user %u "
                 "with mode %04o",
                 (unsigned)geteuid(), (unsigned)status.st_uid, (unsigned)status.st_mode & 07777);
        return -EPERM;
    }
    /* Others may write elsewhere than in place, or sync nothing. */
    if (system.f_type != EXT4_SUPER_MAGIC && system.f_type != XFS_SUPER_MAGIC) {
        snprintf(ret_message, STORE_MESSAGE_MAX,
                 "store directory: its file system must be ext4 or xfs (type is 0x%lx)",
                 (unsigned long)system.f_type);
        return -EMEDIUMTYPE;
    }
    return 0;
}

int environment_lock(int directory_fd, char *ret_message, int *ret_fd)
{
    _cleanup_close_ int fd =
        openat(directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: %s",
                 r == -EBUSY ? "another process uses it" : strerror(-r));
        return r;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int open_error(int result, char *ret_message)
{
    int r = store_error(result);
    if (result == MDB_VERSION_MISMATCH)
        r = -EPROTONOSUPPORT;
    else if (r == -EIO)
        r = -EBADMSG;
    snprintf(ret_message, STORE_MESSAGE_MAX, "store: LMDB: %s", mdb_strerror(result));
    return r;
}

/* Pages that are missing at the end of the file would be SIGBUS at the first touch. */
static int check_length(struct cache *cache, char *ret_message)
{
    MDB_envinfo info;
    MDB_stat table;
    mdb_filehandle_t fd;
    struct stat status;
    int result = mdb_env_info(cache->environment, &info);
    if (result == 0)
        result = mdb_env_stat(cache->environment, &table);
    if (result == 0)
        result = mdb_env_get_fd(cache->environment, &fd);
    if (result != 0)
        return open_error(result, ret_message);
    if (fstat(fd, &status) < 0)
        return -errno;
    cache->page_size = table.ms_psize;
    if ((uint64_t)status.st_size < ((uint64_t)info.me_last_pgno + 1) * table.ms_psize) {
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: data.mdb is cut off");
        return -EBADMSG;
    }
    return 0;
}

static int check_files(int directory_fd, char *ret_message)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat status;
        if (fstatat(directory_fd, names[i], &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            (!S_ISREG(status.st_mode) || status.st_nlink != 1)) {
            snprintf(ret_message, STORE_MESSAGE_MAX, "store: %s is not a file of its own",
                     names[i]);
            return -EBADMSG;
        }
    }
    return 0;
}

int environment_open(struct cache *cache, char *ret_message)
{
    char path[64];
    int stale;
    int r = check_files(cache->directory_fd, ret_message);
    if (r < 0)
        return r;
    /* LMDB takes a path; this one cannot be moved from under us. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", cache->directory_fd);
    int result = mdb_env_create(&cache->environment);
    if (result == 0)
        result = mdb_env_set_mapsize(cache->environment, cache->map_size);
    if (result == 0)
        result = mdb_env_set_maxdbs(cache->environment, TABLE_MAX);
    if (result == 0)
        result = mdb_env_set_maxreaders(cache->environment, READER_MAX);
    if (result == 0)
        result = mdb_env_open(cache->environment, path, 0, 0600);
    if (result == 0)
        result = mdb_reader_check(cache->environment, &stale);
    if (result != 0)
        return open_error(result, ret_message);
    return check_length(cache, ret_message);
}

int environment_open_tables(struct cache *cache, MDB_txn *transaction, char *ret_message,
                            bool *ret_created)
{
    MDB_dbi main_table;
    MDB_stat rows;
    int result = mdb_dbi_open(transaction, NULL, 0, &main_table);
    if (result == 0)
        result = mdb_stat(transaction, main_table, &rows);
    if (result != 0)
        return open_error(result, ret_message);
    bool created = rows.ms_entries == 0;
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        bool may_be_new = created || i >= TABLE_NEW_IN_2;
        result = mdb_dbi_open(transaction, table_names[i], may_be_new ? MDB_CREATE : 0,
                              &cache->tables[i]);
        if (result == MDB_NOTFOUND) {
            snprintf(ret_message, STORE_MESSAGE_MAX, "store: table %s is missing", table_names[i]);
            return -EBADMSG;
        }
        if (result != 0)
            return open_error(result, ret_message);
    }
    *ret_created = created;
    return 0;
}
