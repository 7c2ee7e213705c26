/* See cache/replica.h. */
#include "cache/replica.h"

#include "cache/backup_format.h"
#include "cache/environment.h"
#include "cache/format.h"
#include "cache/rebuild.h"
#include "cache/rows.h"

#include <fcntl.h>

enum { COMPARED_AT_ONCE = 256 };
#define REPLICA_MAP_SIZE ((uint64_t)1 << 44)

struct cache_replica {
    struct cache *from;
    struct cache to;  /* an environment with tables; no keys */
    bool compared;    /* all entries were looked at once */
    size_t tables_at; /* the transaction of ours whose small tables it has */
    uint32_t next[2]; /* where comparing goes on: ours, then theirs */
};

/* --- copying ---------------------------------------------------------------------------------- */

static int copy_row(struct cache_replica *replica, MDB_txn *from, MDB_txn *to, enum table table,
                    struct bytes key)
{
    struct bytes value;
    int r = store_get(replica->from, from, table, key, &value);
    if (r == CACHE_MISS)
        return store_delete(&replica->to, to, table, key);
    return r < 0 ? r : store_put(&replica->to, to, table, key, value);
}

static int copy_chunks(struct cache_replica *replica, MDB_txn *from, MDB_txn *to,
                       const struct record *record)
{
    uint32_t count = record_chunk_count(record);
    int r = rebuild_delete_chunks(&replica->to, to, record->inode, 0);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        uint8_t key[RECORD_CHUNK_KEY_SIZE];
        record_chunk_key(record->inode, record->version, i, key);
        r = copy_row(replica, from, to, TABLE_CHUNKS, bytes_of(key, sizeof key));
    }
    return r;
}

/* Whether the replica has the chunks of this record: the header tells, with a name behind it or
 * not. */
static int has_content(struct cache_replica *replica, MDB_txn *from, MDB_txn *to, struct bytes key,
                       bool *ret_has)
{
    struct bytes ours, theirs;
    int r = store_get(replica->from, from, TABLE_RECORDS, key, &ours);
    if (r == 0)
        r = store_get(&replica->to, to, TABLE_RECORDS, key, &theirs);
    *ret_has = r == 0 && ours.size >= RECORD_HEADER_SIZE && record_row_has(theirs, ours.data);
    return r < 0 ? r : 0;
}

static int copy_content(struct cache_replica *replica, MDB_txn *from, MDB_txn *to,
                        const struct entry_row *row, struct bytes key)
{
    const struct record record = entry_record(row);
    struct number_key period = number_key(record.period);
    bool has = false;
    int r = has_content(replica, from, to, key, &has);
    if (r == 0 && !has)
        r = copy_chunks(replica, from, to, &record);
    if (r == 0)
        r = copy_row(replica, from, to, TABLE_RECORDS, key);
    if (r == 0)
        r = copy_row(replica, from, to, TABLE_VERDICTS, key);
    if (r == 0)
        r = copy_row(replica, from, to, TABLE_ENTRIES, key);
    if (r == 0 && record.period != 0)
        r = copy_row(replica, from, to, TABLE_PERIODS, bytes_of(period.bytes, sizeof period.bytes));
    return r;
}

static int drop(struct cache_replica *replica, MDB_txn *to, uint32_t inode, struct bytes key)
{
    static const enum table tables[] = {TABLE_RECORDS, TABLE_VERDICTS, TABLE_ENTRIES};
    int r = rebuild_delete_chunks(&replica->to, to, inode, 0);
    for (size_t i = 0; r == 0 && i < sizeof tables / sizeof *tables; i++)
        r = store_delete(&replica->to, to, tables[i], key);
    return r;
}

/* Brings one certificate up to date; what has no content here has no row there. What is damaged
 * here is left there as it is. */
