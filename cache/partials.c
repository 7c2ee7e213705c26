/* See cache/partials.h; byte-exact in docs/store-format.md, "Partial bodies". */
#include "cache/partials.h"

#include "cache/erasure.h"
#include "cache/pool.h"
#include "cache/rows.h"
#include "cache/space.h"
#include "cache/stored.h"

#include <string.h>

enum {
    PARTIAL_FORMAT = 1,
    PIECE_SIZE = 64 * 1024, /* of a row; as chunks, for the same reason */
    PIECE_EXTRA = AEAD_NONCE_SIZE + AEAD_TAG_SIZE,
    PIECE_KEY_SIZE = 4 + 8 + 4,
    PIECE_AAD_MAX = 80,
    ROW_FIXED_SIZE = 2 + 8 + 8 + 4 + 4 + 8 + 8 + 2,
    EXPIRED_AT_ONCE = 64,
};

static const char piece_label[] = "kosekifs piece 1";

struct partial {
    uint32_t inode;
    uint64_t size;   /* of the whole body */
    uint64_t held;   /* of it, from its beginning */
    uint32_t pieces; /* rows that hold it */
    uint32_t slot;
    uint64_t generation;
    int64_t updated_at_s;
    char validator[CACHE_VALIDATOR_MAX];
};

/* --- rows ------------------------------------------------------------------------------------- */

static int partial_put(struct cache *cache, MDB_txn *transaction, const struct partial *partial)
{
    uint8_t plain[ROW_FIXED_SIZE + CACHE_VALIDATOR_MAX];
    struct number_key key = number_key(partial->inode);
    size_t validator_size = strlen(partial->validator);
    plain[0] = 0;
    plain[1] = PARTIAL_FORMAT;
    be64_put(plain + 2, partial->size);
    be64_put(plain + 10, partial->held);
    be32_put(plain + 18, partial->pieces);
    be32_put(plain + 22, partial->slot);
    be64_put(plain + 26, partial->generation);
    be64_put(plain + 34, (uint64_t)partial->updated_at_s);
    plain[42] = (uint8_t)(validator_size >> 8);
    plain[43] = (uint8_t)validator_size;
    memcpy(plain + ROW_FIXED_SIZE, partial->validator, validator_size);
    return row_put(cache, transaction, TABLE_PARTIALS, bytes_of(key.bytes, sizeof key.bytes),
                   bytes_of(plain, ROW_FIXED_SIZE + validator_size));
}

static int partial_get(struct cache *cache, MDB_txn *transaction, uint32_t inode,
                       struct partial *ret_partial)
{
    uint8_t plain[ROW_FIXED_SIZE + CACHE_VALIDATOR_MAX];
    struct number_key key = number_key(inode);
    size_t size;
    int r = row_get(cache, transaction, TABLE_PARTIALS, bytes_of(key.bytes, sizeof key.bytes),
                    plain, sizeof plain, &size);
    if (r != 0)
        return r;
    if (size < ROW_FIXED_SIZE || plain[0] != 0 || plain[1] != PARTIAL_FORMAT)
        return -EIO;
    size_t validator_size = (size_t)plain[42] << 8 | plain[43];
    struct partial partial = {.inode = inode,
                              .size = be64_get(plain + 2),
                              .held = be64_get(plain + 10),
                              .pieces = be32_get(plain + 18),
                              .slot = be32_get(plain + 22),
                              .generation = be64_get(plain + 26),
                              .updated_at_s = (int64_t)be64_get(plain + 34)};
    if (size - ROW_FIXED_SIZE != validator_size || validator_size >= CACHE_VALIDATOR_MAX ||
        partial.held > partial.size || partial.size > RECORD_CONTENT_MAX ||
        partial.pieces > partial.held)
        return -EIO;
    memcpy(partial.validator, plain + ROW_FIXED_SIZE, validator_size);
    *ret_partial = partial;
    return 0;
}

static int partial_get_name(struct cache *cache, MDB_txn *transaction, const struct certname *name,
                            struct partial *ret_partial)
{
    struct entry_row row;
    int r = entry_get_name(cache, transaction, name, &row);
    return r != 0 ? r : partial_get(cache, transaction, row.entry.inode, ret_partial);
}

