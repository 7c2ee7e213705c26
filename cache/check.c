/*
 * fsck. Content first, each certificate in a short transaction of its own, since that takes long;
 * then names, spare rows, slots and totals, which must fit one another, in one transaction that
 * only walks over keys.
 */
#include "cache/partials.h"
#include "cache/periods.h"
#include "cache/rebuild.h"
#include "cache/stored.h"

enum { INODES_AT_ONCE = 1000, PIECE_SIZE = 1024 * 1024 };

struct checking {
    struct cache *cache;
    const struct cache_check *check;
    struct cache_checked total;
    uint8_t *piece;       /* of content, in clear */
    MDB_txn *transaction; /* of the second part */
    struct counters found;
    uint64_t ages;
    uint8_t *named; /* a bit for each slot */
    uint32_t slot_count;
};

static void tell(struct checking *checking, enum cache_damage what, const struct certname *name)
{
    checking->total.damages++;
    checking->check->damaged(checking->check->context, what, name);
}

static bool stopped(const struct checking *checking)
{
    return checking->check->stop && checking->check->stop(checking->check->context);
}

/* --- content ---------------------------------------------------------------------------------- */

/* 0; CACHE_MISS: it is gone meanwhile; -EIO. */
static int read_all(struct checking *checking, const struct cache_entry *entry)
{
    _cleanup_sha256_stream_ struct sha256_stream *hash = sha256_stream_new();
    uint8_t digest[SHA256_SIZE];
    int r = hash ? 0 : -ENOMEM;
    for (uint64_t offset = 0; r == 0 && offset < entry->size;) {
        size_t got;
        r = cache_load_part(checking->cache, entry->inode, offset, checking->piece, PIECE_SIZE,
                            &got);
        if (r == 0 && got == 0)
            r = CACHE_MISS; /* another version, a shorter one */
        if (r == 0)
            r = sha256_stream_update(hash, checking->piece, got);
        offset += r == 0 ? got : 0;
    }
    if (r == 0)
        r = sha256_stream_finish(hash, digest);
    if (r == 0 && memcmp(digest, entry->sha256, sizeof digest) != 0)
        r = -EIO;
    return r;
}

/* Whether the entry is still the one that was looked at. */
static bool unchanged(struct checking *checking, const struct cache_entry *entry)
{
    struct cache_entry now;
    return cache_find_inode(checking->cache, entry->inode, &now) == 0 &&
           now.state == entry->state && memcmp(now.sha256, entry->sha256, sizeof now.sha256) == 0;
}

static int check_content(struct checking *checking, const struct cache_entry *entry)
{
    _cleanup_free_ struct verdict *verdict = malloc(sizeof *verdict);
    struct stored stored = {0};
    if (!verdict)
        return -ENOMEM;
    int r = stored_open(checking->cache, entry->inode, STORED_OR_WITHHELD, &stored);
    stored_close(&stored);
    if (r == -EIO && unchanged(checking, entry)) {
        tell(checking, CACHE_DAMAGE_KEY, &entry->name);
        return 0;
    }
    if (r == 0)
        r = read_all(checking, entry);
    if (r == -EIO && unchanged(checking, entry))
        tell(checking, CACHE_DAMAGE_CONTENT, &entry->name);
    checking->total.certificates++;
    checking->total.bytes += entry->size;
    if (r == 0)
        r = cache_verdict(checking->cache, &entry->name, verdict);
    if (r == -EIO && unchanged(checking, entry) &&
        cache_verdict(checking->cache, &entry->name, verdict) == -EIO)
        tell(checking, CACHE_DAMAGE_VERDICT, &entry->name);
    return r == -EIO || r == CACHE_MISS ? 0 : r;
}

static int check_inode(struct checking *checking, uint32_t inode)
{
    struct cache_entry entry;
    int r = cache_find_inode(checking->cache, inode, &entry);
    if (r != 0) /* a damaged one is told of with its name, in the second part */
        return r == CACHE_MISS || r == -EIO ? 0 : r;
    if (entry.state == CACHE_STORED || entry.state == CACHE_WITHHELD)
        return check_content(checking, &entry);
    return 0;
}