static int follow(struct cache_replica *replica, uint32_t inode)
{
    _cleanup_transaction_ MDB_txn *from = NULL;
    _cleanup_transaction_ MDB_txn *to = NULL;
    struct entry_row row;
    struct number_key number = number_key(inode);
    struct bytes key = bytes_of(number.bytes, sizeof number.bytes);
    int r = store_begin(replica->from, MDB_RDONLY, &from);
    if (r == 0)
        r = store_begin(&replica->to, 0, &to);
    if (r < 0)
        return r;
    r = entry_get(replica->from, from, inode, &row);
    if (r == -EIO)
        return 0;
    if (r < 0)
        return r;
    r = r == 0 && entry_has_content(&row.entry) ? copy_content(replica, from, to, &row, key)
                                                : drop(replica, to, inode, key);
    mdb_txn_abort(steal_ptr(&from));
    return r < 0 ? r : store_commit(&replica->to, &to);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* Inodes from `next` on whose rows of entries differ; those of KNOWN certificates always do, and
 * follow() finds that nothing is to be done. */
static int differing(struct cache_replica *replica, unsigned side, uint32_t *ret_inodes,
                     unsigned *ret_count, bool *ret_end)
{
    _cleanup_transaction_ MDB_txn *walked = NULL;
    _cleanup_transaction_ MDB_txn *other = NULL;
    struct cache *here = side == 0 ? replica->from : &replica->to;
    struct cache *there = side == 0 ? &replica->to : replica->from;
    MDB_cursor *cursor;
    struct number_key start = number_key(replica->next[side]);
    MDB_val key = store_value(start.bytes, sizeof start.bytes), value;
    unsigned seen = 0, count = 0;
    int r = store_begin(here, MDB_RDONLY, &walked);
    if (r == 0)
        r = store_begin(there, MDB_RDONLY, &other);
    if (r == 0)
        r = store_error(mdb_cursor_open(walked, here->tables[TABLE_ENTRIES], &cursor));
    if (r < 0)
        return r;
    int result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; r == 0 && result == 0 && seen < COMPARED_AT_ONCE && key.mv_size == sizeof start;
         result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct bytes row;
        uint32_t inode = be32_get(key.mv_data);
        r = store_get(there, other, TABLE_ENTRIES, bytes_of(key.mv_data, key.mv_size), &row);
        if (r == CACHE_MISS ||
            (r == 0 && !bytes_equal(row, bytes_of(value.mv_data, value.mv_size))))
            ret_inodes[count++] = inode;
        r = r < 0 ? r : 0;
        replica->next[side] = inode + 1;
        seen++;
    }
    mdb_cursor_close(cursor);
    *ret_count = count;
    *ret_end = seen < COMPARED_AT_ONCE;
    return result == 0 || result == MDB_NOTFOUND ? r : store_error(result);
}

/* What only one side has, too. */
static int compare(struct cache_replica *replica, unsigned side, bool *ret_end)
{
    uint32_t inodes[COMPARED_AT_ONCE];
    unsigned count = 0;
    int r = differing(replica, side, inodes, &count, ret_end);
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = follow(replica, inodes[i]);
    return r;
}

static int compare_step(struct cache_replica *replica)
{
    bool end = true;
    int r = compare(replica, 0, &end);
    if (r == 0 && end)
        r = compare(replica, 1, &end);
    replica->compared = r == 0 && end;
    return r;
}

/* --- following -------------------------------------------------------------------------------- */

/* It may have been wrapped anew. */
static int copy_format(struct cache_replica *replica)
{
    _cleanup_transaction_ MDB_txn *from = NULL;
    _cleanup_transaction_ MDB_txn *to = NULL;
    struct bytes ours, theirs;
    struct bytes key = bytes_of("format", 6);
    int r = store_begin(replica->from, MDB_RDONLY, &from);
    if (r == 0)
        r = store_begin(&replica->to, 0, &to);
    if (r == 0)
        r = store_get(replica->from, from, TABLE_META, key, &ours);
    if (r != 0)
        return r < 0 ? r : -EIO;
    r = store_get(&replica->to, to, TABLE_META, key, &theirs);
    if (r == 0 && bytes_equal(ours, theirs))
        return 0;
    if (r >= 0)
        r = store_put(&replica->to, to, TABLE_META, key, ours);
    if (r == 0)
        r = rebuild_ask(&replica->to, to);
    mdb_txn_abort(steal_ptr(&from));
    return r < 0 ? r : store_commit(&replica->to, &to);
}

