/*
 * A verified certificate comes in: chunks, record, verdict, entry, outbox row and counters in one
 * transaction, hashed while they are encrypted. A version that it replaces is erased afterwards.
 *
 * Chunks are encrypted inside the write transaction, straight into LMDB's pages: 0.1 ms for 300
 * KiB, against a second copy of the content otherwise. Nobody waits for that lock, since one thread
 * writes.
 */
#include "cache/ages.h"
#include "cache/change.h"
#include "cache/erasure.h"
#include "cache/outbox.h"
#include "cache/periods.h"
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
    int r = stored_record_put(cache, transaction, record, header);
    if (r == 0)
        r = put_content(cache, transaction, record, key, header, content, verdict);
    if (r == 0)
        r = stored_verdict_put(cache, transaction, record, header, key, verdict);
    return r;
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

static void fill_entry(struct change *change)
{
    const struct cache_admission *admission = &change->asked->admission;
    const struct verdict *verdict = admission->verdict;
    struct entry_row *row = &change->row;
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
    row->place.generation = change->slot.generation;
    row->place.slot = change->slot.number;
    row->place.chunk_size = RECORD_CHUNK_SIZE;
    row->place.period = change->period;
}

int admission_check(const struct cache_change *change)
{
    const struct cache_admission *admission = &change->admission;
    if (!verdict_accepts(admission->verdict, admission->content))
        return -EINVAL;
    return admission->content.size > RECORD_CONTENT_MAX ? -EFBIG : 0;
}

uint64_t admission_pages(const struct cache *cache, const struct cache_admission *admission)
{
    uint64_t chunks = admission->content.size / RECORD_CHUNK_SIZE + 1;
    return chunks * space_pages(cache, RECORD_CHUNK_SIZE + AEAD_TAG_SIZE);
}

int admission_prepare(struct change *change)
{
    struct data_key period_key = change->key;
    int r = 0;
    if (change->period == 0)
        change->key = change->slot.key;
    else
        r = period_content_key(&change->slot.key, &period_key, &change->key);
    data_key_wipe(&period_key);
    return r;
}

int admission_look(struct cache *cache, MDB_txn *transaction, struct change *change)
{
    const struct cache_admission *admission = &change->asked->admission;
    const struct cache_entry *entry = &change->row.entry;
    struct counters counters;
    int r = entry_get_name(cache, transaction, change->asked->name, &change->row);
    if (r != 0)
        return r < 0 ? r : -ENOENT;
    if (admission->validator && (entry->size != admission->content.size ||
                                 strcmp(entry->validator, admission->validator) != 0))
        return -ESTALE;
    change->replaces = entry_has_content(entry);
    r = counters_get(cache, transaction, &counters);
    return r < 0 ? r : check_quota(cache, &counters, &change->row, admission->content.size);
}

int admission_write(struct cache *cache, MDB_txn *transaction, struct change *change)
{
    const struct cache_admission *admission = &change->asked->admission;
    struct entry_row *row = &change->row;
    struct counters counters;
    struct number_key slot_key = number_key(change->slot.number);
    int r = counters_get(cache, transaction, &counters);
    if (r == 0 && change->replaces)
        r = erasure_begin(cache, transaction, row);
    if (r < 0)
        return r;
    count_admission(&counters, row, admission->content.size);
    fill_entry(change);
    struct record record = entry_record(row);
    r = put_record(cache, transaction, &record, &change->key, admission->content.data,
                   admission->verdict);
    if (r == 0)
        r = entry_put(cache, transaction, row);
    if (r == 0)
        r = age_put(cache, transaction, &row->entry);
    if (r == 0)
        r = period_count(cache, transaction, change->period, 1);
    if (r == 0)
        r = store_delete(cache, transaction, TABLE_UNUSED,
                         bytes_of(slot_key.bytes, sizeof slot_key.bytes));
    if (r == 0)
        r = outbox_put(cache, transaction, OUTBOX_STORED, row);
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    return r;
}

void admission_settle(struct cache *cache, const struct change *change)
{
    data_keys_add(cache->data_keys, data_keys_epoch(cache->data_keys), change->slot.number,
                  change->slot.generation, &change->key);
}

int cache_admit(struct cache *cache, const struct certname *name, struct bytes content,
                const struct verdict *verdict, int64_t received_at_s, int64_t now_s,
                int64_t keep_until_s, struct cache_entry *ret_entry)
{
    struct cache_change change = {.kind = CACHE_ADMISSION,
                                  .name = name,
                                  .admission = {.content = content,
                                                .verdict = verdict,
                                                .received_at_s = received_at_s,
                                                .now_s = now_s,
                                                .keep_until_s = keep_until_s}};
    cache_apply(cache, &change, 1);
    if (change.result == 0)
        *ret_entry = change.entry;
    return change.result;
}
