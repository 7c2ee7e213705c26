/* See fs/signers.h. There is one Minister with few certificates, so the table is a row. */
#include "fs/signers.h"

#include <pthread.h>
#include <string.h>

#define SIGNERS_STANDING_FACTOR 0x9e3779b97f4a7c15u /* odd: no step loses anything */

struct signer {
    struct signer_status status;
    struct signers_generation looked_at;
    struct buffer record; /* as stored */
};

struct signers {
    pthread_rwlock_t lock; /* guards the rest */
    uint64_t changes;      /* of any status */
    size_t count;
    struct signer *list[SIGNERS_MAX];
};

int signers_new(struct signers **ret_signers)
{
    struct signers *signers = calloc(1, sizeof *signers);
    if (!signers)
        return -ENOMEM;
    pthread_rwlock_init(&signers->lock, NULL);
    *ret_signers = signers;
    return 0;
}

static void signer_free(struct signer *signer)
{
    if (signer)
        buffer_done(&signer->record);
    free(signer);
}

struct signers *signers_free(struct signers *signers)
{
    if (!signers)
        return NULL;
    for (size_t i = 0; i < signers->count; i++)
        signer_free(signers->list[i]);
    pthread_rwlock_destroy(&signers->lock);
    free(signers);
    return NULL;
}

static struct signer *find(const struct signers *signers, const uint8_t sha256[SHA256_SIZE])
{
    for (size_t i = 0; i < signers->count; i++) {
        if (memory_equal(signers->list[i]->status.sha256, sha256, SHA256_SIZE))
            return signers->list[i];
    }
    return NULL;
}

static bool same_generation(const struct signers_generation *a, const struct signers_generation *b)
{
    return memory_equal(a->trust, b->trust, SHA256_SIZE) &&
           memory_equal(a->lists, b->lists, SHA256_SIZE);
}

static struct signers_generation generation_of(const struct signer_status *status)
{
    struct signers_generation generation;
    memcpy(generation.trust, status->trust_generation, SHA256_SIZE);
    memcpy(generation.lists, status->crl_generation, SHA256_SIZE);
    return generation;
}

static bool same_states(const struct signer_status *a, const struct signer_status *b)
{
    if (a->path_size != b->path_size || a->stale_accepted != b->stale_accepted ||
        a->later_rejected != b->later_rejected)
        return false;
    for (unsigned i = 0; i < a->path_size; i++) {
        if (a->path[i].state != b->path[i].state || a->path[i].reason != b->path[i].reason ||
            a->path[i].revoked_s != b->path[i].revoked_s)
            return false;
    }
    return true;
}

static int encode(const struct signer_record *record, struct buffer *ret_record)
{
    struct buffer encoded;
    buffer_init(&encoded, SIGNER_RECORD_MAX);
    int r = signer_record_encode(record, &encoded);
    if (r < 0)
        buffer_done(&encoded);
    else
        *ret_record = encoded;
    return r;
}

static int copy(const struct buffer *record, struct buffer *ret_record)
{
    struct buffer out;
    buffer_init(&out, SIGNER_RECORD_MAX);
    int r = buffer_append(&out, record->data, record->size);
    if (r < 0)
        buffer_done(&out);
    else
        *ret_record = out;
    return r;
}

/* Under the lock. `known` NULL: he is new. */
static int put(struct signers *signers, struct signer *known, const struct signer_record *record,
               struct buffer *ret_record)
{
    struct buffer own;
    if (!known && signers->count == SIGNERS_MAX)
        return -ENOSPC;
    struct signer *signer = known ? known : calloc(1, sizeof *signer);
    int r = signer ? encode(record, &own) : -ENOMEM;
    if (r == 0 && copy(&own, ret_record) < 0) {
        buffer_done(&own);
        r = -ENOMEM;
    }
    if (r < 0) {
        if (!known)
            free(signer);
        return r;
    }
    buffer_done(&signer->record);
    signer->record = own;
    signer->status = record->status;
    signer->looked_at = generation_of(&record->status);
    signers->changes++;
    if (!known)
        signers->list[signers->count++] = signer;
    return 0;
}

