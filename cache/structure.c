/* See cache/structure.h. */
#include "cache/structure.h"

#include "cache/ages.h"
#include "cache/erasure.h"
#include "cache/partials.h"
#include "cache/periods.h"
#include "cache/pool.h"

struct structure {
    struct cache *cache;
    const struct cache_check *check;
    MDB_txn *transaction;
    bool mend;
    bool erasing; /* chunks of what is being erased are where they should be */
    uint64_t damages;
    struct counters found;
    uint64_t ages;
    uint8_t *named; /* a bit for each slot */
    uint32_t slot_count;
    bool keyless; /* the key of content is in a slot that nothing readable names */
    unsigned period_count;
    struct period_need {
        uint32_t period;
        uint64_t records;
    } * periods; /* of the entries */
};

/* A row of the walk; the cursor stands on it. Key and value are void after any change. */
struct walked {
    MDB_cursor *cursor;
    struct bytes key, value;
};

static void tell(struct structure *structure, enum cache_damage what, const struct certname *name)
{
    structure->damages++;
    structure->check->damaged(structure->check->context, what, name);
}

/* The row should not be there. */
static int drop(struct structure *structure, const struct walked *row, enum cache_damage what,
                const struct certname *name)
{
    tell(structure, what, name);
    return structure->mend ? store_error(mdb_cursor_del(row->cursor, 0)) : 0;
}

static int drop_spare(struct structure *structure, const struct walked *row)
{
    return drop(structure, row, CACHE_DAMAGE_SPARE, NULL);
}

/* Each slot is named once. False if this one is none, or was named before; told. */
static bool name_slot(struct structure *structure, uint32_t slot)
{
    uint8_t bit = (uint8_t)(1u << (slot % 8));
    if (slot >= structure->slot_count || (structure->named[slot / 8] & bit)) {
        tell(structure, CACHE_DAMAGE_SPARE, NULL);
        return false;
    }
    structure->named[slot / 8] |= bit;
    return true;
}

/* The entry whose inode stands at this place of a key of that size. CACHE_MISS: there is none. */
static int entry_of(const struct structure *structure, struct bytes key, size_t size, size_t at,
                    struct entry_row *ret_row)
{
    if (key.size != size)
        return CACHE_MISS;
    return entry_get(structure->cache, structure->transaction, be32_get(key.data + at), ret_row);
}

/* Of rows that are told of only, since they are left to whoever keeps them. */
static int check_sealed(struct structure *structure, enum table table, enum cache_damage what,
                        const struct walked *walked)
{
    size_t size;
    _cleanup_free_ uint8_t *plain = malloc(walked->value.size + 1);
    if (!plain)
        return -ENOMEM;
    int r = row_get(structure->cache, structure->transaction, table, walked->key, plain,
                    walked->value.size, &size);
    if (r == -EIO || r == -EINVAL)
        tell(structure, what, NULL);
    return r == -EIO || r == -EINVAL ? 0 : r;
}

/* --- names and entries ------------------------------------------------------------------------ */

static bool parse_name(struct bytes key, struct certname *ret_name)
{
    char text[CERTNAME_MAX + 1];
    if (key.size >= sizeof text)
        return false;
    memcpy(text, key.data, key.size);
    text[key.size] = '\0';
    return certname_parse(text, ret_name);
}

static int check_name(struct structure *structure, const struct walked *row)
{
    struct certname name;
    struct entry_row entry;
    if (!parse_name(row->key, &name) || row->value.size != sizeof(struct number_key))
        return drop(structure, row, CACHE_DAMAGE_NAME, NULL);
    int r = entry_of(structure, row->value, sizeof(struct number_key), 0, &entry);
    if (r == -EIO)
        return drop(structure, row, CACHE_DAMAGE_ENTRY, &name);
    if (r == CACHE_MISS || (r == 0 && strcmp(entry.entry.name.text, name.text) != 0))
        return drop(structure, row, CACHE_DAMAGE_NAME, &name);
    return r;
}

/* *ret_hidden: not to be counted, since it is there no more. Nobody can find one whose name leads
 * to another that came later, so it goes, unless it is held. */
