/* Names and inode numbers, and what the link system last said of them. */
#include "cache/change.h"

uint32_t cache_generation(const struct cache *cache)
{
    uint32_t generation = be32_get(cache->store_id);
    return generation ? generation : 1;
}

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

/* An entry that was read before a commit and is remembered after it is never found again, but would
 * stay in memory when the commit erased it. */
static void remember(struct cache *cache, const struct cache_entry *entry, uint64_t transaction)
{
    uint64_t newest;
    warm_entries_add(cache->warm_entries, entry, transaction);
    if (store_newest(cache, &newest) < 0 || newest != transaction)
        warm_entries_forget(cache->warm_entries, entry->inode);
}

int cache_find_inode(struct cache *cache, uint32_t inode, struct cache_entry *ret_entry)
{
    _cleanup_transaction_ MDB_txn *transaction = NULL;
    struct entry_row row;
    uint64_t newest;
    int r = store_newest(cache, &newest);
    if (r < 0 || warm_entries_find(cache->warm_entries, inode, newest, ret_entry))
        return r;
    r = store_begin(cache, MDB_RDONLY, &transaction);
    if (r == 0)
        r = entry_get(cache, transaction, inode, &row);
    if (r != 0)
        return r;
    remember(cache, &row.entry, mdb_txn_id(transaction));
    *ret_entry = row.entry;
    return 0;
}

static int add_name(struct cache *cache, MDB_txn *transaction, const struct certname *name,
                    int64_t now_ns, struct counters *counters, struct entry_row *ret_row)
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
    *ret_row = (struct entry_row){.entry = {
                                      .name = *name,
                                      .inode = counters->next_inode,
                                      .first_seen_ns = now_ns,
                                  }};
    counters->next_inode++;
    counters->known++;
    return 0;
}

/* Size and date of content that is here stay those of the content. */
static bool is_news(const struct cache_entry *entry, const struct cache_news *news)
{
    return strcmp(entry->validator, news->validator) != 0 ||
           (!entry_has_content(entry) &&
            (entry->size != news->size || entry->modified_s != news->modified_s));
}

static int take_news(struct cache *cache, MDB_txn *transaction, const struct cache_news *news,
                     struct counters *counters, struct entry_row *row)
{
    struct cache_entry *entry = &row->entry;
    struct number_key key = number_key(entry->inode);
    int r = 0;
    if (entry->state == CACHE_REJECTED && strcmp(entry->validator, news->validator) != 0) {
        entry_forget_content(row);
        counters->rejected--;
        r = store_delete(cache, transaction, TABLE_VERDICTS, bytes_of(key.bytes, sizeof key.bytes));
    }
    if (!entry_has_content(entry)) {
        entry->size = news->size;
        entry->modified_s = news->modified_s;
    }
    snprintf(entry->validator, sizeof entry->validator, "%s", news->validator);
    return r;
}

int news_check(const struct cache_change *change)
{
    bool sound =
        strlen(change->news.validator) < CACHE_VALIDATOR_MAX && certname_valid(change->name);
    return sound ? 0 : -EINVAL;
}

int news_look(struct cache *cache, MDB_txn *transaction, struct change *change)
{
    int r = entry_get_name(cache, transaction, change->asked->name, &change->row);
    change->is_new = r == CACHE_MISS;
    if (r < 0 || change->is_new)
        return r < 0 ? r : 0;
    return is_news(&change->row.entry, &change->asked->news) ? 0 : CHANGE_NOTHING;
}

int news_write(struct cache *cache, MDB_txn *transaction, struct change *change)
{
    const struct cache_news *news = &change->asked->news;
    struct counters counters;
    int r = counters_get(cache, transaction, &counters);
    if (r == 0 && change->is_new)
        r = add_name(cache, transaction, change->asked->name, news->now_ns, &counters,
                     &change->row);
    if (r == 0)
        r = take_news(cache, transaction, news, &counters, &change->row);
    if (r == 0)
        r = entry_put(cache, transaction, &change->row);
    if (r == 0)
        r = counters_put(cache, transaction, &counters);
    return r;
}

int cache_upsert(struct cache *cache, const struct certname *name, uint64_t size,
                 int64_t modified_s, const char *validator, int64_t now_ns,
                 struct cache_entry *ret_entry)
{
    struct cache_change change = {
        .kind = CACHE_NEWS,
        .name = name,
        .news = {.size = size, .modified_s = modified_s, .validator = validator, .now_ns = now_ns}};
    struct cache_entry entry;
    int r = news_check(&change);
    if (r == 0)
        r = cache_find(cache, name, &entry);
    if (r < 0)
        return r;
    /* Programs look names up again and again; a durable write each time would cost a sync. */
    if (r == 0 && !is_news(&entry, &change.news)) {
        *ret_entry = entry;
        return 0;
    }
    cache_apply(cache, &change, 1);
    if (change.result == 0)
        *ret_entry = change.entry;
    return change.result;
}
