/*
 * What happens to trust goes on record and, where somebody should look, becomes an alert:
 * revocation lists that come or are refused, signers who change, certificates that change with
 * them, things that get old. The part of provide's listener that concerns trust; `context` is the
 * struct mountfs.
 */
#ifndef FS_TRUST_TELL_H
#define FS_TRUST_TELL_H

#include "fs/provide.h"

void trust_tell_list(void *context, const struct list_news *news);
void trust_tell_signer(void *context, const struct signer_status *status, bool changed);
void trust_tell_restated(void *context, const struct cache_entry *entry,
                         const struct signer_judgement *judgement);
void trust_tell_swept(void *context, uint64_t withheld, uint64_t served, int64_t elapsed_ms);
void trust_tell_ageing(void *context, const struct trust_age *age);

#endif