/* Rows of one table that differ or that only one side has; they are few and seldom change. */
static int copy_table(struct cache_replica *replica, MDB_txn *from, MDB_txn *to, enum table table)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int r = 0;
    int result = mdb_cursor_open(from, replica->from->tables[table], &cursor);
    if (result != 0)
        return store_error(result);
    while (r == 0 && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct bytes theirs, name = bytes_of(key.mv_data, key.mv_size);
        struct bytes ours = bytes_of(value.mv_data, value.mv_size);
        r = store_get(&replica->to, to, table, name, &theirs);
        if (r >= 0 && (r == CACHE_MISS || !bytes_equal(ours, theirs)))
            r = store_put(&replica->to, to, table, name, ours);
    }
    mdb_cursor_close(cursor);
    if (r < 0 || result != MDB_NOTFOUND)
        return r < 0 ? r : store_error(result);
    result = mdb_cursor_open(to, replica->to.tables[table], &cursor);
    if (result != 0)
        return store_error(result);
    while (r == 0 && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct bytes ours;
        r = store_get(replica->from, from, table, bytes_of(key.mv_data, key.mv_size), &ours);
        if (r == CACHE_MISS)
            r = store_error(mdb_cursor_del(cursor, 0));
    }
    mdb_cursor_close(cursor);
    return r < 0 ? r : result == MDB_NOTFOUND ? 0 : store_error(result);
}

/* Keys of retention periods, revocation lists and signers; only when anything was committed. */
static int copy_tables(struct cache_replica *replica)
{
    _cleanup_transaction_ MDB_txn *from = NULL;
    _cleanup_transaction_ MDB_txn *to = NULL;
    int r = store_begin(replica->from, MDB_RDONLY, &from);
    if (r < 0 || mdb_txn_id(from) == replica->tables_at)
        return r;
    size_t at = mdb_txn_id(from);
    r = store_begin(&replica->to, 0, &to);
    for (size_t i = 0; r == 0 && i < BACKUP_TABLE_COUNT; i++)
        r = copy_table(replica, from, to, backup_tables[i]);
    mdb_txn_abort(steal_ptr(&from));
    if (r == 0)
        r = store_commit(&replica->to, &to);
    if (r == 0)
        replica->tables_at = at;
    return r;
}

static int load_outbox(struct cache *cache, struct cache_outbox_done *done)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    MDB_val key, value;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_error(mdb_cursor_open(transaction, cache->tables[TABLE_OUTBOX], &cursor));
    if (r < 0)
        return r;
    int result = 0;
    done->count = 0;
    while (done->count < REPLICA_ROWS_MAX &&
           (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        if (key.mv_size != sizeof(struct number_key) || value.mv_size < AEAD_NONCE_SIZE)
            continue;
        done->rows[done->count].inode = be32_get(key.mv_data);
        memcpy(done->rows[done->count].nonce, value.mv_data, AEAD_NONCE_SIZE);
        done->count++;
    }
    mdb_cursor_close(cursor);
    return result == 0 || result == MDB_NOTFOUND ? 0 : store_error(result);
}