/* Inodes of entries from *next on. */
static int load_inodes(struct cache *cache, uint32_t *next, uint32_t *ret_inodes,
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
    for (result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         result == 0 && count < INODES_AT_ONCE;
         result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        if (key.mv_size == sizeof start)
            ret_inodes[count++] = be32_get(key.mv_data);
    mdb_cursor_close(cursor);
    if (count > 0)
        *next = ret_inodes[count - 1] + 1;
    *ret_count = count;
    return result == 0 || result == MDB_NOTFOUND ? 0 : store_error(result);
}

static int check_contents(struct checking *checking)
{
    uint32_t inodes[INODES_AT_ONCE];
    uint32_t next = 0;
    unsigned count = 0;
    do {
        int r = load_inodes(checking->cache, &next, inodes, &count);
        for (unsigned i = 0; r == 0 && i < count; i++)
            r = stopped(checking) ? -ECANCELED : check_inode(checking, inodes[i]);
        if (r < 0)
            return r;
    } while (count > 0);
    return 0;
}

/* --- what must fit together ------------------------------------------------------------------- */

typedef int check_row(struct checking *checking, MDB_val *key, MDB_val *value);

static int walk(struct checking *checking, enum table table, check_row *row)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int r = 0;
    int result = mdb_cursor_open(checking->transaction, checking->cache->tables[table], &cursor);
    if (result != 0)
        return store_error(result);
    while (r == 0 && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        r = row(checking, &key, &value);
    mdb_cursor_close(cursor);
    return r < 0 ? r : result == MDB_NOTFOUND ? 0 : store_error(result);
}

/* Each slot is named once. */
static void name_slot(struct checking *checking, uint32_t slot)
{
    uint8_t bit = (uint8_t)(1u << (slot % 8));
    if (slot >= checking->slot_count || (checking->named[slot / 8] & bit))
        tell(checking, CACHE_DAMAGE_SPARE, NULL);
    else
        checking->named[slot / 8] |= bit;
}

static int check_name(struct checking *checking, MDB_val *key, MDB_val *value)
{
    struct certname name;
    struct entry_row row;
    char text[CERTNAME_MAX + 1];
    if (key->mv_size >= sizeof text)
        return tell(checking, CACHE_DAMAGE_NAME, NULL), 0;
    memcpy(text, key->mv_data, key->mv_size);
    text[key->mv_size] = '\0';
    if (!certname_parse(text, &name) || value->mv_size != sizeof(struct number_key))
        return tell(checking, CACHE_DAMAGE_NAME, NULL), 0;
    int r = entry_get(checking->cache, checking->transaction, be32_get(value->mv_data), &row);
    if (r == -EIO || r == CACHE_MISS)
        tell(checking, CACHE_DAMAGE_ENTRY, &name);
    else if (r == 0 && strcmp(row.entry.name.text, name.text) != 0)
        tell(checking, CACHE_DAMAGE_NAME, &name);
    return r == -EIO || r == CACHE_MISS ? 0 : r;
}

static int check_entry(struct checking *checking, MDB_val *key, MDB_val *value)
{
    struct entry_row row;
    struct bytes inode;
    struct counters *found = &checking->found;
    struct bytes number = bytes_of(key->mv_data, key->mv_size);
    (void)value;
    if (key->mv_size != sizeof(struct number_key))
        return tell(checking, CACHE_DAMAGE_SPARE, NULL), 0;
    found->known++;
    int r = entry_get(checking->cache, checking->transaction, be32_get(key->mv_data), &row);
    if (r != 0)
        return r == -EIO ? 0 : r; /* told of with its name, or as a slot that nothing names */
    struct bytes name = bytes_of(row.entry.name.text, strlen(row.entry.name.text));
    r = store_get(checking->cache, checking->transaction, TABLE_NAMES, name, &inode);
    if (r == CACHE_MISS || (r == 0 && !bytes_equal(inode, number)))
        tell(checking, CACHE_DAMAGE_NAME, &row.entry.name);
    found->rejected += row.entry.state == CACHE_REJECTED;
    if (!entry_has_content(&row.entry))
        return r < 0 ? r : 0;
    found->stored++;
    found->stored_bytes += row.entry.size;
    name_slot(checking, row.place.slot);
    return r < 0 ? r : 0;
}

static int check_record(struct checking *checking, MDB_val *key, MDB_val *value)
{
    struct entry_row row;
    (void)value;
    int r = key->mv_size == sizeof(struct number_key)
                ? entry_get(checking->cache, checking->transaction, be32_get(key->mv_data), &row)
                : CACHE_MISS;
    if (r == CACHE_MISS || (r == 0 && !entry_has_content(&row.entry)))
        tell(checking, CACHE_DAMAGE_SPARE, NULL);
    return r < 0 && r != -EIO ? r : 0;
}

/* Chunks of certificates whose erasure is under way are where they should be. */
static int check_chunk(struct checking *checking, MDB_val *key, MDB_val *value)
{
    struct entry_row row;
    MDB_stat erasures;
    (void)value;
    if (mdb_stat(checking->transaction, checking->cache->tables[TABLE_ERASURES], &erasures) != 0 ||
        erasures.ms_entries > 0)
        return 0;
    int r = key->mv_size == RECORD_CHUNK_KEY_SIZE
                ? entry_get(checking->cache, checking->transaction, be32_get(key->mv_data), &row)
                : CACHE_MISS;
    bool wanted = r == 0 && entry_has_content(&row.entry) &&
                  row.place.version == be64_get((const uint8_t *)key->mv_data + 4);
    if (r != -EIO && !wanted)
        tell(checking, CACHE_DAMAGE_SPARE, NULL);
    return r < 0 && r != -EIO ? r : 0;
}

/* Content is in the index of ages under the time of its last use, and nothing else is. */
static int check_age(struct checking *checking, MDB_val *key, MDB_val *value)
{
    struct entry_row row;
    (void)value;
    checking->ages++;
    int r = key->mv_size == 12 ? entry_get(checking->cache, checking->transaction,
                                           be32_get((const uint8_t *)key->mv_data + 8), &row)
                               : CACHE_MISS;
    if (r == CACHE_MISS || (r == 0 && (!entry_has_content(&row.entry) ||
                                       (uint64_t)row.entry.used_at_s != be64_get(key->mv_data))))
        tell(checking, CACHE_DAMAGE_SPARE, NULL);
    return r < 0 && r != -EIO ? r : 0;
}

static int check_slot_row(struct checking *checking, MDB_val *key, MDB_val *value)
{
    (void)value;
    if (key->mv_size == sizeof(struct number_key))
        name_slot(checking, be32_get(key->mv_data));
    else
        tell(checking, CACHE_DAMAGE_SPARE, NULL);
    return 0;
}

static int check_unused(struct checking *checking, MDB_val *key, MDB_val *value)
{
    uint32_t number;
    (void)value;
    if (unused_slot(checking->cache, checking->transaction, key, &number))
        name_slot(checking, number);
    else
        tell(checking, CACHE_DAMAGE_SPARE, NULL);
    return 0;
}

static int check_period(struct checking *checking, MDB_val *key, MDB_val *value)
{
    struct period_place place;
    (void)value;
    int r = key->mv_size == sizeof(struct number_key)
                ? period_get(checking->cache, checking->transaction, be32_get(key->mv_data), &place)
                : -EIO;
    if (r == 0)
        name_slot(checking, place.slot);
    else
        tell(checking, CACHE_DAMAGE_SPARE, NULL);
    return r < 0 && r != -EIO ? r : 0;
}

/* Revocation lists and signers. */
static int check_sealed(struct checking *checking, enum table table, MDB_val *key, MDB_val *value)
{
    size_t size;
    _cleanup_free_ uint8_t *plain = malloc(value->mv_size + 1);
    if (!plain)
        return -ENOMEM;
    int r = row_get(checking->cache, checking->transaction, table,
                    bytes_of(key->mv_data, key->mv_size), plain, value->mv_size, &size);
    if (r == -EIO || r == -EINVAL)
        tell(checking, CACHE_DAMAGE_TRUST, NULL);
    return r == -EIO || r == -EINVAL ? 0 : r;
}

static int check_list(struct checking *checking, MDB_val *key, MDB_val *value)
{
    return check_sealed(checking, TABLE_LISTS, key, value);
}

static int check_signer(struct checking *checking, MDB_val *key, MDB_val *value)
{
    return check_sealed(checking, TABLE_SIGNERS, key, value);
}

static int check_partial(struct checking *checking, MDB_val *key, MDB_val *value)
{
    uint32_t slot;
    (void)value;
    int r =
        key->mv_size == sizeof(struct number_key)
            ? partial_slot(checking->cache, checking->transaction, be32_get(key->mv_data), &slot)
            : -EIO;
    if (r == 0)
        name_slot(checking, slot);
    else
        tell(checking, CACHE_DAMAGE_SPARE, NULL);
    return r < 0 && r != -EIO ? r : 0;
}

static int check_totals(struct checking *checking)
{
    struct counters counters;
    const struct counters *found = &checking->found;
    int r = counters_get(checking->cache, checking->transaction, &counters);
    if (r < 0 && r != -EIO)
        return r;
    if (r < 0 || counters.stored != found->stored || counters.rejected != found->rejected ||
        counters.stored_bytes != found->stored_bytes || counters.known != found->known ||
        checking->ages != found->stored)
        tell(checking, CACHE_DAMAGE_COUNT, NULL);
    for (uint32_t slot = 0; slot < checking->slot_count; slot++)
        if (!(checking->named[slot / 8] & (1u << (slot % 8))))
            tell(checking, CACHE_DAMAGE_SPARE, NULL);
    return 0;
}

static int check_structure(struct checking *checking)
{
    static const struct {
        enum table table;
        check_row *row;
    } walks[] = {{TABLE_NAMES, check_name},      {TABLE_ENTRIES, check_entry},
                 {TABLE_RECORDS, check_record},  {TABLE_CHUNKS, check_chunk},
                 {TABLE_UNUSED, check_unused},   {TABLE_ERASURES, check_slot_row},
                 {TABLE_PERIODS, check_period},  {TABLE_AGES, check_age},
                 {TABLE_LISTS, check_list},      {TABLE_SIGNERS, check_signer},
                 {TABLE_PARTIALS, check_partial}};
    struct counters counters = {0};
    int r = counters_get(checking->cache, checking->transaction, &counters);
    if (r < 0 && r != -EIO)
        return r;
    checking->slot_count = counters.slot_count;
    checking->named = calloc(1, checking->slot_count / 8 + 1);
    if (!checking->named)
        return -ENOMEM;
    r = 0;
    for (size_t i = 0; r == 0 && i < sizeof walks / sizeof *walks; i++)
        r = stopped(checking) ? -ECANCELED : walk(checking, walks[i].table, walks[i].row);
    return r < 0 ? r : check_totals(checking);
}

int cache_check(struct cache *cache, const struct cache_check *check,
                struct cache_checked *ret_checked)
{
    struct checking checking = {.cache = cache, .check = check, .piece = malloc(PIECE_SIZE)};
    int r = checking.piece ? check_contents(&checking) : -ENOMEM;
    if (checking.piece)
        wipe(checking.piece, PIECE_SIZE);
    free(checking.piece);
    if (r == 0)
        r = store_begin(cache, MDB_RDONLY, &checking.transaction);
    if (r == 0)
        r = check_structure(&checking);
    cleanup_transaction(&checking.transaction);
    free(checking.named);
    if (r == 0)
        *ret_checked = checking.total;
    return r;
}

int cache_ask_rebuild(struct cache *cache)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = rebuild_ask(cache, transaction);
    return r < 0 ? r : store_commit(cache, &transaction);
}
