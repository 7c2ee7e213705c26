/*
 * The rows of a backup become a store again, as they are. Names, totals and unused slots are not in
 * a backup: the store that comes out asks to be rebuilt at its first start, which also drops what
 * the ledger's slots say is erased.
 */
#include "cache/backup_format.h"
#include "cache/environment.h"
#include "cache/format.h"
#include "cache/rebuild.h"
#include "cache/rows.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { CERTIFICATES_AT_ONCE = 64, FILES_OPEN_MAX = 64 };
#define RESTORE_MAP_SIZE ((uint64_t)1 << 44)

struct restoring {
    const struct cache_restore *restore;
    struct cache cache; /* an environment with tables; no keys */
    char *message;
    struct backup_file newest;
    uint8_t format_row[BACKUP_FORMAT_ROW_SIZE]; /* the ledger's: the master key may be another */
    unsigned file_count;
    struct opened_file {
        uint32_t number;
        struct backup_file file;
    } files[FILES_OPEN_MAX];
};

static int refuse(struct restoring *restoring, int error, const char *text)
{
    if (restoring->message[0] == '\0')
        snprintf(restoring->message, STORE_MESSAGE_MAX, "%s", text);
    return error;
}

/* --- backups ---------------------------------------------------------------------------------- */

static int open_file(struct restoring *restoring, uint32_t number, struct backup_file *ret_file)
{
    char text[100];
    int fd = restoring->restore->open_backup(restoring->restore->context, number);
    int r = fd < 0 ? fd : backup_file_open(fd, true, ret_file);
    if (r == 0 && (ret_file->header.number != number ||
                   (number != restoring->restore->newest &&
                    memcmp(ret_file->header.store_id, restoring->newest.header.store_id,
                           STORE_ID_SIZE) != 0)))
        r = -EBADMSG;
    if (r < 0) {
        snprintf(text, sizeof text, "backup %u: %s", number,
                 r == -EBADMSG           ? "damaged, or of another store"
                 : r == -EPROTONOSUPPORT ? "written by a newer kosekifs"
                                         : strerror(-r));
        if (fd >= 0)
            close(fd);
        return refuse(restoring, r, text);
    }
    return 0;
}

static int find_file(struct restoring *restoring, uint32_t number, struct backup_file **ret_file)
{
    for (unsigned i = 0; i < restoring->file_count; i++) {
        if (restoring->files[i].number == number) {
            *ret_file = &restoring->files[i].file;
            return 0;
        }
    }
    /* More of them than that: the first opened gives its place. */
    unsigned place = restoring->file_count;
    if (place == FILES_OPEN_MAX) {
        close(restoring->files[0].file.fd);
        memmove(restoring->files, restoring->files + 1,
                (FILES_OPEN_MAX - 1) * sizeof *restoring->files);
        place = --restoring->file_count;
    }
    struct opened_file *opened = &restoring->files[place];
    int r = open_file(restoring, number, &opened->file);
    if (r < 0)
        return r;
    opened->number = number;
    restoring->file_count++;
    *ret_file = &opened->file;
    return 0;
}

/* --- rows ------------------------------------------------------------------------------------- */

static int copy_row(struct restoring *restoring, MDB_txn *transaction,
                    const struct backup_file *file, uint64_t offset, size_t size, enum table table,
                    struct bytes key)
{
    MDB_val name = store_value(key.data, key.size);
    MDB_val value = {.mv_size = size};
    int r = store_error(
        mdb_put(transaction, restoring->cache.tables[table], &name, &value, MDB_RESERVE));
    return r < 0 ? r : backup_file_read(file, offset, value.mv_data, size);
}

static int copy_chunks(struct restoring *restoring, MDB_txn *transaction,
                       const struct backup_file *file, const struct backup_item *item,
                       uint64_t offset)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < item->chunk_count; i++) {
        uint8_t size_bytes[4], key[RECORD_CHUNK_KEY_SIZE];
        r = backup_file_read(file, offset, size_bytes, sizeof size_bytes);
        uint32_t size = r == 0 ? be32_get(size_bytes) : 0;
        if (r == 0 && size > RECORD_CHUNK_SIZE_MAX + AEAD_TAG_SIZE)
            r = -EBADMSG;
        record_chunk_key(item->inode, item->version, i, key);
        if (r == 0)
            r = copy_row(restoring, transaction, file, offset + sizeof size_bytes, size,
                         TABLE_CHUNKS, bytes_of(key, sizeof key));
        offset += sizeof size_bytes + size;
    }
    return r;
}

