/*
 * Trust beyond the bundle: revocation lists and signers. Lists that somebody brings are examined by
 * a worker, one at a time and before documents, then kept and given to all workers; each signer is
 * then looked at anew by one of them. What he becomes is one change in fs/signers.h; only telling
 * of it and dropping pages walks through his certificates, in the store thread.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/trust.h"
#include "fs/provide_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum {
    ERRAND_TRIES_MAX = 5,
    ERRAND_MS = 60 * 1000, /* a list with a million entries takes seconds */
    SWEEP_PAGE = 256,
    AUTHORITIES_BYTES_MAX = 48 * 1024,
};

/* --- the store -------------------------------------------------------------------------------- */

struct trust_write {
    struct store_task task;
    enum cache_trust kind;
    uint8_t key[CACHE_TRUST_KEY_SIZE];
    struct buffer content;
};

static void write_row(struct store_task *task, struct cache *cache)
{
    struct trust_write *row = (struct trust_write *)task;
    int r =
        cache_trust_put(cache, row->kind, row->key, bytes_of(row->content.data, row->content.size));
    if (r < 0)
        log_error("a %s could not be stored: %s",
                  row->kind == CACHE_LISTS ? "revocation list" : "signer", strerror(-r));
    buffer_done(&row->content);
    free(row);
}

/* Takes the content. */
static void step_write(struct provide *provide, enum cache_trust kind, const uint8_t *key,
                       struct buffer *content)
{
    struct trust_write *row = calloc(1, sizeof *row);
    if (!row) {
        log_error("memory is short: news about trust live in memory only");
        buffer_done(content);
        return;
    }
    row->task.run = write_row;
    row->kind = kind;
    memcpy(row->key, key, CACHE_TRUST_KEY_SIZE);
    row->content = *content;
    *content = (struct buffer){0};
    step_store_task(provide, &row->task);
}

static void step_write_list(struct provide *provide, const struct revocation_list *list)
{
    uint8_t key[CACHE_TRUST_KEY_SIZE];
    struct buffer encoded;
    buffer_init(&encoded, CACHE_TRUST_MAX);
    revocation_list_key(list, key);
    if (revocation_list_encode(list, &encoded) == 0)
        step_write(provide, CACHE_LISTS, key, &encoded);
    buffer_done(&encoded);
}

static void add_addresses(void *context, const struct signer_record *record)
{
    for (unsigned i = 0; i < record->url_count; i++)
        list_fetches_add(context, record->urls[i]);
}

static int load_list(void *context, const uint8_t *key, struct bytes content)
{
    struct provide *provide = context;
    (void)key;
    int r = revocation_load(&provide->trusted.revocation, content);
    if (r == -EBADMSG)
        log_warning("a stored revocation list is of another form; it is passed over");
    return r == -ENOMEM ? r : 0;
}

static int load_signer(void *context, const uint8_t *key, struct bytes content)
{
    struct provide *provide = context;
    struct signer_status status;
    _cleanup_buffer_ struct buffer record = {0};
    (void)key;
    int r = signers_take(provide->trusted.signers, content, NULL, &status, &record);
    if (r == -EBADMSG)
        log_warning("a stored signer is of another form; he is passed over");
    return r == -ENOMEM ? r : 0;
}

int provide_trust_new(struct provide *provide, char *ret_message)
{
    struct provide_trust *trusted = &provide->trusted;
    unsigned damaged = 0, damaged_signers = 0;
    revocation_init(&trusted->revocation);
    list_fetches_init(&trusted->fetches, provide->crl);
    trusted->lists_fd = -1;
    trusted->lists_changed = true;
    trusted->answer = malloc(sizeof *trusted->answer);
    int r = trusted->answer ? signers_new(&trusted->signers) : -ENOMEM;
    if (r == 0)
        r = cache_trust_walk(provide->cache, CACHE_LISTS, load_list, provide, &damaged);
    if (r == 0)
        r = cache_trust_walk(provide->cache, CACHE_SIGNERS, load_signer, provide, &damaged_signers);
    /* A revocation that was seen may have stood there: better not to serve than to forget it. */
    if (r == 0 && damaged_signers > 0)
        r = -EIO;
    if (r == 0)
        signers_walk(trusted->signers, add_addresses, &trusted->fetches);
    if (r == 0 && damaged > 0)
        log_warning("%u stored revocation lists are damaged; they are passed over", damaged);
    if (r < 0)
        snprintf(ret_message, 256, "what the store keeps about signers cannot be read: %s",
                 strerror(-r));
    return r;
}