int partial_slot(struct cache *cache, MDB_txn *transaction, uint32_t inode, uint32_t *ret_slot)
{
    struct partial partial;
    int r = partial_get(cache, transaction, inode, &partial);
    if (r == 0)
        *ret_slot = partial.slot;
    return r;
}

static void piece_key(const struct partial *partial, uint32_t number,
                      uint8_t ret_key[PIECE_KEY_SIZE])
{
    be32_put(ret_key, partial->inode);
    be64_put(ret_key + 4, partial->generation);
    be32_put(ret_key + 12, number);
}

/* What a piece is bound to: store, partial, whole size, place. */
static size_t piece_aad(const struct cache *cache, const struct partial *partial, uint32_t number,
                        uint64_t offset, uint8_t ret_aad[PIECE_AAD_MAX])
{
    size_t used = sizeof piece_label - 1;
    memcpy(ret_aad, piece_label, used);
    memcpy(ret_aad + used, cache->store_id, STORE_ID_SIZE);
    used += STORE_ID_SIZE;
    be32_put(ret_aad + used, partial->inode);
    be32_put(ret_aad + used + 4, partial->slot);
    be64_put(ret_aad + used + 8, partial->generation);
    be64_put(ret_aad + used + 16, partial->size);
    be32_put(ret_aad + used + 24, number);
    be64_put(ret_aad + used + 28, offset);
    return used + 36;
}

/* Pieces that were sealed and not committed may stand on pages that LMDB has given up, so the nonce
 * is drawn at random: the number alone could come twice. */
static int put_piece(struct cache *cache, MDB_txn *transaction, const struct partial *partial,
                     const struct data_key *key, const uint8_t *plain, size_t size)
{
    uint8_t name[PIECE_KEY_SIZE], aad[PIECE_AAD_MAX], nonce[AEAD_NONCE_SIZE];
    piece_key(partial, partial->pieces, name);
    size_t aad_size = piece_aad(cache, partial, partial->pieces, partial->held, aad);
    int r = random_bytes(nonce, sizeof nonce);
    if (r < 0)
        return r;
    MDB_val row_key = store_value(name, sizeof name), value = {.mv_size = size + PIECE_EXTRA};
    r = store_error(mdb_put(transaction, cache->tables[TABLE_PIECES], &row_key, &value,
                            MDB_RESERVE | MDB_NOOVERWRITE));
    if (r < 0)
        return r;
    memcpy(value.mv_data, nonce, sizeof nonce);
    return aead_seal(key->bytes, nonce, aad, aad_size, plain, size,
                     (uint8_t *)value.mv_data + sizeof nonce);
}

int partial_erase(struct cache *cache, MDB_txn *transaction, uint32_t inode)
{
    struct partial partial;
    struct number_key key = number_key(inode);
    int r = partial_get(cache, transaction, inode, &partial);
    if (r == CACHE_MISS)
        return r;
    if (r == 0) {
        r = erasure_begin_slot(cache, transaction, partial.slot, partial.generation);
        for (uint32_t i = 0; r == 0 && i < partial.pieces; i++) {
            uint8_t name[PIECE_KEY_SIZE];
            piece_key(&partial, i, name);
            r = store_delete(cache, transaction, TABLE_PIECES, bytes_of(name, sizeof name));
        }
        cache->partial_bytes -=
            partial.held < cache->partial_bytes ? partial.held : cache->partial_bytes;
    } else if (r == -EIO) {
        r = 0; /* which slot was its own is not known: fsck tells of it, a rebuild erases it */
    }
    return r < 0 ? r
                 : store_delete(cache, transaction, TABLE_PARTIALS,
                                bytes_of(key.bytes, sizeof key.bytes));
}

/* --- appending -------------------------------------------------------------------------------- */

