/*
 * A backup of the running store into one file. Each certificate is read in a short transaction of
 * its own and proved to be readable; what was stored when the backup began and is not erased before
 * its turn is in it, whole. What an earlier backup has is not written again: a certificate whose
 * verdict alone changed takes some hundred bytes.
 */
#include "base/write_all.h"
#include "cache/backup_format.h"
#include "cache/rows.h"
#include "cache/stored.h"

#include <fcntl.h>

enum { PAGE_COUNT = 256, BUFFER_SIZE = 1 << 20 };

static const char seal_label[] = "kosekifs backup 1";

struct writing {
    struct cache *cache;
    const struct cache_backup *backup;
    struct cache_backed_up total;
    uint64_t offset; /* of what is written next */
    struct sha256_stream *hash;
    uint8_t *buffer;
    size_t buffered;
    struct buffer manifest;
    uint32_t number;
    /* The backup before this one. */
    bool has_previous;
    struct backup_file previous;
    uint64_t previous_next;
    struct buffer item; /* rows and chunks of one certificate */
    uint8_t *plain;     /* a chunk, to prove that it can be opened */
};

/* --- output ----------------------------------------------------------------------------------- */

static int flush(struct writing *writing)
{
    int r = write_all(writing->backup->fd, writing->buffer, writing->buffered);
    if (r == 0)
        writing->buffered = 0;
    return r;
}

static int put(struct writing *writing, const void *data, size_t size)
{
    const uint8_t *next = data;
    int r = sha256_stream_update(writing->hash, data, size);
    writing->offset += size;
    while (r == 0 && size > 0) {
        size_t part = BUFFER_SIZE - writing->buffered;
        part = size < part ? size : part;
        memcpy(writing->buffer + writing->buffered, next, part);
        writing->buffered += part;
        next += part;
        size -= part;
        if (writing->buffered == BUFFER_SIZE)
            r = flush(writing);
    }
    return r;
}

/* --- one certificate -------------------------------------------------------------------------- */

static int add_chunks(struct writing *writing, const struct stored *stored)
{
    struct cache *cache = writing->cache;
    uint32_t count = record_chunk_count(&stored->record);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        uint8_t key[RECORD_CHUNK_KEY_SIZE];
        struct bytes sealed;
        record_chunk_key(stored->record.inode, stored->record.version, i, key);
        r = store_get(cache, stored->transaction, TABLE_CHUNKS, bytes_of(key, sizeof key), &sealed);
        if (r == CACHE_MISS ||
            (r == 0 && sealed.size != record_chunk_size(&stored->record, i) + AEAD_TAG_SIZE))
            r = -EIO;
        if (r == 0)
            r = record_chunk_open(&stored->record, &stored->key, stored->header, i, sealed.data,
                                  writing->plain);
        if (r == 0)
            r = buffer_append_be32(&writing->item, (uint32_t)sealed.size);
        if (r == 0)
            r = buffer_append(&writing->item, sealed.data, sealed.size);
    }
    return r == -EBADMSG ? -EIO : r;
}