static int read_item(struct restoring *restoring, const struct backup_place *place,
                     const struct backup_row *row, struct backup_file **ret_file,
                     struct backup_item *ret_item)
{
    uint8_t head[BACKUP_ITEM_SIZE];
    int r = find_file(restoring, place->file, ret_file);
    if (r == 0)
        r = backup_file_read(*ret_file, place->offset, head, sizeof head);
    if (r == 0 && (!backup_item_get(head, ret_item) || ret_item->inode != row->inode ||
                   ret_item->version != row->version))
        r = -EBADMSG;
    return r;
}

static int copy_certificate(struct restoring *restoring, MDB_txn *transaction,
                            const struct backup_row *row)
{
    struct backup_file *file;
    struct backup_item item;
    struct number_key number = number_key(row->inode);
    struct bytes key = bytes_of(number.bytes, sizeof number.bytes);
    uint64_t entry = row->rows.offset + BACKUP_ITEM_SIZE;
    int r = read_item(restoring, &row->rows, row, &file, &item);
    if (r == 0)
        r = copy_row(restoring, transaction, file, entry, item.entry_size, TABLE_ENTRIES, key);
    if (r == 0)
        r = copy_row(restoring, transaction, file, entry + item.entry_size, item.verdict_size,
                     TABLE_VERDICTS, key);
    if (r == 0)
        r = read_item(restoring, &row->content, row, &file, &item);
    if (r == 0)
        r = copy_chunks(restoring, transaction, file, &item,
                        row->content.offset + BACKUP_ITEM_SIZE + item.entry_size +
                            item.verdict_size);
    return r == -EBADMSG ? refuse(restoring, r, "a backup does not fit its manifest") : r;
}