static int check_its_name(struct structure *structure, const struct walked *walked,
                          const struct entry_row *row, bool *ret_hidden)
{
    struct number_key inode = number_key(row->entry.inode);
    struct bytes number = bytes_of(inode.bytes, sizeof inode.bytes), found;
    struct bytes name = bytes_of(row->entry.name.text, strlen(row->entry.name.text));
    struct entry_row other;
    int r = store_get(structure->cache, structure->transaction, TABLE_NAMES, name, &found);
    if (r < 0 || (r == 0 && bytes_equal(found, number)))
        return r;
    bool hidden = r == 0 && entry_of(structure, found, sizeof inode, 0, &other) == 0 &&
                  strcmp(other.entry.name.text, row->entry.name.text) == 0;
    if (structure->mend && hidden && row->entry.held)
        return 0;
    bool lost = hidden && !row->entry.held && entry_has_content(&row->entry);
    tell(structure, lost ? CACHE_DAMAGE_HIDDEN : CACHE_DAMAGE_NAME, &row->entry.name);
    if (!structure->mend)
        return 0;
    if (!hidden)
        return store_put(structure->cache, structure->transaction, TABLE_NAMES, name, number);
    *ret_hidden = true;
    return store_error(mdb_cursor_del(walked->cursor, 0));
}

/* Content needs the key of the period. */
static int note_period(struct structure *structure, uint32_t period)
{
    struct period_place place;
    if (period == 0)
        return 0;
    for (unsigned i = 0; i < structure->period_count; i++)
        if (structure->periods[i].period == period) {
            structure->periods[i].records++;
            return 0;
        }
    struct period_need *periods =
        realloc(structure->periods, (structure->period_count + 1) * sizeof *periods);
    if (!periods)
        return -ENOMEM;
    structure->periods = periods;
    periods[structure->period_count++] = (struct period_need){.period = period, .records = 1};
    int r = period_get(structure->cache, structure->transaction, period, &place);
    structure->keyless = structure->keyless || r == -EIO || r == CACHE_MISS;
    return r == -EIO || r == CACHE_MISS ? 0 : r;
}

static int check_entry(struct structure *structure, const struct walked *walked)
{
    struct entry_row row;
    struct counters *found = &structure->found;
    bool hidden = false;
    if (walked->key.size != sizeof(struct number_key))
        return drop_spare(structure, walked);
    int r = entry_of(structure, walked->key, sizeof(struct number_key), 0, &row);
    /* A damaged one is told of with its name, or as a slot that nothing names. */
    if (r == -EIO && structure->mend)
        return store_error(mdb_cursor_del(walked->cursor, 0));
    found->known++;
    if (r != 0)
        return r == -EIO ? 0 : r;
    r = check_its_name(structure, walked, &row, &hidden);
    found->known -= hidden;
    if (r < 0 || hidden)
        return r;
    found->rejected += row.entry.state == CACHE_REJECTED;
    if (!entry_has_content(&row.entry))
        return 0;
    found->stored++;
    found->stored_bytes += row.entry.size;
    name_slot(structure, row.place.slot);
    r = note_period(structure, row.place.period);
    return r == 0 && structure->mend ? age_add(structure->cache, structure->transaction, &row.entry)
                                     : r;
}

/* --- rows of entries -------------------------------------------------------------------------- */

static int check_record(struct structure *structure, const struct walked *walked)
{
    struct entry_row row;
    int r = entry_of(structure, walked->key, sizeof(struct number_key), 0, &row);
    if (r == CACHE_MISS || (r == 0 && !entry_has_content(&row.entry)))
        return drop_spare(structure, walked);
    return r == -EIO ? 0 : r;
}

static int check_verdict(struct structure *structure, const struct walked *walked)
{
    struct entry_row row;
    int r = entry_of(structure, walked->key, sizeof(struct number_key), 0, &row);
    if (r == CACHE_MISS)
        return drop_spare(structure, walked);
    return r == -EIO ? 0 : r;
}