/* Entry, verdict and, unless an earlier backup has it, content into writing->item. */
static int gather(struct writing *writing, uint32_t inode, const struct backup_row *before,
                  struct backup_item *ret_item, struct backup_row *ret_row)
{
    _cleanup_stored_ struct stored stored = {0};
    uint8_t digest[SHA256_SIZE];
    struct bytes entry, verdict;
    struct number_key number = number_key(inode);
    struct bytes key = bytes_of(number.bytes, sizeof number.bytes);
    int r = stored_open(writing->cache, inode, STORED_OR_WITHHELD, &stored);
    if (r == 0)
        r = store_get(writing->cache, stored.transaction, TABLE_ENTRIES, key, &entry);
    if (r == 0)
        r = store_get(writing->cache, stored.transaction, TABLE_VERDICTS, key, &verdict);
    if (r == 0)
        r = sha256(entry.data, entry.size, digest);
    if (r != 0)
        return r;
    bool same_content = before && before->version == stored.record.version;
    *ret_row = (struct backup_row){.inode = inode, .version = stored.record.version};
    memcpy(ret_row->mark, digest, sizeof ret_row->mark);
    *ret_item = (struct backup_item){.with_content = !same_content,
                                     .inode = inode,
                                     .version = stored.record.version,
                                     .entry_size = (uint32_t)entry.size,
                                     .verdict_size = (uint32_t)verdict.size};
    if (same_content && memcmp(before->mark, ret_row->mark, sizeof ret_row->mark) == 0)
        return 0;
    writing->item.size = 0;
    r = buffer_append(&writing->item, entry.data, entry.size);
    if (r == 0)
        r = buffer_append(&writing->item, verdict.data, verdict.size);
    if (r == 0 && !same_content) {
        ret_item->chunk_count = record_chunk_count(&stored.record);
        r = add_chunks(writing, &stored);
    }
    return r;
}

/* The row of the earlier manifest for this inode; NULL if there is none. */
static int find_before(struct writing *writing, uint32_t inode, struct backup_row *row,
                       bool *ret_found)
{
    uint8_t bytes[BACKUP_MANIFEST_ROW_SIZE];
    *ret_found = false;
    while (writing->has_previous && writing->previous_next < writing->previous.trailer.count) {
        uint64_t offset = writing->previous.trailer.manifest_offset +
                          writing->previous_next * BACKUP_MANIFEST_ROW_SIZE;
        int r = backup_file_read(&writing->previous, offset, bytes, sizeof bytes);
        if (r < 0)
            return r;
        if (!backup_row_get(bytes, row))
            return -EBADMSG;
        if (row->inode > inode)
            return 0;
        writing->previous_next++;
        *ret_found = row->inode == inode;
        if (*ret_found)
            return 0;
    }
    return 0;
}

static int write_certificate(struct writing *writing, uint32_t inode)
{
    struct backup_row before, row;
    struct backup_item item;
    uint8_t header[BACKUP_ITEM_SIZE], manifest[BACKUP_MANIFEST_ROW_SIZE];
    bool found;
    int r = find_before(writing, inode, &before, &found);
    if (r < 0)
        return r;
    r = gather(writing, inode, found ? &before : NULL, &item, &row);
    if (r == CACHE_MISS)
        return 0; /* erased meanwhile */
    if (r == -EIO) {
        writing->total.damaged++;
        return 0;
    }
    if (r < 0)
        return r;
    struct backup_place here = {writing->number, writing->offset};
    bool unchanged = !item.with_content && memcmp(before.mark, row.mark, sizeof row.mark) == 0;
    row.content = item.with_content ? here : before.content;
    row.rows = unchanged ? before.rows : here;
    backup_item_put(&item, header);
    if (!unchanged)
        r = put(writing, header, sizeof header);
    if (r == 0 && !unchanged)
        r = put(writing, writing->item.data, writing->item.size);
    if (r < 0)
        return r;
    writing->total.certificates++;
    writing->total.written += item.with_content;
    backup_row_put(&row, manifest);
    return buffer_append(&writing->manifest, manifest, sizeof manifest);
}

static int write_certificates(struct writing *writing)
{
    _cleanup_free_ struct cache_entry *page = calloc(PAGE_COUNT, sizeof *page);
    uint32_t cursor = 0;
    size_t filled = 1;
    int r = page ? 0 : -ENOMEM;
    while (r == 0 && filled > 0) {
        r = cache_list_content(writing->cache, &cursor, page, PAGE_COUNT, &filled);
        for (size_t i = 0; r == 0 && i < filled; i++)
            r = writing->backup->stop(writing->backup->context)
                    ? -ECANCELED
                    : write_certificate(writing, page[i].inode);
    }
    return r;
}

/* --- the file --------------------------------------------------------------------------------- */

