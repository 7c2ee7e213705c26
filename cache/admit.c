/*
 * A verified certificate comes in: chunks, record, verdict, entry, outbox row and counters in one
 * transaction, hashed while they are encrypted. A version that it replaces is erased afterwards.
 *
 * Chunks are encrypted inside the write transaction, straight into LMDB's pages: 0.1 ms for 300
 * KiB, against a second copy of the content otherwise. Nobody waits for that lock, since one thread
 * writes.
 */
#include "cache/ages.h"
#include "cache/erasure.h"
#include "cache/outbox.h"
#include "cache/periods.h"
#include "cache/pool.h"
#include "cache/space.h"
#include "cache/stored.h"

static bool verdict_accepts(const struct verdict *verdict, struct bytes content)
{
    return verdict->indication == VERDICT_TOTAL_PASSED && verdict->document_size == content.size;
}

static int put_chunks(struct cache *cache, MDB_txn *transaction, const struct record *record,
                      const struct data_key *key, const uint8_t *header, const uint8_t *content,
                      struct sha256_stream *hash)
{
    uint32_t count = record_chunk_count(record);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t name[RECORD_CHUNK_KEY_SIZE];
        const uint8_t *plain = content + (size_t)i * record->chunk_size;
        size_t size = record_chunk_size(record, i);
        record_chunk_key(record->inode, record->version, i, name);
        MDB_val chunk_key = store_value(name, sizeof name);
        MDB_val value = {.mv_size = size + AEAD_TAG_SIZE};
        int r = store_error(mdb_put(transaction, cache->tables[TABLE_CHUNKS], &chunk_key, &value,
                                    MDB_RESERVE | MDB_NOOVERWRITE));
        if (r == 0)
            r = record_chunk_seal(record, key, header, i, plain, value.mv_data);
        if (r == 0)
            r = sha256_stream_update(hash, plain, size);
        if (r < 0)
            return r;
    }
    return 0;
}

/* -EINVAL if what was encrypted is not what was verified. */
static int put_content(struct cache *cache, MDB_txn *transaction, const struct record *record,
                       const struct data_key *key, const uint8_t *header, const uint8_t *content,
                       const struct verdict *verdict)
{
    _cleanup_sha256_stream_ struct sha256_stream *hash = sha256_stream_new();
    uint8_t digest[SHA256_SIZE];
    if (!hash)
        return -ENOMEM;
    int r = put_chunks(cache, transaction, record, key, header, content, hash);
    if (r == 0)
        r = sha256_stream_finish(hash, digest);
    if (r == 0 && memcmp(digest, verdict->document_sha256, sizeof digest) != 0)
        r = -EINVAL;
    return r;
}

static int put_record(struct cache *cache, MDB_txn *transaction, const struct record *record,
                      const struct data_key *key, const uint8_t *content,
                      const struct verdict *verdict)
{
    uint8_t header[RECORD_HEADER_SIZE];
    struct number_key inode = number_key(record->inode);
    int r = record_header(record, cache->store_id, header);
    if (r == 0)
        r = store_put(cache, transaction, TABLE_RECORDS, bytes_of(inode.bytes, sizeof inode.bytes),
                      bytes_of(header, sizeof header));
    if (r == 0)
        r = put_content(cache, transaction, record, key, header, content, verdict);
    if (r == 0)
        r = stored_verdict_put(cache, transaction, record, header, key, verdict);
    return r;
}

static int check_room(struct cache *cache, uint64_t size)
{
    uint64_t chunks = size / RECORD_CHUNK_SIZE + 1;
    uint64_t pages = chunks * space_pages(cache, RECORD_CHUNK_SIZE + AEAD_TAG_SIZE);
    return space_check(cache, pages + SPACE_SMALL_PAGES);
}

static int check_quota(const struct cache *cache, const struct counters *counters,
                       const struct entry_row *row, uint64_t size)
{
    uint64_t kept = counters->stored_bytes;
    if (entry_has_content(&row->entry))
        kept -= row->entry.size;
    if (cache->quota > 0 && (size > cache->quota || kept > cache->quota - size))
        return -ENOSPC;
    return 0;
}

static void count_admission(struct counters *counters, const struct entry_row *before,
                            uint64_t size)
{
    if (entry_has_content(&before->entry)) {
        counters->stored--;
        counters->stored_bytes -= before->entry.size;
    } else if (before->entry.state == CACHE_REJECTED) {
        counters->rejected--;
    }
    counters->stored++;
    counters->stored_bytes += size;
    counters_touch(counters);
}

