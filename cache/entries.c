/* Names and inode numbers, and what the link system last said of them. */
#include "cache/rows.h"
#include "cache/space.h"

int cache_find(struct cache *cache, const struct certname *name, struct cache_entry *ret_entry)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = entry_get_name(cache, transaction, name, &row);
    if (r == 0)
        *ret_entry = row.entry;
    return r;
}

int cache_find_inode(struct cache *cache, uint32_t inode, struct cache_entry *ret_entry)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    int r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = entry_get(cache, transaction, inode, &row);
    if (r == 0)
        *ret_entry = row.entry;
    return r;
}

static int add_name(struct cache *cache, MDB_txn *transaction, const struct certname *name,
                    struct counters *counters, struct entry_row *ret_row)
{
    if (counters->next_inode > CACHE_INODE_LAST)
        return -ENOSPC;
    struct number_key inode = number_key(counters->next_inode);
    struct bytes row;
    /* An inode number in use is a damaged counter; giving it again would join two certificates. */
    int r = store_get(cache, transaction, TABLE_ENTRIES, bytes_of(inode.bytes, sizeof inode.bytes),
                      &row);
    if (r != CACHE_MISS)
        return r < 0 ? r : -EIO;
    r = store_add(cache, transaction, TABLE_NAMES, bytes_of(name->text, strlen(name->text)),
                  bytes_of(inode.bytes, sizeof inode.bytes));
    if (r < 0)
        return r;
    *ret_row = (struct entry_row){.entry = {.name = *name, .inode = counters->next_inode}};
    counters->next_inode++;
    counters->known++;
    return 0;
}

/* What of the row follows the link system. True if something changed. */
static bool take_news(struct entry_row *row, uint64_t size, int64_t modified_s,
                      const char *validator)
{
    struct cache_entry *entry = &row->entry;
    bool other_validator = strcmp(entry->validator, validator) != 0;
    bool other_content =
        !entry_has_content(entry) && (entry->size != size || entry->modified_s != modified_s);
    if (!entry_has_content(entry)) {
        entry->size = size;
        entry->modified_s = modified_s;
    }
    strcpy(entry->validator, validator);
    return other_validator || other_content;
}

static int write_news(struct cache *cache, MDB_txn *transaction, struct entry_row *row,
                      struct counters *counters, bool validator_changed)
{
    struct number_key key = number_key(row->entry.inode);
    int r = space_check(cache, transaction, SPACE_SMALL_PAGES);
    if (r == 0 && validator_changed && row->entry.state == CACHE_REJECTED) {
        entry_forget_content(row);
        counters->rejected--;
        r = store_delete(cache, transaction, TABLE_VERDICTS, bytes_of(key.bytes, sizeof key.bytes));
    }
    if (r == 0)
        r = entry_put(cache, transaction, row);
    if (r == 0)
        r = counters_put(cache, transaction, counters);
    return r;
}

int cache_upsert(struct cache *cache, const struct certname *name, uint64_t size,
                 int64_t modified_s, const char *validator, int64_t now_ns,
                 struct cache_entry *ret_entry)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    struct counters counters;
    if (strlen(validator) >= CACHE_VALIDATOR_MAX || !certname_valid(name))
        return -EINVAL;
    int r = store_begin(cache, 0, &transaction);
    if (r == 0)
        r = entry_get_name(cache, transaction, name, &row);
    if (r < 0)
        return r;
    bool new_name = r == CACHE_MISS;
    r = counters_get(cache, transaction, &counters);
    if (r == 0 && new_name) {
        r = add_name(cache, transaction, name, &counters, &row);
        row.entry.first_seen_ns = now_ns;
    }
    if (r < 0)
        return r;
    bool validator_changed = strcmp(row.entry.validator, validator) != 0;
    /* Programs look names up again and again; a durable write each time would cost a sync. */
    if (take_news(&row, size, modified_s, validator) || new_name) {
        r = write_news(cache, transaction, &row, &counters, validator_changed);
        if (r == 0)
            r = store_commit(cache, &transaction);
    }
    if (r == 0)
        *ret_entry = row.entry;
    return r;
}