static int copy_certificates(struct restoring *restoring)
{
    const struct backup_trailer *trailer = &restoring->newest.trailer;
    for (uint64_t next = 0; next < trailer->count;) {
        _cleanup_transaction_ MDB_txn *transaction = NULL;
        int r = store_begin(&restoring->cache, 0, &transaction);
        for (unsigned i = 0; r == 0 && i < CERTIFICATES_AT_ONCE && next < trailer->count; i++) {
            uint8_t bytes[BACKUP_MANIFEST_ROW_SIZE];
            struct backup_row row;
            r = backup_file_read(&restoring->newest,
                                 trailer->manifest_offset + next++ * BACKUP_MANIFEST_ROW_SIZE,
                                 bytes, sizeof bytes);
            if (r == 0 && !backup_row_get(bytes, &row))
                r = -EBADMSG;
            if (r == 0)
                r = copy_certificate(restoring, transaction, &row);
        }
        if (r == 0)
            r = store_commit(&restoring->cache, &transaction);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_copied(uint32_t table)
{
    for (size_t i = 0; i < BACKUP_TABLE_COUNT; i++)
        if (backup_tables[i] == table)
            return true;
    return false;
}

/* The row at *offset, which moves behind it. */
static int copy_table_row(struct restoring *restoring, MDB_txn *transaction, uint64_t *offset)
{
    const struct backup_file *newest = &restoring->newest;
    uint8_t head[BACKUP_ROW_SIZE], key[BACKUP_KEY_MAX];
    int r = backup_file_read(newest, *offset, head, sizeof head);
    if (r < 0)
        return r;
    uint32_t table = be32_get(head + 4), key_size = be32_get(head + 8);
    uint32_t value_size = be32_get(head + 12);
    if (memcmp(head, "KSRW", 4) != 0 || !is_copied(table) || key_size == 0 ||
        key_size > sizeof key || value_size > BACKUP_ROW_MAX)
        return -EBADMSG;
    *offset += sizeof head;
    r = backup_file_read(newest, *offset, key, key_size);
    *offset += key_size;
    if (r == 0)
        r = copy_row(restoring, transaction, newest, *offset, value_size, (enum table)table,
                     bytes_of(key, key_size));
    *offset += value_size;
    return r;
}

/* Format row, whole tables, and the wish to be rebuilt: in the first transaction, so that a restore
 * that was broken off is no store at all or one that is rebuilt. */
static int copy_head(struct restoring *restoring, MDB_txn *transaction)
{
    const struct backup_file *newest = &restoring->newest;
    uint64_t offset = newest->trailer.rows_offset;
    int r = store_put(&restoring->cache, transaction, TABLE_META, bytes_of("format", 6),
                      bytes_of(restoring->format_row, sizeof restoring->format_row));
    if (r == 0)
        r = rebuild_ask(&restoring->cache, transaction);
    for (uint64_t i = 0; r == 0 && i < newest->trailer.row_count; i++)
        r = copy_table_row(restoring, transaction, &offset);
    return r;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int open_target(struct restoring *restoring)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct cache *cache = &restoring->cache;
    bool created = false;
    int r = environment_open(cache, restoring->message);
    if (r == 0)
        r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = environment_open_tables(cache, transaction, restoring->message, &created);
    if (r == 0 && !created)
        r = refuse(restoring, -EEXIST, "the directory has a store already");
    if (r == 0)
        r = copy_head(restoring, transaction);
    return r < 0 ? r : store_commit(cache, &transaction);
}

/* The keys. Made last: a store without them does not open. */
static int copy_slots(struct restoring *restoring)
{
    struct slots slots = {.fd = -1};
    bool changed;
    const struct cache_restore *restore = restoring->restore;
    int r = slots_create(restore->directory_fd, restoring->newest.header.store_id);
    if (r == 0)
        r = slots_open(restore->directory_fd, restoring->newest.header.store_id, &slots);
    if (r < 0)
        return refuse(restoring, r, "the file of keys cannot be made");
    slots.mirrors[0] = (struct slots_mirror){.directory_fd = restore->ledger_fd, .fd = -1};
    slots.mirror_count = 1;
    r = slots_mirror_attach(&slots, 0, &changed);
    slots_close(&slots);
    return r < 0 ? refuse(restoring, r, "the ledger cannot be read") : 0;
}

static int check_ledger(struct restoring *restoring)
{
    struct slots slots;
    int r = slots_open(restoring->restore->ledger_fd, restoring->newest.header.store_id, &slots);
    if (r < 0)
        return refuse(restoring, r,
                      "the ledger is missing, damaged or of another store: without it nothing can "
                      "be restored, since it alone says what was erased");
    memcpy(restoring->format_row, restoring->newest.header.format_row,
           sizeof restoring->format_row);
    uint8_t row[BACKUP_FORMAT_ROW_SIZE];
    if (slots_get_format(&slots, row, sizeof row) == 0 &&
        format_is_of(bytes_of(row, sizeof row), restoring->newest.header.store_id))
        memcpy(restoring->format_row, row, sizeof row);
    slots_close(&slots);
    return 0;
}

static int check_target(struct restoring *restoring)
{
    static const char *const names[] = {"data.mdb", "slots"};
    struct stat status;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (fstatat(restoring->restore->directory_fd, names[i], &status, AT_SYMLINK_NOFOLLOW) == 0)
            return refuse(restoring, -EEXIST, "the directory has a store already");
    return 0;
}

static int run(struct restoring *restoring)
{
    int lock_fd = -1;
    int r = check_target(restoring);
    if (r == 0)
        r = open_file(restoring, restoring->restore->newest, &restoring->newest);
    if (r == 0)
        r = check_ledger(restoring);
    if (r == 0)
        r = environment_lock(restoring->restore->directory_fd, restoring->message, &lock_fd);
    if (r == 0)
        r = open_target(restoring);
    if (r == 0)
        r = copy_certificates(restoring);
    if (r == 0)
        r = copy_slots(restoring);
    cleanup_close(&lock_fd);
    return r < 0 ? refuse(restoring, r, strerror(-r)) : 0;
}

int cache_restore(const struct cache_restore *restore, char *ret_message,
                  uint64_t *ret_certificates)
{
    struct restoring *restoring = calloc(1, sizeof *restoring);
    ret_message[0] = '\0';
    if (!restoring)
        return -ENOMEM;
    restoring->restore = restore;
    restoring->message = ret_message;
    restoring->newest.fd = -1;
    restoring->cache.directory_fd = restore->directory_fd;
    restoring->cache.map_size = RESTORE_MAP_SIZE;
    int r = run(restoring);
    if (restoring->cache.environment)
        mdb_env_close(restoring->cache.environment);
    for (unsigned i = 0; i < restoring->file_count; i++)
        close(restoring->files[i].file.fd);
    if (r == 0)
        *ret_certificates = restoring->newest.trailer.count;
    cleanup_close(&restoring->newest.fd);
    free(restoring);
    return r;
}
