/* Byte-exact in docs/store-format.md, "Sealed rows". */
#include "cache/rows.h"

#include "base/clock.h"

enum {
    ENTRY_FORMAT = 3,
    ENTRY_FORMAT_1 = 1, /* without the last four fields */
    ENTRY_FORMAT_2 = 2, /* without the last one */
    ENTRY_ENCODED_MAX = 1024,
    COUNTERS_FORMAT = 1,
    COUNTERS_SIZE = 2 + 5 * 8 + 2 * 4,
    ROW_KEY_MAX = 16,
};

static const char row_label[] = "kosekifs row 1";
static const char counters_key[] = "counters";

struct row_aad {
    uint8_t bytes[sizeof row_label - 1 + STORE_ID_SIZE + 1 + ROW_KEY_MAX];
    size_t size;
};

static int compose_aad(const struct cache *cache, enum table table, struct bytes key,
                       struct row_aad *ret_aad)
{
    if (key.size > ROW_KEY_MAX)
        return -EINVAL;
    uint8_t *next = ret_aad->bytes;
    memcpy(next, row_label, sizeof row_label - 1);
    next += sizeof row_label - 1;
    memcpy(next, cache->store_id, STORE_ID_SIZE);
    next += STORE_ID_SIZE;
    *next++ = (uint8_t)table;
    memcpy(next, key.data, key.size);
    ret_aad->size = sizeof row_label - 1 + STORE_ID_SIZE + 1 + key.size;
    return 0;
}

int row_put(struct cache *cache, MDB_txn *transaction, enum table table, struct bytes key,
            struct bytes plain)
{
    struct row_aad aad;
    uint8_t nonce[AEAD_NONCE_SIZE];
    int r = compose_aad(cache, table, key, &aad);
    if (r < 0)
        return r;
    r = random_bytes(nonce, sizeof nonce);
    if (r < 0)
        return r;
    MDB_val name = store_value(key.data, key.size);
    MDB_val value = {.mv_size = plain.size + ROW_EXTRA};
    r = store_error(mdb_put(transaction, cache->tables[table], &name, &value, MDB_RESERVE));
    if (r < 0)
        return r;
    uint8_t *out = value.mv_data;
    memcpy(out, nonce, sizeof nonce);
    return aead_seal(cache->store_key.bytes, nonce, aad.bytes, aad.size, plain.data, plain.size,
                     out + sizeof nonce);
}

int row_get(struct cache *cache, MDB_txn *transaction, enum table table, struct bytes key,
            uint8_t *out, size_t size_max, size_t *ret_size)
{
    struct row_aad aad;
    struct bytes value;
    int r = compose_aad(cache, table, key, &aad);
    if (r < 0)
        return r;
    r = store_get(cache, transaction, table, key, &value);
    if (r != 0)
        return r;
    if (value.size < ROW_EXTRA || value.size - ROW_EXTRA > size_max)
        return -EIO;
    size_t size = value.size - ROW_EXTRA;
    r = aead_open(cache->store_key.bytes, value.data, aad.bytes, aad.size,
                  value.data + AEAD_NONCE_SIZE, size, out);
    if (r < 0)
        return r == -EBADMSG ? -EIO : r;
    *ret_size = size;
    return 0;
}

static int entry_encode(const struct entry_row *row, struct buffer *out)
{
    const struct cache_entry *entry = &row->entry;
    const uint64_t numbers[] = {
        entry->size,
        (uint64_t)entry->modified_s,
        (uint64_t)entry->first_seen_ns,
        (uint64_t)entry->stored_at_s,
        (uint64_t)entry->received_at_s,
        (uint64_t)entry->fresh_until_s,
        row->place.version,
        row->place.generation,
    };
    int r = buffer_append_be16(out, ENTRY_FORMAT);
    if (r == 0)
        r = buffer_append_be16(out, (uint16_t)entry->state);
    if (r == 0)
        r = buffer_append_be32(out, entry->inode);
    for (size_t i = 0; r == 0 && i < sizeof numbers / sizeof *numbers; i++)
        r = buffer_append_be64(out, numbers[i]);
    if (r == 0)
        r = buffer_append_be32(out, row->place.slot);
    if (r == 0)
        r = buffer_append_be32(out, row->place.chunk_size);
    if (r == 0)
        r = buffer_append(out, entry->trust_generation, sizeof entry->trust_generation);
    if (r == 0)
        r = buffer_append(out, entry->sha256, sizeof entry->sha256);
    if (r == 0)
        r = buffer_append_text(out, entry->name.text);
    if (r == 0)
        r = buffer_append_text(out, entry->validator);
    if (r == 0)
        r = buffer_append_be64(out, (uint64_t)entry->used_at_s);
    if (r == 0)
        r = buffer_append_be32(out, row->place.period);
    if (r == 0)
        r = buffer_append_u8(out, entry->held);
    if (r == 0)
        r = buffer_append(out, entry->signer_sha256, sizeof entry->signer_sha256);
    return r;
}