void provide_trust_free(struct provide *provide)
{
    struct provide_trust *trusted = &provide->trusted;
    if (trusted->answer)
        cleanup_close(&trusted->lists_fd);
    if (trusted->signers)
        revocation_done(&trusted->revocation);
    list_fetches_done(&trusted->fetches);
    signers_free(trusted->signers);
    free(trusted->anchors);
    free(trusted->answer);
}

/* --- errands ---------------------------------------------------------------------------------- */

bool step_trust_ready(const struct provide *provide)
{
    const struct provide_trust *trusted = &provide->trusted;
    return trusted->lists_brought && !trusted->lists_changed &&
           !revocation_first(&trusted->revocation);
}

/* Gives all workers the lists in force. */
static void step_share_lists(struct provide *provide)
{
    struct provide_trust *trusted = &provide->trusted;
    if (trusted->lists_changed) {
        int fd;
        int r = revocation_bundle(&trusted->revocation, &fd, trusted->generation.lists);
        if (r < 0) {
            log_error("revocation lists cannot be put together: %s", strerror(-r));
            return;
        }
        cleanup_close(&trusted->lists_fd);
        trusted->lists_fd = fd;
        trusted->lists_serial++;
        trusted->lists_changed = false;
        provide_reverify(provide); /* what could not be decided before */
    }
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++) {
        struct worker *worker = &provide->workers[i];
        if (worker->fd >= 0 && worker->lists_serial != trusted->lists_serial &&
            verify_client_set_lists(worker->fd, trusted->lists_fd) == 0)
            worker->lists_serial = trusted->lists_serial;
    }
}

struct authorities {
    struct buffer bytes;
    uint8_t seen[64][SHA256_SIZE];
    unsigned count;
};

/* The certificates above the signers: what may have signed a list. Each once. */
static void add_authorities(void *context, const struct signer_record *record)
{
    struct authorities *authorities = context;
    for (unsigned i = 1; i < record->certificate_count; i++) {
        const uint8_t *digest = record->status.path[i].sha256;
        const struct bytes certificate = record->certificates[i];
        bool seen = authorities->count >= 32;
        for (unsigned k = 0; k < authorities->count && !seen; k++)
            seen = memory_equal(authorities->seen[k], digest, SHA256_SIZE);
        if (seen || authorities->bytes.size + 4 + certificate.size > AUTHORITIES_BYTES_MAX ||
            buffer_append_be32(&authorities->bytes, (uint32_t)certificate.size) < 0)
            continue;
        if (buffer_append(&authorities->bytes, certificate.data, certificate.size) < 0)
            authorities->bytes.size -= 4;
        else
            memcpy(authorities->seen[authorities->count++], digest, SHA256_SIZE);
    }
}

static int send_list(struct provide *provide, struct worker *worker)
{
    const struct revocation_offer *offer = revocation_first(&provide->trusted.revocation);
    _cleanup_close_ int fd = -1;
    _cleanup_free_ struct authorities *authorities = calloc(1, sizeof *authorities);
    if (!authorities)
        return -ENOMEM;
    buffer_init(&authorities->bytes, AUTHORITIES_BYTES_MAX);
    signers_walk(provide->trusted.signers, add_authorities, authorities);
    size_t size = offer->content.size < CRL_SIZE_MAX ? offer->content.size : CRL_SIZE_MAX;
    int r = memfd_of("revocation list", offer->content.data, size, &fd);
    if (r == 0)
        r = verify_client_examine(worker->fd, provide->trusted.errand_id, clock_realtime_s(),
                                  bytes_of(authorities->bytes.data, authorities->bytes.size), fd);
    buffer_done(&authorities->bytes);
    return r;
}

static int send_assess(struct provide *provide, struct worker *worker)
{
    struct provide_trust *trusted = &provide->trusted;
    _cleanup_buffer_ struct buffer record = {0};
    if (!signers_outdated(trusted->signers, &trusted->generation, trusted->errand_signer, &record))
        return -ENOENT;
    return verify_client_assess(worker->fd, trusted->errand_id, clock_realtime_s(),
                                bytes_of(record.data, record.size));
}