static int write_header(struct writing *writing)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct backup_header header = {.number = writing->number, .time_s = writing->backup->now_s};
    struct bytes format;
    uint8_t out[BACKUP_HEADER_SIZE];
    memcpy(header.store_id, writing->cache->store_id, STORE_ID_SIZE);
    int r = store_begin(writing->cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_get(writing->cache, transaction, TABLE_META, bytes_of("format", 6), &format);
    if (r != 0 || format.size != sizeof header.format_row)
        return r < 0 ? r : -EIO;
    memcpy(header.format_row, format.data, format.size);
    backup_header_put(&header, out);
    return put(writing, out, sizeof out);
}

static int write_row(struct writing *writing, enum table table, const MDB_val *key,
                     const MDB_val *value)
{
    uint8_t head[BACKUP_ROW_SIZE] = {'K', 'S', 'R', 'W'};
    be32_put(head + 4, table);
    be32_put(head + 8, (uint32_t)key->mv_size);
    be32_put(head + 12, (uint32_t)value->mv_size);
    int r = put(writing, head, sizeof head);
    if (r == 0)
        r = put(writing, key->mv_data, key->mv_size);
    return r < 0 ? r : put(writing, value->mv_data, value->mv_size);
}

static int write_table(struct writing *writing, enum table table, uint64_t *count)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    MDB_val key, value;
    int r = store_begin(writing->cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, writing->cache->tables[table], &cursor);
    if (result != 0)
        return store_error(result);
    while (r == 0 && *count < BACKUP_TABLE_ROWS_MAX &&
           (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        if (key.mv_size > BACKUP_KEY_MAX || value.mv_size > BACKUP_ROW_MAX)
            continue;
        r = write_row(writing, table, &key, &value);
        ++*count;
    }
    mdb_cursor_close(cursor);
    return r < 0 ? r : result == MDB_NOTFOUND ? 0 : store_error(result);
}

static int write_tables(struct writing *writing, uint64_t *ret_count)
{
    int r = 0;
    *ret_count = 0;
    for (size_t i = 0; r == 0 && i < BACKUP_TABLE_COUNT; i++)
        r = write_table(writing, backup_tables[i], ret_count);
    return r;
}

/* Who can make it has the store key. */
static int seal_aad(const struct cache *cache, uint32_t number,
                    uint8_t ret_aad[sizeof seal_label - 1 + STORE_ID_SIZE + 4])
{
    memcpy(ret_aad, seal_label, sizeof seal_label - 1);
    memcpy(ret_aad + sizeof seal_label - 1, cache->store_id, STORE_ID_SIZE);
    be32_put(ret_aad + sizeof seal_label - 1 + STORE_ID_SIZE, number);
    return 0;
}

static int digest_of_trailer(const struct backup_trailer *trailer, uint8_t ret_digest[SHA256_SIZE])
{
    uint8_t bytes[BACKUP_TRAILER_SIZE];
    backup_trailer_put(trailer, bytes);
    return sha256(bytes, BACKUP_TRAILER_SIZE - BACKUP_SEAL_SIZE, ret_digest);
}

static int write_trailer(struct writing *writing, struct backup_trailer *trailer)
{
    uint8_t out[BACKUP_TRAILER_SIZE], digest[SHA256_SIZE];
    uint8_t aad[sizeof seal_label - 1 + STORE_ID_SIZE + 4];
    int r = sha256_stream_finish(writing->hash, trailer->sha256);
    if (r == 0)
        r = digest_of_trailer(trailer, digest);
    if (r == 0)
        r = random_bytes(trailer->seal, AEAD_NONCE_SIZE);
    if (r == 0)
        r = seal_aad(writing->cache, writing->number, aad);
    if (r == 0)
        r = aead_seal(writing->cache->store_key.bytes, trailer->seal, aad, sizeof aad, digest,
                      sizeof digest, trailer->seal + AEAD_NONCE_SIZE);
    if (r < 0)
        return r;
    backup_trailer_put(trailer, out);
    if (writing->buffered + sizeof out > BUFFER_SIZE)
        r = flush(writing);
    if (r < 0)
        return r;
    memcpy(writing->buffer + writing->buffered, out, sizeof out);
    writing->buffered += sizeof out;
    r = flush(writing);
    return r == 0 && fsync(writing->backup->fd) < 0 ? -errno : r;
}