static int check_chunk(struct structure *structure, const struct walked *walked)
{
    struct entry_row row;
    if (structure->erasing)
        return 0;
    int r = entry_of(structure, walked->key, RECORD_CHUNK_KEY_SIZE, 0, &row);
    if (r == CACHE_MISS ||
        (r == 0 && (!entry_has_content(&row.entry) ||
                    row.place.version != be64_get(walked->key.data + sizeof(struct number_key)))))
        return drop_spare(structure, walked);
    return r == -EIO ? 0 : r;
}

/* Content is in the index of ages under the time of its last use, and nothing else is. */
static int check_age(struct structure *structure, const struct walked *walked)
{
    struct entry_row row;
    structure->ages++;
    int r = entry_of(structure, walked->key, 8 + sizeof(struct number_key), 8, &row);
    if (r == CACHE_MISS ||
        (r == 0 && (!entry_has_content(&row.entry) ||
                    (uint64_t)row.entry.used_at_s != be64_get(walked->key.data))))
        return drop_spare(structure, walked);
    return r == -EIO ? 0 : r;
}

/* --- slots ------------------------------------------------------------------------------------ */

static int check_erasure(struct structure *structure, const struct walked *walked)
{
    if (walked->key.size != sizeof(struct number_key))
        return drop_spare(structure, walked);
    name_slot(structure, be32_get(walked->key.data));
    return check_sealed(structure, TABLE_ERASURES, CACHE_DAMAGE_ERASURE, walked);
}

/* A count that is too high would keep the key for ever: that of an entry which was damaged and went
 * is in it still. */
static int check_need(struct structure *structure, uint32_t period, struct period_place *place)
{
    uint64_t records = 0;
    for (unsigned i = 0; i < structure->period_count; i++)
        if (structure->periods[i].period == period)
            records = structure->periods[i].records;
    if (place->records == records)
        return 0;
    tell(structure, CACHE_DAMAGE_COUNT, NULL);
    if (!structure->mend)
        return 0;
    place->records = records;
    return period_put(structure->cache, structure->transaction, period, place);
}

static int check_period(struct structure *structure, const struct walked *walked)
{
    struct period_place place;
    int r = walked->key.size == sizeof(struct number_key)
                ? period_get(structure->cache, structure->transaction, be32_get(walked->key.data),
                             &place)
                : -EIO;
    /* A copy of the store that is not damaged gives the row back, as long as the slot is there. */
    if (r == -EIO && structure->mend && structure->keyless)
        return 0;
    if (r == -EIO)
        return drop(structure, walked, CACHE_DAMAGE_PERIOD, NULL);
    if (r != 0)
        return r;
    name_slot(structure, place.slot);
    return check_need(structure, be32_get(walked->key.data), &place);
}

static int check_partial(struct structure *structure, const struct walked *walked)
{
    uint32_t slot;
    int r = walked->key.size == sizeof(struct number_key)
                ? partial_slot(structure->cache, structure->transaction, be32_get(walked->key.data),
                               &slot)
                : -EIO;
    if (r == -EIO)
        return drop_spare(structure, walked);
    if (r == 0)
        name_slot(structure, slot);
    return r;
}

/* After all others: a slot that is in use is not unused. */
static int check_unused(struct structure *structure, const struct walked *walked)
{
    uint32_t number;
    MDB_val key = store_value(walked->key.data, walked->key.size);
    if (!unused_slot(structure->cache, structure->transaction, &key, &number))
        return drop_spare(structure, walked);
    if (!name_slot(structure, number) && structure->mend)
        return store_error(mdb_cursor_del(walked->cursor, 0));
    return 0;
}

/* --- trust ------------------------------------------------------------------------------------ */

static int check_list(struct structure *structure, const struct walked *walked)
{
    return check_sealed(structure, TABLE_LISTS, CACHE_DAMAGE_TRUST, walked);
}