static int entry_decode(struct bytes encoded, struct entry_row *ret_row)
{
    struct entry_row row = {0};
    struct cache_entry *entry = &row.entry;
    struct reader reader;
    reader_init(&reader, encoded);
    uint16_t format = reader_be16(&reader);
    entry->state = (enum cache_state)reader_be16(&reader);
    entry->inode = reader_be32(&reader);
    entry->size = reader_be64(&reader);
    entry->modified_s = (int64_t)reader_be64(&reader);
    entry->first_seen_ns = (int64_t)reader_be64(&reader);
    entry->stored_at_s = (int64_t)reader_be64(&reader);
    entry->received_at_s = (int64_t)reader_be64(&reader);
    entry->fresh_until_s = (int64_t)reader_be64(&reader);
    row.place.version = reader_be64(&reader);
    row.place.generation = reader_be64(&reader);
    row.place.slot = reader_be32(&reader);
    row.place.chunk_size = reader_be32(&reader);
    reader_copy(&reader, entry->trust_generation, sizeof entry->trust_generation);
    reader_copy(&reader, entry->sha256, sizeof entry->sha256);
    reader_text(&reader, entry->name.text, sizeof entry->name.text);
    reader_text(&reader, entry->validator, sizeof entry->validator);
    if (format != ENTRY_FORMAT_1) {
        entry->used_at_s = (int64_t)reader_be64(&reader);
        row.place.period = reader_be32(&reader);
        entry->held = reader_u8(&reader) != 0;
    }
    if (format == ENTRY_FORMAT)
        reader_copy(&reader, entry->signer_sha256, sizeof entry->signer_sha256);
    if (!reader_finish(&reader) || format < ENTRY_FORMAT_1 || format > ENTRY_FORMAT ||
        entry->state > CACHE_WITHHELD || !certname_valid(&entry->name))
        return -EIO;
    *ret_row = row;
    return 0;
}

int entry_get(struct cache *cache, MDB_txn *transaction, uint32_t inode, struct entry_row *ret_row)
{
    uint8_t encoded[ENTRY_ENCODED_MAX];
    size_t size;
    struct entry_row row;
    struct number_key key = number_key(inode);
    int r = row_get(cache, transaction, TABLE_ENTRIES, bytes_of(key.bytes, sizeof key.bytes),
                    encoded, sizeof encoded, &size);
    if (r != 0)
        return r;
    r = entry_decode(bytes_of(encoded, size), &row);
    if (r < 0)
        return r;
    if (row.entry.inode != inode)
        return -EIO;
    if (entry_has_content(&row.entry)) {
        struct record record = entry_record(&row);
        if (!record_plausible(&record))
            return -EIO;
    }
    *ret_row = row;
    return 0;
}

int entry_get_name(struct cache *cache, MDB_txn *transaction, const struct certname *name,
                   struct entry_row *ret_row)
{
    struct bytes value;
    int r = store_get(cache, transaction, TABLE_NAMES, bytes_of(name->text, strlen(name->text)),
                      &value);
    if (r != 0)
        return r;
    if (value.size != sizeof(struct number_key))
        return -EIO;
    struct entry_row row;
    r = entry_get(cache, transaction, be32_get(value.data), &row);
    /* A name without entry, or with that of another name, is damage. */
    if (r == CACHE_MISS || (r == 0 && strcmp(row.entry.name.text, name->text) != 0))
        return -EIO;
    if (r == 0)
        *ret_row = row;
    return r;
}

int entry_inodes(struct cache *cache, uint32_t *next, uint32_t *ret_inodes, unsigned max,
                 unsigned *ret_count)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    struct number_key start = number_key(*next);
    MDB_val key = store_value(start.bytes, sizeof start.bytes), value;
    unsigned count = 0;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, cache->tables[TABLE_ENTRIES], &cursor);
    if (result != 0)
        return store_error(result);
    for (result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); result == 0 && count < max;
         result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        if (key.mv_size == sizeof start)
            ret_inodes[count++] = be32_get(key.mv_data);
    mdb_cursor_close(cursor);
    if (result != 0 && result != MDB_NOTFOUND)
        return store_error(result);
    if (count > 0)
        *next = ret_inodes[count - 1] + 1;
    *ret_count = count;
    return 0;
}

