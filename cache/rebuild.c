/* See cache/rebuild.h. */
#include "cache/rebuild.h"

#include "cache/ages.h"
#include "cache/periods.h"
#include "cache/rows.h"
#include "cache/stored.h"

enum {
    ROWS_AT_ONCE = 2000, /* of one transaction */
    PERIODS_MAX = 4096,  /* 30 days each */
    INODE_GAP = 1 << 16, /* numbers that may have been given after what we have was written */
};

static const char rebuild_key[] = "rebuild";

struct rebuild {
    struct cache *cache;
    struct counters counters;
    uint8_t *named; /* a bit for each slot that something names */
    uint32_t slot_count;
    uint32_t next;   /* inode to go on from */
    bool unreadable; /* some row of a period */
    bool keyless;    /* content needs the key that such a row names: no slot is given anew */
    unsigned period_count;
    struct period_seen {
        uint32_t period;
        bool readable; /* its row */
        bool keyed;    /* its key is still there */
        struct period_place place;
    } periods[PERIODS_MAX];
};

static struct bytes wish(void)
{
    return bytes_of(rebuild_key, sizeof rebuild_key - 1);
}

int rebuild_ask(struct cache *cache, MDB_txn *transaction)
{
    return store_put(cache, transaction, TABLE_META, wish(), bytes_of("1", 1));
}

int rebuild_unask(struct cache *cache, MDB_txn *transaction)
{
    return store_delete(cache, transaction, TABLE_META, wish());
}

/* An error of the disk is none of the slot: content is not dropped for that. */
static int slot_holds(struct cache *cache, uint32_t number, uint64_t generation, bool *ret_holds)
{
    struct slot slot;
    int r = slots_read(&cache->slots, number, &slot);
    *ret_holds = r == 0 && slot.state == SLOT_KEYED && slot.generation == generation;
    return r == -EBADMSG ? 0 : r;
}

static void mark(struct rebuild *rebuild, uint32_t slot)
{
    if (slot < rebuild->slot_count)
        rebuild->named[slot / 8] |= (uint8_t)(1u << (slot % 8));
}

static struct period_seen *period_find(struct rebuild *rebuild, uint32_t period)
{
    for (unsigned i = 0; i < rebuild->period_count; i++)
        if (rebuild->periods[i].period == period)
            return &rebuild->periods[i];
    return NULL;
}

/* --- entries ---------------------------------------------------------------------------------- */

int rebuild_delete_chunks(struct cache *cache, MDB_txn *transaction, uint32_t inode,
                          uint64_t keep_version)
{
    MDB_cursor *cursor;
    uint8_t start[RECORD_CHUNK_KEY_SIZE];
    record_chunk_key(inode, 0, 0, start);
    MDB_val key = store_value(start, sizeof start), value;
    int result = mdb_cursor_open(transaction, cache->tables[TABLE_CHUNKS], &cursor);
    if (result != 0)
        return store_error(result);
    for (result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         result == 0 && key.mv_size == sizeof start && be32_get(key.mv_data) == inode;
         result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (keep_version != 0 && be64_get((const uint8_t *)key.mv_data + 4) == keep_version)
            continue;
        result = mdb_cursor_del(cursor, 0);
        if (result != 0)
            break;
    }
    mdb_cursor_close(cursor);
    return result == MDB_NOTFOUND ? 0 : store_error(result);
}

static int drop_content(struct rebuild *rebuild, MDB_txn *transaction, struct entry_row *row)
{
    struct cache *cache = rebuild->cache;
    struct number_key key = number_key(row->entry.inode);
    struct bytes inode = bytes_of(key.bytes, sizeof key.bytes);
    int r = store_delete(cache, transaction, TABLE_RECORDS, inode);
    if (r == 0)
        r = store_delete(cache, transaction, TABLE_VERDICTS, inode);
    if (r == 0)
        r = rebuild_delete_chunks(cache, transaction, row->entry.inode, 0);
    entry_forget_content(row);
    return r < 0 ? r : entry_put(cache, transaction, row);
}

