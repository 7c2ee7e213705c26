/* See cache/stored.h. */
#include "cache/stored.h"

enum { ATTEMPT_MAX = 16 };

/* The entry is authentic; a header that does not follow from it, byte for byte, is damage or an
 * older version. */
static int load_record(struct cache *cache, MDB_txn *transaction, uint32_t inode,
                       enum stored_which which, struct stored *stored)
{
    struct entry_row row;
    struct bytes found;
    struct number_key key = number_key(inode);
    int r = entry_get(cache, transaction, inode, &row);
    if (r != 0)
        return r;
    if (!entry_has_content(&row.entry) ||
        (which == STORED_ONLY && row.entry.state == CACHE_WITHHELD))
        return CACHE_MISS;
    stored->record = entry_record(&row);
    r = record_header(&stored->record, cache->store_id, stored->header);
    if (r < 0)
        return r;
    r = store_get(cache, transaction, TABLE_RECORDS, bytes_of(key.bytes, sizeof key.bytes), &found);
    if (r < 0)
        return r;
    if (r == CACHE_MISS || !record_row_has(found, stored->header))
        return -EIO;
    if (stored->record.period != 0)
        r = period_get(cache, transaction, stored->record.period, &stored->period);
    return r == CACHE_MISS ? -EIO : r;
}

int stored_record_put(struct cache *cache, MDB_txn *transaction, const struct record *record,
                      uint8_t ret_header[RECORD_HEADER_SIZE])
{
    uint8_t row[RECORD_ROW_MAX];
    struct number_key inode = number_key(record->inode);
    int r = record_header(record, cache->store_id, ret_header);
    return r < 0 ? r
                 : store_put(cache, transaction, TABLE_RECORDS,
                             bytes_of(inode.bytes, sizeof inode.bytes),
                             bytes_of(row, record_row(record, ret_header, row)));
}

static int unwrap_slot(struct cache *cache, uint32_t number, uint64_t generation,
                       struct data_key *ret_key)
{
    struct slot slot;
    uint8_t aad[SLOT_AAD_SIZE];
    int r = slots_read(&cache->slots, number, &slot);
    if (r < 0)
        return r == -EBADMSG ? -EIO : r;
    if (slot.state != SLOT_KEYED || slot.generation != generation)
        return -EIO;
    slot_aad(&cache->slots, number, slot.generation, aad);
    r = cache->keyring.unwrap(cache->keyring.context, aad, sizeof aad, slot.wrapped,
                              ret_key->bytes);
    return r == -EBADMSG ? -EIO : r;
}

int stored_slot_key(struct cache *cache, uint32_t slot, uint64_t generation,
                    struct data_key *ret_key)
{
    if (data_keys_find(cache->data_keys, slot, generation, ret_key))
        return 0;
    uint64_t epoch = data_keys_epoch(cache->data_keys);
    int r = unwrap_slot(cache, slot, generation, ret_key);
    if (r == 0)
        data_keys_add(cache->data_keys, epoch, slot, generation, ret_key);
    return r;
}

/* The key of content, which is what is kept in memory under the record's slot. */
static int fetch_key(struct cache *cache, const struct record *record,
                     const struct period_place *period, struct data_key *ret_key)
{
    _cleanup_data_key_ struct data_key slot_key, period_key;
    if (record->period == 0)
        return stored_slot_key(cache, record->slot, record->generation, ret_key);
    uint64_t epoch = data_keys_epoch(cache->data_keys);
    int r = unwrap_slot(cache, record->slot, record->generation, &slot_key);
    if (r == 0)
        r = stored_slot_key(cache, period->slot, period->generation, &period_key);
    if (r == 0)
        r = period_content_key(&slot_key, &period_key, ret_key);
    if (r == 0)
        data_keys_add(cache->data_keys, epoch, record->slot, record->generation, ret_key);
    return r;
}

static bool same_key(const struct record *a, const struct record *b)
{
    return a->slot == b->slot && a->generation == b->generation;
}

int stored_open(struct cache *cache, uint32_t inode, enum stored_which which,
                struct stored *ret_stored)
{
    _cleanup_stored_ struct stored stored = {0};
    struct record asked = {0}; /* whose key was fetched, or could not be */
    int fetched = -ENOENT;
    /* The certificate may be replaced or purged while its key is fetched, so what was found then is
     * looked at again; only if it still stands is a failure to be believed. */
    for (unsigned attempt = 0; attempt < ATTEMPT_MAX; attempt++) {
        int r = store_begin(cache, MDB_RDONLY, &stored.transaction);
        if (r == 0)
            r = load_record(cache, stored.transaction, inode, which, &stored);
        if (r != 0)
            return r;
        bool known = attempt > 0 && same_key(&asked, &stored.record);
        if (known && fetched < 0)
            return fetched;
        if (known || data_keys_find(cache->data_keys, stored.record.slot, stored.record.generation,
                                    &stored.key)) {
            *ret_stored = stored;
            stored.transaction = NULL;
            return 0;
        }
        mdb_txn_abort(steal_ptr(&stored.transaction));
        asked = stored.record;
        fetched = fetch_key(cache, &asked, &stored.period, &stored.key);
    }
    return -EAGAIN;
}

void stored_close(struct stored *stored)
{
    cleanup_transaction(&stored->transaction);
    stored->transaction = NULL;
    data_key_wipe(&stored->key);
}

int stored_verdict(struct cache *cache, const struct stored *stored, uint8_t *out, size_t *ret_size)
{
    struct bytes sealed;
    struct number_key key = number_key(stored->record.inode);
    int r = store_get(cache, stored->transaction, TABLE_VERDICTS,
                      bytes_of(key.bytes, sizeof key.bytes), &sealed);
    if (r < 0)
        return r;
    if (r == CACHE_MISS || sealed.size < RECORD_VERDICT_EXTRA ||
        sealed.size - RECORD_VERDICT_EXTRA > VERDICT_ENCODED_MAX)
        return -EIO;
    size_t size = sealed.size - RECORD_VERDICT_EXTRA;
    r = record_verdict_open(&stored->key, stored->header, sealed.data, size, out);
    if (r < 0)
        return r == -EBADMSG ? -EIO : r;
    *ret_size = size;
    return 0;
}

int stored_verdict_put(struct cache *cache, MDB_txn *transaction, const struct record *record,
                       const uint8_t header[RECORD_HEADER_SIZE], const struct data_key *key,
                       const struct verdict *verdict)
{
    _cleanup_buffer_ struct buffer encoded;
    struct number_key inode = number_key(record->inode);
    buffer_init(&encoded, VERDICT_ENCODED_MAX);
    int r = verdict_encode(verdict, &encoded);
    if (r < 0)
        return r;
    MDB_val name = store_value(inode.bytes, sizeof inode.bytes);
    MDB_val value = {.mv_size = encoded.size + RECORD_VERDICT_EXTRA};
    r = store_error(
        mdb_put(transaction, cache->tables[TABLE_VERDICTS], &name, &value, MDB_RESERVE));
    if (r < 0)
        return r;
    return record_verdict_seal(key, header, encoded.data, encoded.size, value.mv_data);
}
