/* LMDB's calls with our errors; see cache/store.h. */
#include "cache/space.h"
#include "cache/store.h"

int store_error(int lmdb_result)
{
    switch (lmdb_result) {
    case 0:
        return 0;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
        return -EAGAIN;
    case MDB_PANIC:
        return -ENOTRECOVERABLE;
    default:
        /* Positive results are errno; the other words of LMDB all mean damage. */
        return lmdb_result > 0 ? -lmdb_result : -EIO;
    }
}

int store_begin(struct cache *cache, unsigned flags, MDB_txn **ret_transaction)
{
    int r = store_error(mdb_txn_begin(cache->environment, NULL, flags, ret_transaction));
    if (r == 0 && !(flags & MDB_RDONLY))
        cache->changed.count = 0; /* LMDB's writer lock is ours */
    return r;
}

void store_note_change(struct cache *cache, uint32_t inode)
{
    if (cache->changed.count < STORE_CHANGED_MAX)
        cache->changed.inodes[cache->changed.count] = inode;
    cache->changed.count++;
}

/* After the commit: before it, who still reads the old entry could set the mark again. */
static void unmark(struct cache *cache)
{
    if (!cache->marks)
        return;
    if (cache->changed.count > STORE_CHANGED_MAX)
        marks_clear_all(cache->marks);
    else
        for (size_t i = 0; i < cache->changed.count; i++)
            marks_clear(cache->marks, cache->changed.inodes[i]);
}

int store_newest(struct cache *cache, uint64_t *ret_transaction)
{
    MDB_envinfo info;
    int r = store_error(mdb_env_info(cache->environment, &info));
    if (r == 0)
        *ret_transaction = info.me_last_txnid;
    return r;
}

int store_commit(struct cache *cache, MDB_txn **transaction)
{
    int r = store_error(mdb_txn_commit(steal_ptr(transaction)));
    unmark(cache);
    /* LMDB calls a write that the disk had no room for an I/O error when part of it was written. */
    if (r == -EIO && space_disk_full(cache))
        return -ENOSPC;
    return r;
}

int store_get(struct cache *cache, MDB_txn *transaction, enum table table, struct bytes key,
              struct bytes *ret_value)
{
    MDB_val name = store_value(key.data, key.size);
    MDB_val value;
    int result = mdb_get(transaction, cache->tables[table], &name, &value);
    if (result == MDB_NOTFOUND)
        return CACHE_MISS;
    if (result == 0)
        *ret_value = bytes_of(value.mv_data, value.mv_size);
    return store_error(result);
}

static int put(struct cache *cache, MDB_txn *transaction, enum table table, struct bytes key,
               struct bytes value, unsigned flags)
{
    MDB_val name = store_value(key.data, key.size);
    MDB_val content = store_value(value.data, value.size);
    return store_error(mdb_put(transaction, cache->tables[table], &name, &content, flags));
}

int store_put(struct cache *cache, MDB_txn *transaction, enum table table, struct bytes key,
              struct bytes value)
{
    return put(cache, transaction, table, key, value, 0);
}

int store_add(struct cache *cache, MDB_txn *transaction, enum table table, struct bytes key,
              struct bytes value)
{
    return put(cache, transaction, table, key, value, MDB_NOOVERWRITE);
}

int store_delete(struct cache *cache, MDB_txn *transaction, enum table table, struct bytes key)
{
    MDB_val name = store_value(key.data, key.size);
    int result = mdb_del(transaction, cache->tables[table], &name, NULL);
    return result == MDB_NOTFOUND ? 0 : store_error(result);
}
