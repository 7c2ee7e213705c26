#include "fs/audit_batch.h"

#include <string.h>

void audit_batch_begin(struct audit_batch *batch, const struct audit_stamp *stamp,
                       const uint8_t hash[SHA256_SIZE])
{
    batch->end.stamp = *stamp;
    memcpy(batch->end.hash, hash, SHA256_SIZE);
    batch->end.count = 0;
    batch->end.size = 0;
}

int audit_batch_add(struct audit_batch *batch, const struct audit_event *event, int64_t time_ns)
{
    struct audit_batch_end *end = &batch->end;
    struct audit_stamp stamp = end->stamp;
    struct audit_line *line = &batch->line;
    uint8_t hash[SHA256_SIZE];
    stamp.sequence++;
    stamp.time_ns = time_ns;
    int r = audit_record_format(event, &stamp, end->hash, line, hash);
    if (r < 0)
        return r;
    if (end->count == AUDIT_BATCH_RECORDS || line->size > sizeof batch->text - end->size)
        return -ENOBUFS;
    memcpy(batch->text + end->size, line->text + line->begin, line->size);
    batch->records[end->count].kind = event->kind;
    batch->records[end->count].result = event->result;
    batch->records[end->count].time_ns = time_ns;
    batch->records[end->count].begin = end->size;
    batch->records[end->count].size = line->size;
    end->count++;
    end->size += line->size;
    end->stamp = stamp;
    memcpy(end->hash, hash, SHA256_SIZE);
    return 0;
}