int entry_put(struct cache *cache, MDB_txn *transaction, const struct entry_row *row)
{
    _cleanup_buffer_ struct buffer encoded;
    struct number_key key = number_key(row->entry.inode);
    buffer_init(&encoded, ENTRY_ENCODED_MAX);
    int r = entry_encode(row, &encoded);
    if (r < 0)
        return r;
    store_note_change(cache, row->entry.inode);
    return row_put(cache, transaction, TABLE_ENTRIES, bytes_of(key.bytes, sizeof key.bytes),
                   bytes_of(encoded.data, encoded.size));
}

void entry_forget_content(struct entry_row *row)
{
    struct cache_entry *entry = &row->entry;
    entry->state = CACHE_KNOWN;
    entry->stored_at_s = 0;
    entry->received_at_s = 0;
    entry->fresh_until_s = 0;
    memset(entry->trust_generation, 0, sizeof entry->trust_generation);
    memset(entry->sha256, 0, sizeof entry->sha256);
    memset(entry->signer_sha256, 0, sizeof entry->signer_sha256);
    row->place.generation = 0;
    row->place.slot = 0;
    row->place.chunk_size = 0;
    row->place.period = 0;
    entry->used_at_s = 0;
    entry->held = false;
}

struct record entry_record(const struct entry_row *row)
{
    return (struct record){.inode = row->entry.inode,
                           .slot = row->place.slot,
                           .generation = row->place.generation,
                           .version = row->place.version,
                           .size = row->entry.size,
                           .chunk_size = row->place.chunk_size,
                           .period = row->place.period,
                           .name = row->entry.name};
}

bool unused_slot(struct cache *cache, MDB_txn *transaction, const MDB_val *key,
                 uint32_t *ret_number)
{
    uint8_t nothing[1];
    size_t size;
    if (key->mv_size != sizeof(struct number_key) ||
        row_get(cache, transaction, TABLE_UNUSED, bytes_of(key->mv_data, key->mv_size), nothing,
                sizeof nothing, &size) != 0)
        return false;
    *ret_number = be32_get(key->mv_data);
    return true;
}

int counters_get(struct cache *cache, MDB_txn *transaction, struct counters *ret_counters)
{
    uint8_t encoded[COUNTERS_SIZE];
    size_t size;
    struct reader reader;
    int r = row_get(cache, transaction, TABLE_META, bytes_of(counters_key, sizeof counters_key - 1),
                    encoded, sizeof encoded, &size);
    if (r != 0)
        return r < 0 ? r : -EIO;
    struct counters counters;
    reader_init(&reader, bytes_of(encoded, size));
    uint16_t format = reader_be16(&reader);
    counters.stored = reader_be64(&reader);
    counters.stored_bytes = reader_be64(&reader);
    counters.rejected = reader_be64(&reader);
    counters.known = reader_be64(&reader);
    counters.changed_at_ns = (int64_t)reader_be64(&reader);
    counters.next_inode = reader_be32(&reader);
    counters.slot_count = reader_be32(&reader);
    if (!reader_finish(&reader) || format != COUNTERS_FORMAT)
        return -EIO;
    *ret_counters = counters;
    return 0;
}

int counters_put(struct cache *cache, MDB_txn *transaction, const struct counters *counters)
{
    uint8_t encoded[COUNTERS_SIZE];
    be16_put(encoded, COUNTERS_FORMAT);
    be64_put(encoded + 2, counters->stored);
    be64_put(encoded + 10, counters->stored_bytes);
    be64_put(encoded + 18, counters->rejected);
    be64_put(encoded + 26, counters->known);
    be64_put(encoded + 34, (uint64_t)counters->changed_at_ns);
    be32_put(encoded + 42, counters->next_inode);
    be32_put(encoded + 46, counters->slot_count);
    return row_put(cache, transaction, TABLE_META, bytes_of(counters_key, sizeof counters_key - 1),
                   bytes_of(encoded, sizeof encoded));
}

void counters_touch(struct counters *counters)
{
    int64_t now_ns = clock_realtime_ns();
    counters->changed_at_ns =
        now_ns > counters->changed_at_ns ? now_ns : counters->changed_at_ns + 1;
}
