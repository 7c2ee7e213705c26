/*
 * Content out of the store. Each chunk is authenticated with its number, the record's header and
 * whether it is the last, so neither a swapped nor a missing one goes unseen. A chunk wanted whole
 * is decrypted where the caller wants it.
 */
#include "cache/stored.h"

static int open_chunk(struct cache *cache, const struct stored *stored, uint32_t index,
                      uint8_t *out)
{
    uint8_t key[RECORD_CHUNK_KEY_SIZE];
    struct bytes sealed;
    record_chunk_key(stored->record.inode, stored->record.version, index, key);
    int r = store_get(cache, stored->transaction, TABLE_CHUNKS, bytes_of(key, sizeof key), &sealed);
    if (r < 0)
        return r;
    if (r == CACHE_MISS || sealed.size != record_chunk_size(&stored->record, index) + AEAD_TAG_SIZE)
        return -EIO;
    r = record_chunk_open(&stored->record, &stored->key, stored->header, index, sealed.data, out);
    return r == -EBADMSG ? -EIO : r;
}

/* Part of one chunk: [begin, begin + size) counted from its start. */
static int read_chunk_part(struct cache *cache, const struct stored *stored, uint32_t index,
                           size_t begin, size_t size, uint8_t *scratch, uint8_t *out)
{
    int r = open_chunk(cache, stored, index, scratch);
    if (r == 0)
        memcpy(out, scratch + begin, size);
    return r;
}

static int read_range(struct cache *cache, const struct stored *stored, uint64_t offset,
                      uint8_t *out, size_t size)
{
    const size_t chunk_size = stored->record.chunk_size;
    _cleanup_free_ uint8_t *scratch = NULL;
    int r = 0;
    while (r == 0 && size > 0) {
        uint32_t index = (uint32_t)(offset / chunk_size);
        size_t begin = (size_t)(offset % chunk_size);
        size_t here = record_chunk_size(&stored->record, index);
        size_t part = here - begin < size ? here - begin : size;
        if (part == here) {
            r = open_chunk(cache, stored, index, out);
        } else {
            if (!scratch)
                scratch = malloc(chunk_size);
            r = scratch ? read_chunk_part(cache, stored, index, begin, part, scratch, out)
                        : -ENOMEM;
        }
        out += part;
        offset += part;
        size -= part;
    }
    if (scratch)
        wipe(scratch, chunk_size);
    return r;
}

static int read_content(struct cache *cache, uint32_t inode, enum stored_which which,
                        uint64_t offset, void *out, size_t size, size_t *ret_size)
{
    _cleanup_stored_ struct stored stored = {0};
    int r = stored_open(cache, inode, which, &stored);
    if (r != 0)
        return r;
    uint64_t left = offset < stored.record.size ? stored.record.size - offset : 0;
    size_t part = left < size ? (size_t)left : size;
    r = read_range(cache, &stored, offset, out, part);
    if (r < 0) {
        /* Chunks before the bad one were good, but half an answer is none. */
        wipe(out, part);
        return r;
    }
    *ret_size = part;
    return 0;
}

int cache_read(struct cache *cache, uint32_t inode, uint64_t offset, void *out, size_t size,
               size_t *ret_size)
{
    return read_content(cache, inode, STORED_ONLY, offset, out, size, ret_size);
}

int cache_load_part(struct cache *cache, uint32_t inode, uint64_t offset, void *out, size_t size,
                    size_t *ret_size)
{
    return read_content(cache, inode, STORED_OR_WITHHELD, offset, out, size, ret_size);
}

int cache_load(struct cache *cache, uint32_t inode, void *out, size_t size, size_t *ret_size)
{
    return read_content(cache, inode, STORED_OR_WITHHELD, 0, out, size, ret_size);
}