static enum errand_kind next_errand(struct provide *provide)
{
    struct provide_trust *trusted = &provide->trusted;
    uint8_t signer[SHA256_SIZE];
    _cleanup_buffer_ struct buffer record = {0};
    if (revocation_first(&trusted->revocation))
        return trusted->list_given_up ? ERRAND_NONE : ERRAND_LIST;
    if (!trusted->lists_brought || trusted->lists_changed)
        return ERRAND_NONE;
    if (signers_outdated(trusted->signers, &trusted->generation, signer, &record))
        return ERRAND_ASSESS;
    if (!memory_equal(trusted->anchors_of, trusted->generation.trust, SHA256_SIZE))
        return ERRAND_ANCHORS;
    return ERRAND_NONE;
}

static struct worker *idle_worker(struct provide *provide)
{
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++) {
        struct worker *worker = &provide->workers[i];
        if (worker->fd >= 0 && !worker->flight && !worker->errand &&
            worker->lists_serial == provide->trusted.lists_serial)
            return worker;
    }
    return NULL;
}

/* --- what came of them ------------------------------------------------------------------------ */

static void step_errand_done(struct provide *provide, struct worker *worker)
{
    worker->errand = provide->trusted.errand = ERRAND_NONE;
    provide->trusted.errand_tries = 0;
}

/* The worker that had it is gone. A list that ends workers again and again is refused; a signer who
 * does keeps the status he has. */
static void step_errand_lost(struct provide *provide)
{
    struct provide_trust *trusted = &provide->trusted;
    enum errand_kind errand = trusted->errand;
    for (unsigned i = 0; i < VERIFY_WORKER_MAX; i++) {
        if (provide->workers[i].errand && provide->workers[i].fd >= 0)
            return;
    }
    trusted->errand = ERRAND_NONE;
    if (!errand || ++trusted->errand_tries < ERRAND_TRIES_MAX)
        return;
    trusted->errand_tries = 0;
    if (errand == ERRAND_LIST) {
        trusted->list_given_up = true;
        provide_wake(provide);
    } else if (errand == ERRAND_ASSESS) {
        signers_set_looked_at(trusted->signers, trusted->errand_signer, &trusted->generation);
    } else {
        memcpy(trusted->anchors_of, trusted->generation.trust, SHA256_SIZE);
        trusted->anchor_count = 0;
    }
}

void step_trust(struct provide *provide)
{
    struct provide_trust *trusted = &provide->trusted;
    if (!provide->trust_known)
        return;
    step_errand_lost(provide);
    if (clock_monotonic_ms() >= trusted->fetch_ms)
        trusted->fetch_ms = list_fetches_send(&trusted->fetches, provide->link_fd,
                                              clock_realtime_s(), clock_monotonic_ms());
    step_share_lists(provide);
    struct worker *worker = idle_worker(provide);
    enum errand_kind errand = trusted->errand || !worker ? ERRAND_NONE : next_errand(provide);
    if (!errand)
        return;
    trusted->errand_id++;
    int r = errand == ERRAND_LIST     ? send_list(provide, worker)
            : errand == ERRAND_ASSESS ? send_assess(provide, worker)
                                      : verify_client_ask_anchors(worker->fd, trusted->errand_id);
    if (r < 0)
        return; /* tried again at the next turn */
    worker->errand = trusted->errand = errand;
    worker->deadline_ms = clock_monotonic_ms() + ERRAND_MS;
}

/* `worker`: who looked at it; NULL if nobody could. */
static void on_list(struct provide *provide, struct worker *worker, const struct crl_info *info)
{
    struct provide_trust *trusted = &provide->trusted;
    struct revocation_list *list = NULL;
    char source[REVOCATION_SOURCE_MAX] = "", text[CRL_TEXT_MAX] = "";
    provide_lock(provide);
    const struct revocation_offer *offer = revocation_first(&trusted->revocation);
    uint64_t asker = offer->asker;
    memcpy(source, offer->source, sizeof source);
    int r = revocation_decide(&trusted->revocation, info, clock_realtime_s(), &list, text);
    if (list) {
        trusted->lists_changed = true;
        step_write_list(provide, list);
        list_fetches_plan(&trusted->fetches, source, info, clock_realtime_s(),
                          clock_monotonic_ms());
    }
    if (worker)
        step_errand_done(provide, worker);
    trusted->list_given_up = false;
    provide_unlock(provide);
    const struct list_news news = {.source = source,
                                   .info = info,
                                   .decision =
                                       r < 0 ? REVOCATION_REFUSED : (enum revocation_decision)r,
                                   .text = r < 0 ? strerror(-r) : text,
                                   .asker = asker};
    provide->listener.list_seen(provide->listener.context, &news);
    provide_wake(provide);
}