/* It follows from the entry; a restored store has none. */
static int put_header(struct cache *cache, MDB_txn *transaction, const struct entry_row *row)
{
    const struct record record = entry_record(row);
    uint8_t header[RECORD_HEADER_SIZE];
    return stored_record_put(cache, transaction, &record, header);
}

static int take_content(struct rebuild *rebuild, MDB_txn *transaction, struct entry_row *row)
{
    struct cache *cache = rebuild->cache;
    struct period_seen *period = period_find(rebuild, row->place.period);
    bool holds;
    int r = slot_holds(cache, row->place.slot, row->place.generation, &holds);
    if (r < 0)
        return r;
    bool keyless = row->place.period != 0 && (!period || !period->keyed);
    bool waits = keyless && rebuild->unreadable && (!period || !period->readable);
    if (!holds || (keyless && !waits))
        return drop_content(rebuild, transaction, row);
    rebuild->keyless = rebuild->keyless || waits;
    r = put_header(cache, transaction, row);
    if (r < 0)
        return r;
    mark(rebuild, row->place.slot);
    if (period)
        period->place.records++;
    rebuild->counters.stored++;
    rebuild->counters.stored_bytes += row->entry.size;
    return age_put(cache, transaction, &row->entry);
}

static int take_entry(struct rebuild *rebuild, MDB_txn *transaction, uint32_t inode)
{
    struct cache *cache = rebuild->cache;
    struct entry_row row;
    struct number_key key = number_key(inode);
    struct bytes plain_inode = bytes_of(key.bytes, sizeof key.bytes), other;
    int r = entry_get(cache, transaction, inode, &row);
    if (inode >= rebuild->counters.next_inode)
        rebuild->counters.next_inode = inode + 1;
    if (r == -EIO)
        return store_delete(cache, transaction, TABLE_ENTRIES, plain_inode);
    if (r != 0)
        return r < 0 ? r : -EIO;
    struct bytes name = bytes_of(row.entry.name.text, strlen(row.entry.name.text));
    r = store_get(cache, transaction, TABLE_NAMES, name, &other);
    if (r == 0) /* forgotten and seen again: the later one counts */
        r = store_delete(cache, transaction, TABLE_ENTRIES, other);
    else if (r == CACHE_MISS)
        r = 0, rebuild->counters.known++;
    if (r == 0)
        r = store_put(cache, transaction, TABLE_NAMES, name, plain_inode);
    if (r == 0 && entry_has_content(&row.entry))
        r = take_content(rebuild, transaction, &row);
    rebuild->counters.rejected += row.entry.state == CACHE_REJECTED;
    return r;
}

static int take_entries(struct rebuild *rebuild)
{
    uint32_t inodes[ROWS_AT_ONCE];
    unsigned count;
    do {
        _cleanup_transaction_ MDB_txn *transaction = NULL;
        int r = entry_inodes(rebuild->cache, &rebuild->next, inodes, ROWS_AT_ONCE, &count);
        if (r == 0)
            r = store_begin(rebuild->cache, 0, &transaction);
        for (unsigned i = 0; r == 0 && i < count; i++)
            r = take_entry(rebuild, transaction, inodes[i]);
        if (r == 0)
            r = store_commit(rebuild->cache, &transaction);
        if (r < 0)
            return r;
    } while (count == ROWS_AT_ONCE);
    return 0;
}

/* --- rows that no entry names ----------------------------------------------------------------- */

/* The version whose rows belong to the inode; 0 = none. */
static int wanted_version(struct cache *cache, MDB_txn *transaction, uint32_t inode,
                          uint64_t *ret_version)
{
    struct entry_row row;
    int r = entry_get(cache, transaction, inode, &row);
    *ret_version = r == 0 && entry_has_content(&row.entry) ? row.place.version : 0;
    return r < 0 && r != -EIO ? r : 0;
}

static int sweep_inode(struct cache *cache, uint32_t inode)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct number_key key = number_key(inode);
    struct entry_row row;
    uint64_t version = 0;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = wanted_version(cache, transaction, inode, &version);
    if (r == 0)
        r = rebuild_delete_chunks(cache, transaction, inode, version);
    if (r == 0 && version == 0)
        r = store_delete(cache, transaction, TABLE_RECORDS, bytes_of(key.bytes, sizeof key.bytes));
    if (r == 0 && entry_get(cache, transaction, inode, &row) != 0)
        r = store_delete(cache, transaction, TABLE_VERDICTS, bytes_of(key.bytes, sizeof key.bytes));
    return r < 0 ? r : store_commit(cache, &transaction);
}