static int take(struct signers *signers, struct signer_record *record,
                const struct signers_generation *generation, struct buffer *ret_record)
{
    struct signer *known = find(signers, record->status.sha256);
    const struct signers_generation of = generation_of(&record->status);
    if (known && generation &&
        (same_generation(&known->looked_at, generation) || !same_generation(&of, generation)))
        return SIGNERS_SAME;
    bool same = false;
    if (known) {
        (void)signer_status_keep(&record->status, &known->status);
        same = same_states(&record->status, &known->status);
    }
    int r = put(signers, known, record, ret_record);
    return r < 0 ? r : !known ? SIGNERS_NEW : same ? SIGNERS_FRESHER : SIGNERS_CHANGED;
}

int signers_take(struct signers *signers, struct bytes encoded,
                 const struct signers_generation *generation, struct signer_status *ret_status,
                 struct buffer *ret_record)
{
    struct signer_record record;
    int r = signer_record_decode(encoded, &record);
    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&signers->lock);
    r = take(signers, &record, generation, ret_record);
    pthread_rwlock_unlock(&signers->lock);
    if (r >= 0)
        *ret_status = record.status;
    return r;
}

bool signers_judge(struct signers *signers, const uint8_t sha256[SHA256_SIZE], int64_t received_s,
                   int64_t now_s, struct signer_judgement *ret_judgement)
{
    pthread_rwlock_rdlock(&signers->lock);
    const struct signer *signer = find(signers, sha256);
    if (signer)
        signer_judge(&signer->status, received_s, now_s, ret_judgement);
    pthread_rwlock_unlock(&signers->lock);
    return signer != NULL;
}

bool signers_status(struct signers *signers, const uint8_t sha256[SHA256_SIZE],
                    struct signer_status *ret_status)
{
    pthread_rwlock_rdlock(&signers->lock);
    const struct signer *signer = find(signers, sha256);
    if (signer)
        *ret_status = signer->status;
    pthread_rwlock_unlock(&signers->lock);
    return signer != NULL;
}

/* All that time changes in a judgement is whether some list is too old. */
uint64_t signers_standing(struct signers *signers, int64_t now_s)
{
    struct signer_judgement judgement;
    pthread_rwlock_rdlock(&signers->lock);
    uint64_t standing = signers->changes;
    for (size_t i = 0; i < signers->count; i++) {
        signer_judge(&signers->list[i]->status, 0, now_s, &judgement);
        standing = standing * SIGNERS_STANDING_FACTOR + judgement.stale;
    }
    pthread_rwlock_unlock(&signers->lock);
    return standing;
}

bool signers_outdated(struct signers *signers, const struct signers_generation *generation,
                      uint8_t ret_sha256[SHA256_SIZE], struct buffer *ret_record)
{
    bool found = false;
    pthread_rwlock_rdlock(&signers->lock);
    for (size_t i = 0; i < signers->count && !found; i++) {
        const struct signer *signer = signers->list[i];
        if (same_generation(&signer->looked_at, generation))
            continue;
        found = copy(&signer->record, ret_record) == 0;
        memcpy(ret_sha256, signer->status.sha256, SHA256_SIZE);
    }
    pthread_rwlock_unlock(&signers->lock);
    return found;
}

void signers_set_looked_at(struct signers *signers, const uint8_t sha256[SHA256_SIZE],
                           const struct signers_generation *generation)
{
    pthread_rwlock_wrlock(&signers->lock);
    struct signer *signer = find(signers, sha256);
    if (signer)
        signer->looked_at = *generation;
    pthread_rwlock_unlock(&signers->lock);
}

void signers_walk(struct signers *signers,
                  void (*each)(void *context, const struct signer_record *record), void *context)
{
    pthread_rwlock_rdlock(&signers->lock);
    for (size_t i = 0; i < signers->count; i++) {
        const struct signer *signer = signers->list[i];
        struct signer_record record;
        if (signer_record_decode(bytes_of(signer->record.data, signer->record.size), &record) == 0)
            each(context, &record);
    }
    pthread_rwlock_unlock(&signers->lock);
}