/* An earlier backup, of this store and made with its key. */
static int open_previous(struct writing *writing)
{
    uint8_t digest[SHA256_SIZE], sealed[SHA256_SIZE];
    uint8_t aad[sizeof seal_label - 1 + STORE_ID_SIZE + 4];
    struct backup_file *file = &writing->previous;
    writing->number = writing->backup->number;
    if (writing->backup->previous_fd < 0)
        return 0;
    int r = backup_file_open(writing->backup->previous_fd, false, file);
    if (r == 0 && (memcmp(file->header.store_id, writing->cache->store_id, STORE_ID_SIZE) != 0 ||
                   file->header.number >= writing->number))
        r = -EBADMSG;
    if (r == 0)
        r = digest_of_trailer(&file->trailer, digest);
    if (r == 0)
        r = seal_aad(writing->cache, file->header.number, aad);
    if (r == 0)
        r = aead_open(writing->cache->store_key.bytes, file->trailer.seal, aad, sizeof aad,
                      file->trailer.seal + AEAD_NONCE_SIZE, sizeof sealed, sealed);
    if (r == 0 && memcmp(digest, sealed, sizeof digest) != 0)
        r = -EBADMSG;
    if (r < 0)
        return r;
    writing->has_previous = true;
    return 0;
}

static int write_file(struct writing *writing)
{
    struct backup_trailer trailer = {0};
    int r = open_previous(writing);
    if (r == 0)
        r = write_header(writing);
    if (r == 0)
        r = write_certificates(writing);
    trailer.rows_offset = writing->offset;
    if (r == 0)
        r = write_tables(writing, &trailer.row_count);
    trailer.manifest_offset = writing->offset;
    trailer.count = writing->manifest.size / BACKUP_MANIFEST_ROW_SIZE;
    if (r == 0)
        r = put(writing, writing->manifest.data, writing->manifest.size);
    if (r == 0)
        r = write_trailer(writing, &trailer);
    writing->total.bytes = writing->offset + BACKUP_TRAILER_SIZE;
    return r;
}

/* What was written is read back from the disk, not from memory. */
static int verify(const struct writing *writing)
{
    struct backup_file file;
    (void)posix_fadvise(writing->backup->fd, 0, 0, POSIX_FADV_DONTNEED);
    int r = backup_file_open(writing->backup->fd, true, &file);
    if (r == 0 && (file.header.number != writing->number || file.size != writing->total.bytes))
        r = -EBADMSG;
    return r == -EBADMSG ? -EIO : r;
}

int cache_backup(struct cache *cache, const struct cache_backup *backup,
                 struct cache_backed_up *ret_total)
{
    struct writing writing = {.cache = cache,
                              .backup = backup,
                              .hash = sha256_stream_new(),
                              .buffer = malloc(BUFFER_SIZE),
                              .plain = malloc(RECORD_CHUNK_SIZE_MAX)};
    buffer_init(&writing.manifest, (size_t)BACKUP_COUNT_MAX * BACKUP_MANIFEST_ROW_SIZE);
    buffer_init(&writing.item, 2 * RECORD_CONTENT_MAX);
    int r = writing.hash && writing.buffer && writing.plain ? write_file(&writing) : -ENOMEM;
    if (r == 0)
        r = verify(&writing);
    if (writing.plain)
        wipe(writing.plain, RECORD_CHUNK_SIZE_MAX);
    free(writing.plain);
    free(writing.buffer);
    sha256_stream_free(writing.hash);
    buffer_done(&writing.manifest);
    buffer_done(&writing.item);
    if (r == 0)
        *ret_total = writing.total;
    return r;
}