void provide_list_given_up(struct provide *provide)
{
    const struct crl_info info = {.outcome = CRL_REFUSED,
                                  .text = "verification ended without saying anything"};
    provide_lock(provide);
    bool given_up = provide->trusted.list_given_up;
    provide_unlock(provide);
    if (given_up)
        on_list(provide, NULL, &info);
}

struct sweep {
    struct store_task task;
    struct provide *provide;
    struct signer_status signer;
    bool begun; /* he has been told of */
    uint32_t cursor;
    uint64_t withheld, served;
    int64_t began_ms;
};

static void sweep_entry(struct sweep *sweep, const struct cache_entry *entry, int64_t now_s)
{
    struct provide *provide = sweep->provide;
    struct signer_judgement judgement;
    if (entry->state != CACHE_STORED ||
        !memory_equal(entry->signer_sha256, sweep->signer.sha256, SHA256_SIZE) ||
        !signers_judge(provide->trusted.signers, entry->signer_sha256, entry->received_at_s, now_s,
                       &judgement))
        return;
    bool served = judgement.outcome <= SIGNER_GOOD_EARLIER;
    if (served)
        sweep->served++;
    else
        sweep->withheld++;
    provide->listener.restated(provide->listener.context, entry, &judgement);
}

/* The listener sees to it that no earlier answer is under way, for which it may have to wait, so
 * not in the loop thread; only then are pages dropped. A page of entries at a time, so that
 * certificates on their way to the store are not kept waiting. */
static void sweep_run(struct store_task *task, struct cache *cache)
{
    struct sweep *sweep = (struct sweep *)task;
    struct provide *provide = sweep->provide;
    if (!sweep->begun)
        provide->listener.signer_seen(provide->listener.context, &sweep->signer, true);
    sweep->begun = true;
    _cleanup_free_ struct cache_entry *page = calloc(SWEEP_PAGE, sizeof *page);
    size_t filled = 0;
    int64_t now_s = clock_realtime_s();
    int r = page ? cache_list(cache, &sweep->cursor, page, SWEEP_PAGE, &filled) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < filled; i++)
        sweep_entry(sweep, &page[i], now_s);
    if (r < 0)
        log_error("certificates of a signer could not be told of: %s", strerror(-r));
    if (r == 0 && filled > 0) {
        provide_store_task(provide, &sweep->task);
        return;
    }
    provide->listener.swept(provide->listener.context, sweep->withheld, sweep->served,
                            clock_monotonic_ms() - sweep->began_ms);
    free(sweep);
}

static void begin_sweep(struct provide *provide, const struct signer_status *status)
{
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep) {
        log_error("memory is short: the certificates of a signer are not told of");
        provide->listener.signer_seen(provide->listener.context, status, true);
        return;
    }
    sweep->task.run = sweep_run;
    sweep->provide = provide;
    sweep->began_ms = clock_monotonic_ms();
    sweep->signer = *status;
    provide_store_task(provide, &sweep->task);
}

/* State first: from signers_take() on every decision refuses. */
static void on_signer(struct provide *provide, struct worker *worker,
                      const struct verify_answer *answer)
{
    struct provide_trust *trusted = &provide->trusted;
    struct signer_status status;
    _cleanup_buffer_ struct buffer record = {0};
    int r = SIGNERS_SAME;
    provide_lock(provide);
    if (answer->record_size)
        r = signers_take(trusted->signers, bytes_of(answer->record, answer->record_size),
                         &trusted->generation, &status, &record);
    if (worker->errand == ERRAND_ASSESS) {
        if (r < 0 || r == SIGNERS_SAME)
            signers_set_looked_at(trusted->signers, trusted->errand_signer, &trusted->generation);
        step_errand_done(provide, worker);
    }
    if (r > SIGNERS_SAME)
        step_write(provide, CACHE_SIGNERS, status.sha256, &record);
    if (r == SIGNERS_NEW) {
        revocation_bring_waiting(&trusted->revocation);
        signers_walk(trusted->signers, add_addresses, &trusted->fetches);
        trusted->fetch_ms = trusted->look_at_ms = trusted->ends_at_ms = 0;
    }
    provide_unlock(provide);
    if (r < 0)
        log_error("a signer cannot be kept: %s", strerror(-r));
    if (r == SIGNERS_NEW)
        provide->listener.signer_seen(provide->listener.context, &status, false);
    else if (r == SIGNERS_CHANGED)
        begin_sweep(provide, &status);
    provide_wake(provide);
}