static int check_signer(struct structure *structure, const struct walked *walked)
{
    return check_sealed(structure, TABLE_SIGNERS, CACHE_DAMAGE_TRUST, walked);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* A key that was prepared is in memory; it must not be handed out once its slot is erased. */
static int take_back(struct structure *structure, uint32_t slot)
{
    struct number_key key = number_key(slot);
    if (!pool_has(&structure->cache->pool, slot))
        return erasure_begin_slot(structure->cache, structure->transaction, slot, 0);
    return row_put(structure->cache, structure->transaction, TABLE_UNUSED,
                   bytes_of(key.bytes, sizeof key.bytes), bytes_of("", 0));
}

static int check_slots(struct structure *structure)
{
    int r = 0;
    if (structure->mend && structure->keyless) /* any of them may be the one */
        return 0;
    for (uint32_t slot = 0; r == 0 && slot < structure->slot_count; slot++) {
        if (structure->named[slot / 8] & (1u << (slot % 8)))
            continue;
        tell(structure, CACHE_DAMAGE_SPARE, NULL);
        if (structure->mend)
            r = take_back(structure, slot);
    }
    return r;
}

static int check_totals(struct structure *structure, const struct counters *counters)
{
    const struct counters *found = &structure->found;
    if (counters->stored == found->stored && counters->rejected == found->rejected &&
        counters->stored_bytes == found->stored_bytes && counters->known == found->known &&
        structure->ages == found->stored)
        return 0;
    tell(structure, CACHE_DAMAGE_COUNT, NULL);
    if (!structure->mend)
        return 0;
    struct counters right = *counters;
    right.stored = found->stored;
    right.stored_bytes = found->stored_bytes;
    right.rejected = found->rejected;
    right.known = found->known;
    counters_touch(&right); /* the listing may have changed */
    return counters_put(structure->cache, structure->transaction, &right);
}

typedef int check_row(struct structure *structure, const struct walked *walked);

static int walk(struct structure *structure, enum table table, check_row *check)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int r = 0;
    int result = mdb_cursor_open(structure->transaction, structure->cache->tables[table], &cursor);
    if (result != 0)
        return store_error(result);
    while (r == 0 && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        const struct walked walked = {.cursor = cursor,
                                      .key = bytes_of(key.mv_data, key.mv_size),
                                      .value = bytes_of(value.mv_data, value.mv_size)};
        r = check(structure, &walked);
    }
    mdb_cursor_close(cursor);
    return r < 0 ? r : result == MDB_NOTFOUND ? 0 : store_error(result);
}

static int walk_all(struct structure *structure)
{
    static const struct {
        enum table table;
        check_row *row;
    } walks[] = {{TABLE_NAMES, check_name},       {TABLE_ENTRIES, check_entry},
                 {TABLE_RECORDS, check_record},   {TABLE_VERDICTS, check_verdict},
                 {TABLE_CHUNKS, check_chunk},     {TABLE_AGES, check_age},
                 {TABLE_ERASURES, check_erasure}, {TABLE_PERIODS, check_period},
                 {TABLE_PARTIALS, check_partial}, {TABLE_UNUSED, check_unused},
                 {TABLE_LISTS, check_list},       {TABLE_SIGNERS, check_signer}};
    const struct cache_check *check = structure->check;
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof walks / sizeof *walks; i++)
        r = check->stop && check->stop(check->context)
                ? -ECANCELED
                : walk(structure, walks[i].table, walks[i].row);
    return r < 0 ? r : check_slots(structure);
}

int structure_walk(struct cache *cache, MDB_txn *transaction, bool mend,
                   const struct cache_check *check, uint64_t *damages)
{
    struct counters counters = {0};
    MDB_stat erasures;
    struct structure structure = {
        .cache = cache, .check = check, .transaction = transaction, .mend = mend};
    int r = store_error(mdb_stat(transaction, cache->tables[TABLE_ERASURES], &erasures));
    if (r == 0)
        r = counters_get(cache, transaction, &counters);
    if (r < 0 && (r != -EIO || mend))
        return r;
    structure.erasing = erasures.ms_entries > 0;
    structure.slot_count = counters.slot_count;
    structure.named = calloc(1, structure.slot_count / 8 + 1);
    r = structure.named ? walk_all(&structure) : -ENOMEM;
    if (r == 0)
        r = check_totals(&structure, &counters);
    free(structure.named);
    free(structure.periods);
    if (r == 0)
        *damages += structure.damages;
    return r;
}