/* The first inode at or after `from` of which the table has rows that are not wanted. Erasures that
 * are under way find their chunks gone, which is as good. */
static int find_spare(struct cache *cache, enum table table, uint32_t from, uint32_t *ret_inode)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    struct number_key start = number_key(from);
    MDB_val key = store_value(start.bytes, sizeof start.bytes), value;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, cache->tables[table], &cursor);
    if (result != 0)
        return store_error(result);
    r = CACHE_MISS;
    for (result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         result == 0 && r == CACHE_MISS && key.mv_size >= sizeof start;) {
        uint64_t version = 0;
        *ret_inode = be32_get(key.mv_data);
        r = wanted_version(cache, transaction, *ret_inode, &version);
        bool wanted = version != 0 && (table != TABLE_CHUNKS ||
                                       (key.mv_size == RECORD_CHUNK_KEY_SIZE &&
                                        be64_get((const uint8_t *)key.mv_data + 4) == version));
        if (r == 0 && wanted) {
            r = CACHE_MISS;
            result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }
    mdb_cursor_close(cursor);
    return result != 0 && result != MDB_NOTFOUND ? store_error(result) : r;
}

static int sweep(struct rebuild *rebuild, enum table table)
{
    uint32_t inode = 0;
    int r;
    while ((r = find_spare(rebuild->cache, table, inode, &inode)) == 0) {
        r = sweep_inode(rebuild->cache, inode++);
        if (r < 0)
            return r;
    }
    return r == CACHE_MISS ? 0 : r;
}

/* --- slots ------------------------------------------------------------------------------------ */

static int mark_row(struct rebuild *rebuild, MDB_txn *transaction, enum table table,
                    uint32_t number)
{
    if (table == TABLE_ERASURES) {
        mark(rebuild, number);
        return 0;
    }
    struct period_seen *seen = &rebuild->periods[rebuild->period_count];
    if (rebuild->period_count == PERIODS_MAX - 1)
        return -EOVERFLOW;
    int r = period_get(rebuild->cache, transaction, number, &seen->place);
    if (r != 0 && r != -EIO)
        return r;
    seen->period = number;
    seen->readable = r == 0;
    rebuild->unreadable = rebuild->unreadable || !seen->readable;
    r = seen->readable
            ? slot_holds(rebuild->cache, seen->place.slot, seen->place.generation, &seen->keyed)
            : 0;
    if (r < 0)
        return r;
    seen->keyed = seen->readable && seen->keyed;
    seen->place.records = 0;
    if (seen->keyed)
        mark(rebuild, seen->place.slot);
    rebuild->period_count++;
    return 0;
}

/* Slots that erasures and periods name. */
static int mark_table(struct rebuild *rebuild, enum table table)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    MDB_cursor *cursor;
    MDB_val key, value;
    int r = store_begin(rebuild->cache, MDB_RDONLY, &transaction);
    if (r < 0)
        return r;
    int result = mdb_cursor_open(transaction, rebuild->cache->tables[table], &cursor);
    if (result != 0)
        return store_error(result);
    while (r == 0 && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        if (key.mv_size == sizeof(struct number_key))
            r = mark_row(rebuild, transaction, table, be32_get(key.mv_data));
    mdb_cursor_close(cursor);
    return r < 0 ? r : result == MDB_NOTFOUND ? 0 : store_error(result);
}