static void on_anchors(struct provide *provide, struct worker *worker,
                       const struct verify_answer *answer)
{
    struct provide_trust *trusted = &provide->trusted;
    size_t size = answer->anchor_count * sizeof answer->anchors[0];
    struct verify_anchor *anchors = malloc(size ? size : 1);
    provide_lock(provide);
    if (anchors) {
        memcpy(anchors, answer->anchors, size);
        free(trusted->anchors);
        trusted->anchors = anchors;
        trusted->anchor_count = answer->anchor_count;
        trusted->look_at_ms = trusted->ends_at_ms = 0;
    }
    memcpy(trusted->anchors_of, trusted->generation.trust, SHA256_SIZE);
    step_errand_done(provide, worker);
    provide_unlock(provide);
}

bool provide_trust_answered(struct provide *provide, struct worker *worker,
                            const struct verify_answer *answer)
{
    bool ours = worker->errand && answer->id == provide->trusted.errand_id;
    bool of_document = !worker->errand && worker->flight && worker->flight->id == answer->id;
    if (answer->kind == ANSWER_SIGNER && (of_document || (ours && worker->errand == ERRAND_ASSESS)))
        on_signer(provide, worker, answer);
    else if (answer->kind == ANSWER_LIST && ours && worker->errand == ERRAND_LIST)
        on_list(provide, worker, &answer->list);
    else if (answer->kind == ANSWER_ANCHORS && ours && worker->errand == ERRAND_ANCHORS)
        on_anchors(provide, worker, answer);
    else
        return false;
    return true;
}

void provide_list_fetched(struct provide *provide, const struct link_event *event)
{
    struct provide_trust *trusted = &provide->trusted;
    _cleanup_mapping_ struct mapping content = {0};
    provide_lock(provide);
    struct list_fetch *fetch =
        list_fetches_ended(&trusted->fetches, event, clock_realtime_s(), clock_monotonic_ms());
    if (fetch) {
        _cleanup_close_ int fd = steal_fd(&fetch->memfd);
        int r = memfd_seal(fd);
        if (r == 0)
            r = mapping_open(fd, CRL_SIZE_MAX, &content);
        if (r == 0)
            r = revocation_bring(&trusted->revocation, fetch->url,
                                 bytes_of(content.data, content.size), true);
        if (r < 0)
            log_warning("a revocation list that was fetched could not be taken: %s", strerror(-r));
    }
    trusted->fetch_ms = 0;
    provide_unlock(provide);
    provide_wake(provide);
}

int provide_import_lists(struct provide *provide, uint64_t asker, const char *source,
                         struct bytes content)
{
    provide_lock(provide);
    int r = revocation_import(&provide->trusted.revocation, asker, source, content);
    provide_unlock(provide);
    provide_wake(provide);
    return r;
}

void provide_refresh_lists(struct provide *provide)
{
    provide_lock(provide);
    list_fetches_hurry(&provide->trusted.fetches, clock_monotonic_ms());
    provide->trusted.fetch_ms = 0;
    provide_unlock(provide);
    provide_wake(provide);
}

void provide_set_lists(struct provide *provide, struct bytes bundle)
{
    struct trust_item item;
    size_t offset = 0;
    int r = 0, more;
    provide_lock(provide);
    while ((more = trust_bundle_next(bundle, &offset, &item)) > 0) {
        int brought = item.kind == TRUST_CRL ? revocation_bring(&provide->trusted.revocation,
                                                                item.label, item.content, false)
                                             : -EBADMSG;
        r = brought < 0 ? brought : r;
    }
    provide->trusted.lists_brought = true;
    provide_unlock(provide);
    if (r < 0 || more < 0)
        log_error("not every revocation list could be taken: %s", strerror(-(r < 0 ? r : more)));
    provide_wake(provide);
}
