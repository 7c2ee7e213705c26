/* Byte-exact in docs/store-format.md, "The format row". */
#include "cache/format.h"

#include "cache/rows.h"

enum {
    STORE_FORMAT = 3,
    STORE_FORMAT_1 = 1, /* without the tables of periods and ages; 2: without names of records */
    OFFSET_FORMAT = 8,
    OFFSET_STORE_ID = 12,
    OFFSET_WRAPPED = OFFSET_STORE_ID + STORE_ID_SIZE,
    OFFSET_CHECKSUM = OFFSET_WRAPPED + CACHE_WRAPPED_SIZE,
    FORMAT_ROW_SIZE = OFFSET_CHECKSUM + SHA256_SIZE,
};

static const char format_key[] = "format";
static const uint8_t store_magic[8] = {'K', 'S', 'K', 'S', 'T', 'O', 'R', 'E'};
static const char store_key_label[] = "store key";

struct store_key_aad {
    uint8_t bytes[sizeof store_key_label - 1 + STORE_ID_SIZE];
};

static struct store_key_aad compose_aad(const uint8_t store_id[STORE_ID_SIZE])
{
    struct store_key_aad aad;
    memcpy(aad.bytes, store_key_label, sizeof store_key_label - 1);
    memcpy(aad.bytes + sizeof store_key_label - 1, store_id, STORE_ID_SIZE);
    return aad;
}

int format_create(struct cache *cache, MDB_txn *transaction, char *ret_message)
{
    uint8_t row[FORMAT_ROW_SIZE] = {0};
    int r = random_bytes(cache->store_id, sizeof cache->store_id);
    if (r == 0) {
        struct store_key_aad aad = compose_aad(cache->store_id);
        r = cache->keyring.generate(cache->keyring.context, aad.bytes, sizeof aad.bytes,
                                    cache->store_key.bytes, row + OFFSET_WRAPPED);
    }
    if (r < 0) {
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: no key for a new store: %s", strerror(-r));
        return r;
    }
    memcpy(row, store_magic, sizeof store_magic);
    be32_put(row + OFFSET_FORMAT, STORE_FORMAT);
    memcpy(row + OFFSET_STORE_ID, cache->store_id, sizeof cache->store_id);
    r = sha256(row, OFFSET_CHECKSUM, row + OFFSET_CHECKSUM);
    if (r == 0)
        r = store_put(cache, transaction, TABLE_META, bytes_of(format_key, sizeof format_key - 1),
                      bytes_of(row, sizeof row));
    struct counters counters = {.next_inode = CACHE_INODE_FIRST};
    counters_touch(&counters);
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    if (r < 0)
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: cannot be created: %s", strerror(-r));
    return r;
}

static int check_row(struct bytes row, char *ret_message)
{
    uint8_t digest[SHA256_SIZE];
    if (row.size < OFFSET_STORE_ID || memcmp(row.data, store_magic, sizeof store_magic) != 0) {
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: the format row is damaged");
        return -EBADMSG;
    }
    /* Before anything that a newer format may have changed. */
    uint32_t format = be32_get(row.data + OFFSET_FORMAT);
    if (format > STORE_FORMAT) {
        snprintf(ret_message, STORE_MESSAGE_MAX,
                 "store: written in format %u by a newer kosekifs; this one knows up to %d", format,
                 STORE_FORMAT);
        return -EPROTONOSUPPORT;
    }
    if (row.size != FORMAT_ROW_SIZE || format < STORE_FORMAT_1 ||
        sha256(row.data, OFFSET_CHECKSUM, digest) < 0 ||
        memcmp(digest, row.data + OFFSET_CHECKSUM, sizeof digest) != 0) {
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: the format row is damaged");
        return -EBADMSG;
    }
    return 0;
}

int format_load(struct cache *cache, MDB_txn *transaction, char *ret_message)
{
    struct bytes row;
    int r = store_get(cache, transaction, TABLE_META, bytes_of(format_key, sizeof format_key - 1),
                      &row);
    if (r != 0)
        return r;
    r = check_row(row, ret_message);
    if (r < 0)
        return r;
    memcpy(cache->store_id, row.data + OFFSET_STORE_ID, sizeof cache->store_id);
    struct store_key_aad aad = compose_aad(cache->store_id);
    r = cache->keyring.unwrap(cache->keyring.context, aad.bytes, sizeof aad.bytes,
                              row.data + OFFSET_WRAPPED, cache->store_key.bytes);
    if (r == -EBADMSG) {
        snprintf(ret_message, STORE_MESSAGE_MAX,
                 "store: written under a master key that is neither [keys] master_key nor "
                 "one of previous_master_keys");
        return -EKEYREJECTED;
    }
    if (r < 0)
        snprintf(ret_message, STORE_MESSAGE_MAX, "store: the store key cannot be unwrapped: %s",
                 strerror(-r));
    return r;
}

int format_upgrade(struct cache *cache, MDB_txn *transaction, bool *ret_upgraded)
{
    uint8_t row[FORMAT_ROW_SIZE];
    struct bytes old;
    struct bytes key = bytes_of(format_key, sizeof format_key - 1);
    int r = store_get(cache, transaction, TABLE_META, key, &old);
    if (r != 0 || old.size != sizeof row)
        return r < 0 ? r : -EIO;
    *ret_upgraded = be32_get(old.data + OFFSET_FORMAT) < STORE_FORMAT;
    if (!*ret_upgraded)
        return 0;
    memcpy(row, old.data, sizeof row);
    be32_put(row + OFFSET_FORMAT, STORE_FORMAT);
    r = sha256(row, OFFSET_CHECKSUM, row + OFFSET_CHECKSUM);
    if (r == 0)
        r = store_put(cache, transaction, TABLE_META, key, bytes_of(row, sizeof row));
    return r;
}

int format_rewrap(struct cache *cache, MDB_txn *transaction)
{
    uint8_t row[FORMAT_ROW_SIZE];
    struct bytes old;
    struct bytes key = bytes_of(format_key, sizeof format_key - 1);
    struct store_key_aad aad = compose_aad(cache->store_id);
    int r = store_get(cache, transaction, TABLE_META, key, &old);
    if (r != 0 || old.size != sizeof row)
        return r < 0 ? r : -EIO;
    memcpy(row, old.data, sizeof row);
    r = cache->keyring.rewrap(cache->keyring.context, aad.bytes, sizeof aad.bytes,
                              old.data + OFFSET_WRAPPED, row + OFFSET_WRAPPED);
    if (r == 0)
        r = sha256(row, OFFSET_CHECKSUM, row + OFFSET_CHECKSUM);
    if (r == 0)
        r = store_put(cache, transaction, TABLE_META, key, bytes_of(row, sizeof row));
    return r;
}

bool format_is_of(struct bytes row, const uint8_t store_id[STORE_ID_SIZE])
{
    return row.size == FORMAT_ROW_SIZE &&
           memcmp(row.data + OFFSET_STORE_ID, store_id, STORE_ID_SIZE) == 0;
}

int format_copy_to_slots(struct cache *cache)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct bytes row;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_get(cache, transaction, TABLE_META, bytes_of(format_key, sizeof format_key - 1),
                      &row);
    return r != 0 ? (r < 0 ? r : -EIO) : slots_put_format(&cache->slots, row);
}