static int put_unused(struct rebuild *rebuild)
{
    struct cache *cache = rebuild->cache;
    if (rebuild->keyless)
        return 0;
    for (uint32_t slot = 0; slot < rebuild->slot_count;) {
        _cleanup_transaction_ MDB_txn *transaction = NULL;
        int r = store_begin(cache, 0, &transaction);
        for (unsigned i = 0; r == 0 && i < ROWS_AT_ONCE && slot < rebuild->slot_count; slot++) {
            struct number_key key = number_key(slot);
            if (rebuild->named[slot / 8] & (1u << (slot % 8)))
                continue;
            r = row_put(cache, transaction, TABLE_UNUSED, bytes_of(key.bytes, sizeof key.bytes),
                        bytes_of("", 0));
            i++;
        }
        if (r == 0)
            r = store_commit(cache, &transaction);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int begin(struct rebuild *rebuild)
{
    /* Partial bodies are worth less than the doubt about their slots. */
    static const enum table tables[] = {TABLE_NAMES, TABLE_AGES, TABLE_UNUSED, TABLE_PARTIALS,
                                        TABLE_PIECES};
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct cache *cache = rebuild->cache;
    struct counters old;
    int r = store_begin(cache, 0, &transaction);
    if (r < 0)
        return r;
    /* Without the old counters, numbers may have been given that nothing names any more. */
    uint32_t slot_count = 0;
    rebuild->counters.next_inode = CACHE_INODE_FIRST;
    if (counters_get(cache, transaction, &old) == 0) {
        rebuild->counters.next_inode = old.next_inode;
        rebuild->counters.changed_at_ns = old.changed_at_ns;
        slot_count = old.slot_count;
    }
    r = slots_count(&cache->slots, &rebuild->slot_count);
    if (rebuild->slot_count < slot_count)
        rebuild->slot_count = slot_count;
    for (size_t i = 0; r == 0 && i < sizeof tables / sizeof *tables; i++)
        r = store_error(mdb_drop(transaction, cache->tables[tables[i]], 0));
    if (r == 0)
        r = rebuild_ask(cache, transaction);
    if (r == 0)
        r = store_commit(cache, &transaction);
    if (r < 0)
        return r;
    rebuild->named = calloc(1, rebuild->slot_count / 8 + 1);
    return rebuild->named ? 0 : -ENOMEM;
}

static int end(struct rebuild *rebuild, bool gap)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct cache *cache = rebuild->cache;
    int r = store_begin(cache, 0, &transaction);
    for (unsigned i = 0; r == 0 && i < rebuild->period_count; i++) {
        const struct period_seen *seen = &rebuild->periods[i];
        struct number_key key = number_key(seen->period);
        if (!seen->readable && rebuild->keyless)
            continue;
        r = seen->keyed ? period_put(cache, transaction, seen->period, &seen->place)
                        : store_delete(cache, transaction, TABLE_PERIODS,
                                       bytes_of(key.bytes, sizeof key.bytes));
    }
    if (gap && rebuild->counters.next_inode < CACHE_INODE_LAST - INODE_GAP)
        rebuild->counters.next_inode += INODE_GAP;
    rebuild->counters.slot_count = rebuild->slot_count;
    counters_touch(&rebuild->counters);
    if (r == 0)
        r = counters_put(cache, transaction, &rebuild->counters);
    if (r == 0)
        r = rebuild_unask(cache, transaction);
    return r < 0 ? r : store_commit(cache, &transaction);
}

static int asked(struct cache *cache, bool *ret_gap)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct counters counters;
    struct bytes value;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = store_get(cache, transaction, TABLE_META, wish(), &value);
    if (r == 0)
        *ret_gap = counters_get(cache, transaction, &counters) < 0;
    return r;
}

int rebuild_run(struct cache *cache)
{
    bool gap = false;
    int r = asked(cache, &gap);
    if (r != 0)
        return r == CACHE_MISS ? 0 : r;
    struct rebuild *rebuild = calloc(1, sizeof *rebuild);
    if (!rebuild)
        return -ENOMEM;
    rebuild->cache = cache;
    r = begin(rebuild);
    if (r == 0)
        r = mark_table(rebuild, TABLE_ERASURES);
    if (r == 0)
        r = mark_table(rebuild, TABLE_PERIODS);
    if (r == 0)
        r = take_entries(rebuild);
    if (r == 0)
        r = sweep(rebuild, TABLE_RECORDS);
    if (r == 0)
        r = sweep(rebuild, TABLE_CHUNKS);
    if (r == 0)
        r = put_unused(rebuild);
    if (r == 0)
        r = end(rebuild, gap);
    free(rebuild->named);
    free(rebuild);
    return r;
}