/* What is going to be stored, and how. */
struct admission {
    struct bytes content;
    const struct verdict *verdict;
    int64_t received_at_s, now_s;
    uint32_t period;
    const struct pool_slot *slot;
    struct data_key key; /* of slot and period */
};

static void fill_entry(struct entry_row *row, const struct admission *admission)
{
    const struct verdict *verdict = admission->verdict;
    struct cache_entry *entry = &row->entry;
    entry->state = CACHE_STORED;
    entry->size = admission->content.size;
    entry->stored_at_s = admission->now_s;
    entry->received_at_s = admission->received_at_s;
    entry->used_at_s = admission->now_s;
    entry->fresh_until_s = verdict->fresh_until_s;
    memcpy(entry->trust_generation, verdict->trust_generation, sizeof entry->trust_generation);
    memcpy(entry->sha256, verdict->document_sha256, sizeof entry->sha256);
    memcpy(entry->signer_sha256, verdict->signer_sha256, sizeof entry->signer_sha256);
    row->place.version++;
    row->place.generation = admission->slot->generation;
    row->place.slot = admission->slot->number;
    row->place.chunk_size = RECORD_CHUNK_SIZE;
    row->place.period = admission->period;
}

/* Everything of one admission but begin and commit. `row` is the entry before and after. */
static int write_admission(struct cache *cache, MDB_txn *transaction,
                           const struct admission *admission, struct entry_row *row)
{
    struct counters counters;
    struct number_key slot_key = number_key(admission->slot->number);
    size_t size = admission->content.size;
    int r = counters_get(cache, transaction, &counters);
    if (r == 0)
        r = check_quota(cache, &counters, row, size);
    if (r == 0 && entry_has_content(&row->entry))
        r = erasure_begin(cache, transaction, row);
    if (r < 0)
        return r;
    count_admission(&counters, row, size);
    fill_entry(row, admission);
    struct record record = entry_record(row);
    r = put_record(cache, transaction, &record, &admission->key, admission->content.data,
                   admission->verdict);
    if (r == 0)
        r = entry_put(cache, transaction, row);
    if (r == 0)
        r = age_put(cache, transaction, &row->entry);
    if (r == 0)
        r = period_count(cache, transaction, admission->period, 1);
    if (r == 0)
        r = store_delete(cache, transaction, TABLE_UNUSED,
                         bytes_of(slot_key.bytes, sizeof slot_key.bytes));
    if (r == 0)
        r = outbox_put(cache, transaction, OUTBOX_STORED, row);
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    return r;
}

static int admit_under(struct cache *cache, const struct certname *name,
                       const struct admission *admission, struct cache_entry *ret_entry)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = entry_get_name(cache, transaction, name, &row);
    if (r != 0)
        return r < 0 ? r : -ENOENT;
    bool replaces = entry_has_content(&row.entry);
    r = write_admission(cache, transaction, admission, &row);
    if (r == 0)
        r = store_commit(cache, &transaction);
    if (r < 0)
        return r;
    data_keys_add(cache->data_keys, data_keys_epoch(cache->data_keys), admission->slot->number,
                  admission->slot->generation, &admission->key);
    /* The new version is in; the old one stays pending if this fails. */
    if (replaces)
        (void)!erasure_finish(cache);
    *ret_entry = row.entry;
    return 0;
}

static int make_key(struct cache *cache, struct admission *admission)
{
    _cleanup_data_key_ struct data_key period_key = {0};
    admission->key = admission->slot->key;
    if (admission->period == 0)
        return 0;
    int r = period_prepare(cache, admission->period, &period_key);
    if (r == 0)
        r = period_content_key(&admission->slot->key, &period_key, &admission->key);
    return r;
}

int cache_admit(struct cache *cache, const struct certname *name, struct bytes content,
                const struct verdict *verdict, int64_t received_at_s, int64_t now_s,
                int64_t keep_until_s, struct cache_entry *ret_entry)
{
    struct pool_slot slot;
    struct admission admission = {.content = content,
                                  .verdict = verdict,
                                  .received_at_s = received_at_s,
                                  .now_s = now_s,
                                  .period = period_of(keep_until_s),
                                  .slot = &slot};
    if (!verdict_accepts(verdict, content))
        return -EINVAL;
    if (content.size > RECORD_CONTENT_MAX)
        return -EFBIG;
    if (cache->erasures_pending)
        (void)!erasure_finish(cache);
    int r = check_room(cache, content.size);
    if (r == 0)
        r = pool_take(cache, &slot);
    if (r < 0)
        return r;
    r = make_key(cache, &admission);
    if (r == 0)
        r = admit_under(cache, name, &admission, ret_entry);
    wipe(&slot, sizeof slot);
    data_key_wipe(&admission.key);
    return r;
}