static int put_pieces(struct cache *cache, MDB_txn *transaction, struct partial *partial,
                      const struct data_key *key, struct bytes piece)
{
    int r = 0;
    while (r == 0 && piece.size > 0) {
        size_t size = piece.size < PIECE_SIZE ? piece.size : PIECE_SIZE;
        r = put_piece(cache, transaction, partial, key, piece.data, size);
        partial->pieces++;
        partial->held += size;
        piece = bytes_of(piece.data + size, piece.size - size);
    }
    return r;
}

/* A new beginning, in place of an older one. */
static int begin_partial(struct cache *cache, const struct certname *name, struct partial *partial,
                         struct bytes piece)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct pool_slot slot;
    struct entry_row row;
    int r = pool_take(cache, &slot, 1);
    if (r < 0)
        return r;
    struct number_key slot_key = number_key(slot.number);
    r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = entry_get_name(cache, transaction, name, &row);
    r = r > 0 ? -ENOENT : r;
    if (r == 0) {
        partial->inode = row.entry.inode;
        partial->slot = slot.number;
        partial->generation = slot.generation;
        r = partial_erase(cache, transaction, partial->inode);
    }
    bool replaces = r == 0;
    if (r >= 0)
        r = store_delete(cache, transaction, TABLE_UNUSED,
                         bytes_of(slot_key.bytes, sizeof slot_key.bytes));
    if (r == 0)
        r = put_pieces(cache, transaction, partial, &slot.key, piece);
    if (r == 0)
        r = partial_put(cache, transaction, partial);
    if (r == 0)
        r = store_commit(cache, &transaction);
    if (r == 0)
        data_keys_add(cache->data_keys, data_keys_epoch(cache->data_keys), slot.number,
                      slot.generation, &slot.key);
    if (r == 0 && replaces)
        (void)!erasure_finish(cache);
    wipe(&slot, sizeof slot);
    return r;
}

static int continue_partial(struct cache *cache, struct partial *partial, struct bytes piece)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    _cleanup_data_key_ struct data_key key;
    int r = stored_slot_key(cache, partial->slot, partial->generation, &key);
    if (r == 0)
        r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = put_pieces(cache, transaction, partial, &key, piece);
    if (r == 0)
        r = partial_put(cache, transaction, partial);
    return r < 0 ? r : store_commit(cache, &transaction);
}

static int find(struct cache *cache, const struct certname *name, struct partial *ret_partial)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    return r < 0 ? r : partial_get_name(cache, transaction, name, ret_partial);
}

int cache_partial_append(struct cache *cache, const struct certname *name, const char *validator,
                         uint64_t size, uint64_t offset, struct bytes piece, int64_t now_s)
{
    struct partial partial = {.size = size, .updated_at_s = now_s}, known;
    if (size > RECORD_CONTENT_MAX || offset > size || piece.size > size - offset ||
        piece.size == 0 || strlen(validator) >= CACHE_VALIDATOR_MAX)
        return -EINVAL;
    if (cache->partial_bytes + piece.size > cache->partials_max)
        return -ENOSPC;
    int r = space_check(cache, space_pages(cache, PIECE_SIZE + PIECE_EXTRA) *
                                       (piece.size / PIECE_SIZE + 1) +
                                   SPACE_SMALL_PAGES);
    if (r < 0)
        return r;
    snprintf(partial.validator, sizeof partial.validator, "%s", validator);
    if (offset == 0) {
        r = begin_partial(cache, name, &partial, piece);
    } else {
        r = find(cache, name, &known);
        if (r != 0)
            return r < 0 ? r : -ESTALE;
        if (known.held != offset || known.size != size || strcmp(known.validator, validator) != 0)
            return -ESTALE;
        known.updated_at_s = now_s;
        r = continue_partial(cache, &known, piece);
    }
    if (r == 0)
        cache->partial_bytes += piece.size;
    return r;
}

/* --- the rest of its life --------------------------------------------------------------------- */

int cache_partial_find(struct cache *cache, const struct certname *name,
                       struct cache_partial *ret_partial)
{
    struct partial partial;
    int r = find(cache, name, &partial);
    if (r != 0)
        return r;
    *ret_partial = (struct cache_partial){
        .size = partial.size, .held = partial.held, .updated_at_s = partial.updated_at_s};
    memcpy(ret_partial->validator, partial.validator, sizeof ret_partial->validator);
    return 0;
}