int cache_replica_step(struct cache_replica *replica, struct cache_outbox_done *ret_done,
                       bool *ret_more)
{
    ret_done->count = 0;
    *ret_more = true;
    int r = copy_format(replica);
    if (r == 0)
        r = copy_tables(replica);
    if (r < 0)
        return r;
    if (!replica->compared)
        return compare_step(replica);
    r = load_outbox(replica->from, ret_done);
    for (size_t i = 0; r == 0 && i < ret_done->count; i++)
        r = follow(replica, ret_done->rows[i].inode);
    *ret_more = ret_done->count == REPLICA_ROWS_MAX;
    if (r < 0)
        ret_done->count = 0;
    return r;
}

int cache_outbox_clear(struct cache *cache, const struct cache_outbox_done *done)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, 0, &transaction);
    for (size_t i = 0; r == 0 && i < done->count; i++) {
        struct bytes row;
        struct number_key number = number_key(done->rows[i].inode);
        struct bytes key = bytes_of(number.bytes, sizeof number.bytes);
        r = store_get(cache, transaction, TABLE_OUTBOX, key, &row);
        if (r == 0 && row.size >= AEAD_NONCE_SIZE &&
            memcmp(row.data, done->rows[i].nonce, AEAD_NONCE_SIZE) == 0)
            r = store_delete(cache, transaction, TABLE_OUTBOX, key);
        r = r == CACHE_MISS ? 0 : r;
    }
    return r < 0 ? r : store_commit(cache, &transaction);
}

int cache_outbox_count(struct cache *cache, uint64_t *ret_count)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_stat rows;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_error(mdb_stat(transaction, cache->tables[TABLE_OUTBOX], &rows));
    if (r == 0)
        *ret_count = rows.ms_entries;
    return r;
}

/* --- life ------------------------------------------------------------------------------------- */

/* A replica of a store that is no more would be overwritten row by row. */
static int check_owner(struct cache_replica *replica, MDB_txn *transaction, char *ret_message)
{
    struct bytes row;
    int r = store_get(&replica->to, transaction, TABLE_META, bytes_of("format", 6), &row);
    if (r == CACHE_MISS)
        return 0;
    if (r < 0)
        return r;
    if (!format_is_of(row, replica->from->store_id)) {
        snprintf(ret_message, STORE_MESSAGE_MAX, "replica: it is of another store");
        return -EBADMSG;
    }
    return 0;
}

static int open_target(struct cache_replica *replica, int directory_fd, char *ret_message)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct cache *to = &replica->to;
    bool created;
    int r = environment_check_directory(directory_fd, ret_message);
    if (r < 0)
        return r;
    to->directory_fd = fcntl(directory_fd, F_DUPFD_CLOEXEC, 0);
    if (to->directory_fd < 0)
        return -errno;
    to->map_size = REPLICA_MAP_SIZE;
    r = environment_lock(to->directory_fd, ret_message, &to->lock_fd);
    if (r == 0)
        r = environment_open(to, ret_message);
    if (r == 0)
        r = store_begin(to, 0, &transaction);
    if (r == 0)
        r = environment_open_tables(to, transaction, ret_message, &created);
    if (r == 0)
        r = check_owner(replica, transaction, ret_message);
    return r < 0 ? r : store_commit(to, &transaction);
}

int cache_replica_open(struct cache *cache, int directory_fd, char *ret_message,
                       struct cache_replica **ret_replica)
{
    struct cache_replica *replica = calloc(1, sizeof *replica);
    ret_message[0] = '\0';
    if (!replica)
        return -ENOMEM;
    replica->from = cache;
    replica->to.directory_fd = -1;
    replica->to.lock_fd = -1;
    int r = open_target(replica, directory_fd, ret_message);
    if (r < 0) {
        cache_replica_close(replica);
        return r;
    }
    *ret_replica = replica;
    return 0;
}

struct cache_replica *cache_replica_close(struct cache_replica *replica)
{
    if (!replica)
        return NULL;
    if (replica->to.environment)
        mdb_env_close(replica->to.environment);
    cleanup_close(&replica->to.lock_fd);
    cleanup_close(&replica->to.directory_fd);
    free(replica);
    return NULL;
}
