/*
 * Verdicts beside content: rejections, which have none, and later verdicts on what is stored. That
 * of a stored certificate is sealed under its data key, so that erasing the key erases it too.
 */
#include "cache/erasure.h"
#include "cache/outbox.h"
#include "cache/space.h"
#include "cache/stored.h"

static int put_rejection(struct cache *cache, MDB_txn *transaction, uint32_t inode,
                         const struct verdict *verdict)
{
    _cleanup_buffer_ struct buffer encoded;
    struct number_key key = number_key(inode);
    buffer_init(&encoded, VERDICT_ENCODED_MAX);
    int r = verdict_encode(verdict, &encoded);
    if (r < 0)
        return r;
    return row_put(cache, transaction, TABLE_VERDICTS, bytes_of(key.bytes, sizeof key.bytes),
                   bytes_of(encoded.data, encoded.size));
}

static int write_rejection(struct cache *cache, MDB_txn *transaction, struct entry_row *row,
                           const struct verdict *verdict, int64_t now_s)
{
    struct counters counters;
    int r = counters_get(cache, transaction, &counters);
    if (r == 0 && entry_has_content(&row->entry)) {
        counters.stored--;
        counters.stored_bytes -= row->entry.size;
        counters_touch(&counters);
        r = erasure_begin(cache, transaction, row);
        if (r == 0)
            r = outbox_put(cache, transaction, OUTBOX_ERASED, row);
    }
    if (r < 0)
        return r;
    if (row->entry.state != CACHE_REJECTED)
        counters.rejected++;
    entry_forget_content(row);
    row->entry.state = CACHE_REJECTED;
    row->entry.received_at_s = now_s;
    row->entry.fresh_until_s = verdict->fresh_until_s;
    memcpy(row->entry.trust_generation, verdict->trust_generation,
           sizeof row->entry.trust_generation);
    r = put_rejection(cache, transaction, row->entry.inode, verdict);
    if (r == 0)
        r = entry_put(cache, transaction, row);
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    return r;
}

int cache_reject(struct cache *cache, const struct certname *name, const struct verdict *verdict,
                 int64_t now_s)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    struct cache_entry entry;
    if (verdict->indication == VERDICT_TOTAL_PASSED)
        return -EINVAL;
    int r = cache_find(cache, name, &entry);
    /* A rejection that erases may use what is kept back, as a purge may. */
    if (r == 0 && !entry_has_content(&entry))
        r = space_check(cache, SPACE_SMALL_PAGES);
    if (r == 0)
        r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = entry_get_name(cache, transaction, name, &row);
    if (r != 0)
        return r < 0 ? r : -ENOENT;
    r = write_rejection(cache, transaction, &row, verdict, now_s);
    if (r == 0)
        r = store_commit(cache, &transaction);
    if (r < 0)
        return r;
    /* Also what an earlier failure left. */
    return erasure_finish(cache);
}

static int touch_counters(struct cache *cache, MDB_txn *transaction)
{
    struct counters counters;
    int r = counters_get(cache, transaction, &counters);
    if (r < 0)
        return r;
    counters_touch(&counters);
    return counters_put(cache, transaction, &counters);
}

static int write_revision(struct cache *cache, const struct stored *stored, uint32_t inode,
                          const struct verdict *verdict)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    int r = space_check(cache, SPACE_SMALL_PAGES);
    if (r == 0)
        r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = entry_get(cache, transaction, inode, &row);
    if (r != 0)
        return r < 0 ? r : -EIO;
    if (memcmp(row.entry.sha256, verdict->document_sha256, sizeof row.entry.sha256) != 0)
        return -EINVAL;
    enum cache_state state =
        verdict->indication == VERDICT_TOTAL_PASSED ? CACHE_STORED : CACHE_WITHHELD;
    /* The listing changes with it, and so does the directory's time. */
    bool moved = state != row.entry.state;
    row.entry.state = state;
    row.entry.fresh_until_s = verdict->fresh_until_s;
    memcpy(row.entry.signer_sha256, verdict->signer_sha256, sizeof row.entry.signer_sha256);
    memcpy(row.entry.trust_generation, verdict->trust_generation,
           sizeof row.entry.trust_generation);
    r = stored_verdict_put(cache, transaction, &stored->record, stored->header, &stored->key,
                           verdict);
    if (r == 0)
        r = entry_put(cache, transaction, &row);
    if (r == 0)
        r = outbox_put(cache, transaction, OUTBOX_STORED, &row);
    if (r == 0 && moved)
        r = touch_counters(cache, transaction);
    return r < 0 ? r : store_commit(cache, &transaction);
}

int cache_revise(struct cache *cache, const struct certname *name, const struct verdict *verdict)
{
    _cleanup_stored_ struct stored stored = {0};
    struct cache_entry entry;
    int r = cache_find(cache, name, &entry);
    if (r == 0)
        r = stored_open(cache, entry.inode, STORED_OR_WITHHELD, &stored);
    if (r != 0)
        return r;
    if (verdict->document_size != stored.record.size)
        return -EINVAL;
    /* One thread writes, so nothing changes between the two transactions; and a thread may not hold
     * a reading one while it writes. */
    mdb_txn_abort(steal_ptr(&stored.transaction));
    return write_revision(cache, &stored, entry.inode, verdict);
}

static int get_rejection(struct cache *cache, uint32_t inode, uint8_t *out, size_t *ret_size)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct number_key key = number_key(inode);
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = row_get(cache, transaction, TABLE_VERDICTS, bytes_of(key.bytes, sizeof key.bytes), out,
                    VERDICT_ENCODED_MAX, ret_size);
    return r;
}

static int get_verdict(struct cache *cache, const struct cache_entry *entry, uint8_t *out,
                       size_t *ret_size)
{
    _cleanup_stored_ struct stored stored = {0};
    if (entry->state == CACHE_KNOWN)
        return CACHE_MISS;
    if (entry->state == CACHE_REJECTED)
        return get_rejection(cache, entry->inode, out, ret_size);
    int r = stored_open(cache, entry->inode, STORED_OR_WITHHELD, &stored);
    if (r == 0)
        r = stored_verdict(cache, &stored, out, ret_size);
    return r;
}

int cache_verdict(struct cache *cache, const struct certname *name, struct verdict *ret_verdict)
{
    struct cache_entry entry;
    size_t size;
    _cleanup_free_ uint8_t *encoded = NULL;
    int r = cache_find(cache, name, &entry);
    if (r != 0)
        return r;
    encoded = malloc(VERDICT_ENCODED_MAX);
    if (!encoded)
        return -ENOMEM;
    r = get_verdict(cache, &entry, encoded, &size);
    if (r != 0)
        return r;
    r = verdict_decode(bytes_of(encoded, size), ret_verdict);
    return r == -EBADMSG ? -EIO : r;
}