static int load_piece(struct cache *cache, MDB_txn *transaction, const struct partial *partial,
                      const struct data_key *key, uint32_t number, uint64_t *offset, uint8_t *out)
{
    uint8_t name[PIECE_KEY_SIZE], aad[PIECE_AAD_MAX];
    struct bytes value;
    piece_key(partial, number, name);
    int r = store_get(cache, transaction, TABLE_PIECES, bytes_of(name, sizeof name), &value);
    if (r != 0)
        return r < 0 ? r : -EIO;
    if (value.size < PIECE_EXTRA || value.size - PIECE_EXTRA > partial->held - *offset)
        return -EIO;
    size_t size = value.size - PIECE_EXTRA;
    size_t aad_size = piece_aad(cache, partial, number, *offset, aad);
    r = aead_open(key->bytes, value.data, aad, aad_size, value.data + AEAD_NONCE_SIZE, size,
                  out + *offset);
    *offset += size;
    return r == -EBADMSG ? -EIO : r;
}

int cache_partial_load(struct cache *cache, const struct certname *name, uint8_t *out, size_t size,
                       size_t *ret_size)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    _cleanup_data_key_ struct data_key key;
    struct partial partial;
    uint64_t offset = 0;
    int r = find(cache, name, &partial);
    if (r != 0)
        return r;
    if (partial.held > size)
        return -EFBIG;
    r = stored_slot_key(cache, partial.slot, partial.generation, &key);
    if (r == 0)
        r = store_begin(cache, MDB_RDONLY, &transaction);
    for (uint32_t i = 0; r == 0 && i < partial.pieces; i++)
        r = load_piece(cache, transaction, &partial, &key, i, &offset, out);
    if (r == 0 && offset != partial.held)
        r = -EIO;
    if (r < 0)
        wipe(out, size);
    else
        *ret_size = partial.held;
    return r;
}

static int drop_inode(struct cache *cache, uint32_t inode)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = partial_erase(cache, transaction, inode);
    if (r == 0)
        r = store_commit(cache, &transaction);
    return r != 0 ? r : erasure_finish(cache);
}

int cache_partial_drop(struct cache *cache, const struct certname *name)
{
    struct cache_entry entry;
    struct partial partial;
    int r = find(cache, name, &partial);
    if (r == CACHE_MISS)
        return r;
    r = cache_find(cache, name, &entry);
    return r != 0 ? r : drop_inode(cache, entry.inode);
}

/* Those last added to before that time, damaged ones too; counts what the others hold. */
static int find_expired(struct cache *cache, int64_t before_s, uint32_t *ret_inodes,
                        unsigned *ret_count)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    MDB_val key, value;
    unsigned count = 0;
    uint64_t bytes = 0;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, cache->tables[TABLE_PARTIALS], &cursor);
    if (result != 0)
        return store_error(result);
    while (count < EXPIRED_AT_ONCE &&
           (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct partial partial;
        if (key.mv_size != sizeof(struct number_key))
            continue;
        uint32_t inode = be32_get(key.mv_data);
        if (partial_get(cache, transaction, inode, &partial) != 0 ||
            partial.updated_at_s < before_s)
            ret_inodes[count++] = inode;
        else
            bytes += partial.held;
    }
    mdb_cursor_close(cursor);
    if (result != 0 && result != MDB_NOTFOUND)
        return store_error(result);
    if (count == 0)
        cache->partial_bytes = bytes;
    *ret_count = count;
    return 0;
}

int cache_partial_expire(struct cache *cache, int64_t before_s, unsigned *ret_count)
{
    uint32_t inodes[EXPIRED_AT_ONCE];
    unsigned count = 0, total = 0;
    do {
        int r = find_expired(cache, before_s, inodes, &count);
        for (unsigned i = 0; r >= 0 && i < count; i++)
            r = drop_inode(cache, inodes[i]);
        if (r < 0)
            return r;
        total += count;
    } while (count > 0);
    *ret_count = total;
    return 0;
}
