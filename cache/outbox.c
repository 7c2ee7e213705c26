/* See cache/outbox.h. */
#include "cache/outbox.h"

int outbox_put(struct cache *cache, MDB_txn *transaction, enum outbox_change change,
               const struct entry_row *row)
{
    uint8_t value[1 + 8 + CERTNAME_MAX];
    if (!cache->outbox)
        return 0;
    size_t name_size = strlen(row->entry.name.text);
    struct number_key key = number_key(row->entry.inode);
    value[0] = (uint8_t)change;
    be64_put(value + 1, row->place.version);
    memcpy(value + 9, row->entry.name.text, name_size);
    return row_put(cache, transaction, TABLE_OUTBOX, bytes_of(key.bytes, sizeof key.bytes),
                   bytes_of(value, 9 + name_size));
}
