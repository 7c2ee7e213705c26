/* Rows about trust: sealed as all rows are, opaque here. */
#include "cache/rows.h"
#include "cache/space.h"

static const enum table tables[CACHE_TRUST_COUNT] = {
    [CACHE_LISTS] = TABLE_LISTS,
    [CACHE_SIGNERS] = TABLE_SIGNERS,
};

static struct bytes key_of(const uint8_t key[CACHE_TRUST_KEY_SIZE])
{
    return bytes_of(key, CACHE_TRUST_KEY_SIZE);
}

int cache_trust_put(struct cache *cache, enum cache_trust kind,
                    const uint8_t key[CACHE_TRUST_KEY_SIZE], struct bytes content)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    if (content.size > CACHE_TRUST_MAX)
        return -EFBIG;
    int r = space_check(cache, SPACE_SMALL_PAGES + space_pages(cache, content.size + ROW_EXTRA));
    if (r == 0)
        r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = row_put(cache, transaction, tables[kind], key_of(key), content);
    return r < 0 ? r : store_commit(cache, &transaction);
}

int cache_trust_delete(struct cache *cache, enum cache_trust kind,
                       const uint8_t key[CACHE_TRUST_KEY_SIZE])
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = store_delete(cache, transaction, tables[kind], key_of(key));
    return r < 0 ? r : store_commit(cache, &transaction);
}

/* One row at a cursor. -EIO: it is damaged. */
static int read_row(struct cache *cache, MDB_txn *transaction, enum table table, const MDB_val *key,
                    size_t sealed_size, uint8_t **ret_plain, size_t *ret_size)
{
    _cleanup_free_ uint8_t *plain = NULL;
    if (key->mv_size != CACHE_TRUST_KEY_SIZE || sealed_size < ROW_EXTRA ||
        sealed_size - ROW_EXTRA > CACHE_TRUST_MAX)
        return -EIO;
    plain = malloc(sealed_size - ROW_EXTRA + 1);
    if (!plain)
        return -ENOMEM;
    int r = row_get(cache, transaction, table, bytes_of(key->mv_data, key->mv_size), plain,
                    sealed_size - ROW_EXTRA, ret_size);
    if (r != 0)
        return r < 0 ? r : -EIO;
    *ret_plain = steal_ptr(&plain);
    return 0;
}

static int walk(struct cache *cache, MDB_txn *transaction, MDB_cursor *cursor, enum table table,
                int (*each)(void *context, const uint8_t key[CACHE_TRUST_KEY_SIZE],
                            struct bytes content),
                void *context, unsigned *damaged)
{
    MDB_val key, value;
    int result;
    while ((result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        _cleanup_free_ uint8_t *plain = NULL;
        size_t size = 0;
        int r = read_row(cache, transaction, table, &key, value.mv_size, &plain, &size);
        if (r == -EIO)
            (*damaged)++;
        else if (r < 0)
            return r;
        else if ((r = each(context, key.mv_data, bytes_of(plain, size))) != 0)
            return r;
    }
    return result == MDB_NOTFOUND ? 0 : store_error(result);
}

int cache_trust_walk(struct cache *cache, enum cache_trust kind,
                     int (*each)(void *context, const uint8_t key[CACHE_TRUST_KEY_SIZE],
                                 struct bytes content),
                     void *context, unsigned *ret_damaged)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    unsigned damaged = 0;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_error(mdb_cursor_open(transaction, cache->tables[tables[kind]], &cursor));
    if (r < 0)
        return r;
    r = walk(cache, transaction, cursor, tables[kind], each, context, &damaged);
    mdb_cursor_close(cursor);
    *ret_damaged = damaged;
    return r;
}
