/* See fs/revocation.h. */
#include "fs/revocation.h"

#include "base/memfd.h"
#include "base/trust.h"

#include <stdio.h>
#include <string.h>

enum { LIST_FORMAT = 1 };

static const char pem_begin[] = "-----BEGIN X509 CRL-----";
static const char pem_end[] = "-----END X509 CRL-----";

void revocation_init(struct revocation *revocation)
{
    *revocation = (struct revocation){0};
    TAILQ_INIT(&revocation->offers);
}

static void list_free(struct revocation_list *list)
{
    if (list)
        buffer_done(&list->content);
    free(list);
}

static void offer_free(struct revocation_offer *offer)
{
    if (offer)
        buffer_done(&offer->content);
    free(offer);
}

static void drop_first(struct revocation *revocation)
{
    struct revocation_offer *offer = TAILQ_FIRST(&revocation->offers);
    TAILQ_REMOVE(&revocation->offers, offer, next);
    revocation->offer_count--;
    offer_free(offer);
}

void revocation_done(struct revocation *revocation)
{
    while (TAILQ_FIRST(&revocation->offers))
        drop_first(revocation);
    for (size_t i = 0; i < revocation->count; i++)
        list_free(revocation->lists[i]);
    revocation->count = 0;
}

/* --- the store -------------------------------------------------------------------------------- */

int revocation_list_encode(const struct revocation_list *list, struct buffer *out)
{
    _cleanup_buffer_ struct buffer info;
    buffer_init(&info, CRL_INFO_ENCODED_MAX);
    int r = crl_info_encode(&list->info, &info);
    if (r == 0)
        r = buffer_append_u8(out, LIST_FORMAT);
    if (r == 0)
        r = buffer_append_u8(out, list->waiting);
    if (r == 0)
        r = buffer_append_be64(out, (uint64_t)list->received_s);
    if (r == 0)
        r = buffer_append_text(out, list->source);
    if (r == 0)
        r = buffer_append_be16(out, (uint16_t)info.size);
    if (r == 0)
        r = buffer_append(out, info.data, info.size);
    if (r == 0)
        r = buffer_append(out, list->content.data, list->content.size);
    return r;
}

static int decode(struct bytes encoded, struct revocation_list *list)
{
    struct reader reader;
    reader_init(&reader, encoded);
    uint8_t format = reader_u8(&reader);
    uint8_t waiting = reader_u8(&reader);
    list->received_s = (int64_t)reader_be64(&reader);
    reader_text(&reader, list->source, sizeof list->source);
    struct bytes info = reader_view(&reader, reader_be16(&reader));
    if (reader.failed || format != LIST_FORMAT || waiting > 1 || reader.left > CRL_SIZE_MAX)
        return -EBADMSG;
    list->waiting = waiting;
    struct bytes content = reader_view(&reader, reader.left);
    int r = crl_info_decode(info, &list->info);
    if (r == 0)
        r = sha256(content.data, content.size, list->sha256);
    buffer_init(&list->content, CRL_SIZE_MAX);
    return r < 0 ? r : buffer_append(&list->content, content.data, content.size);
}

int revocation_load(struct revocation *revocation, struct bytes encoded)
{
    if (revocation->count == REVOCATION_LISTS_MAX)
        return -ENOSPC;
    struct revocation_list *list = calloc(1, sizeof *list);
    int r = list ? decode(encoded, list) : -ENOMEM;
    if (r < 0) {
        list_free(list);
        return r;
    }
    revocation->lists[revocation->count++] = list;
    return 0;
}

void revocation_list_key(const struct revocation_list *list, uint8_t ret_key[REVOCATION_KEY_SIZE])
{
    memcpy(ret_key, list->info.scope, REVOCATION_KEY_SIZE);
}

/* --- offers ----------------------------------------------------------------------------------- */

static bool is_known(const struct revocation *revocation, const uint8_t digest[SHA256_SIZE])
{
    for (size_t i = 0; i < revocation->count; i++) {
        if (memory_equal(revocation->lists[i]->sha256, digest, SHA256_SIZE))
            return true;
    }
    for (size_t i = 0; i < revocation->refusal_count; i++) {
        /* What was fetched is fetched again; a file is read again only when it changes. */
        if (!revocation->refusals[i].fetched &&
            memory_equal(revocation->refusals[i].sha256, digest, SHA256_SIZE))
            return true;
    }
    const struct revocation_offer *offer;
    TAILQ_FOREACH(offer, &revocation->offers, next)
    {
        if (memory_equal(offer->sha256, digest, SHA256_SIZE))
            return true;
    }
    return false;
}

/* Where offers come from. */
struct bringer {
    const char *source;
    bool fetched;
    uint64_t asker;
};

static int add_offer(struct revocation *revocation, const struct bringer *bringer,
                     struct bytes content)
{
    uint8_t digest[SHA256_SIZE];
    int r = sha256(content.data, content.size, digest);
    if (r < 0 || (!bringer->asker && is_known(revocation, digest)))
        return r;
    if (revocation->offer_count == REVOCATION_OFFERS_MAX)
        return -ENOSPC;
    struct revocation_offer *offer = calloc(1, sizeof *offer);
    if (!offer)
        return -ENOMEM;
    buffer_init(&offer->content, CRL_SIZE_MAX + 1); /* one byte over, to be refused for it */
    size_t size = content.size > CRL_SIZE_MAX ? CRL_SIZE_MAX + 1 : content.size;
    r = buffer_append(&offer->content, content.data, size);
    if (r < 0) {
        offer_free(offer);
        return r;
    }
    memcpy(offer->sha256, digest, SHA256_SIZE);
    snprintf(offer->source, sizeof offer->source, "%s", bringer->source);
    offer->fetched = bringer->fetched;
    offer->asker = bringer->asker;
    TAILQ_INSERT_TAIL(&revocation->offers, offer, next);
    revocation->offer_count++;
    return 0;
}

/* The next list of a file, which `rest` is left of; false after the last. Whatever has no PEM in it
 * is one list. */
static bool next_part(struct bytes *rest, struct bytes *ret_part)
{
    if (!rest->data)
        return false;
    const uint8_t *limit = rest->data + rest->size;
    const uint8_t *begin = memmem(rest->data, rest->size, pem_begin, sizeof pem_begin - 1);
    if (!begin) {
        *ret_part = *rest;
        *rest = bytes_of(NULL, 0);
        return true;
    }
    const uint8_t *end = memmem(begin, (size_t)(limit - begin), pem_end, sizeof pem_end - 1);
    end = end ? end + sizeof pem_end - 1 : limit;
    *ret_part = bytes_of(begin, (size_t)(end - begin));
    bool more = memmem(end, (size_t)(limit - end), pem_begin, sizeof pem_begin - 1);
    *rest = more ? bytes_of(end, (size_t)(limit - end)) : bytes_of(NULL, 0);
    return true;
}

int revocation_bring(struct revocation *revocation, const char *source, struct bytes content,
                     bool fetched)
{
    const struct bringer bringer = {.source = source, .fetched = fetched};
    struct bytes part;
    int r = 0;
    while (r == 0 && next_part(&content, &part))
        r = add_offer(revocation, &bringer, part);
    return r;
}

int revocation_import(struct revocation *revocation, uint64_t asker, const char *source,
                      struct bytes content)
{
    const struct bringer bringer = {.source = source, .asker = asker};
    struct bytes rest = content, part;
    int count = 0, r = 0;
    while (next_part(&rest, &part))
        count++;
    if (count > REVOCATION_OFFERS_MAX - (int)revocation->offer_count)
        return -ENOSPC;
    while (r == 0 && next_part(&content, &part))
        r = add_offer(revocation, &bringer, part);
    return r < 0 ? r : count;
}

void revocation_bring_waiting(struct revocation *revocation)
{
    for (size_t i = 0; i < revocation->count; i++) {
        struct revocation_list *list = revocation->lists[i];
        if (!list->waiting || revocation->offer_count == REVOCATION_OFFERS_MAX)
            continue;
        struct revocation_offer *offer = calloc(1, sizeof *offer);
        if (!offer)
            return;
        buffer_init(&offer->content, CRL_SIZE_MAX);
        if (buffer_append(&offer->content, list->content.data, list->content.size) < 0) {
            offer_free(offer);
            return;
        }
        memcpy(offer->sha256, list->sha256, SHA256_SIZE);
        memcpy(offer->source, list->source, sizeof offer->source);
        TAILQ_INSERT_TAIL(&revocation->offers, offer, next);
        revocation->offer_count++;
    }
}

struct revocation_offer *revocation_first(const struct revocation *revocation)
{
    return TAILQ_FIRST(&revocation->offers);
}

/* --- decisions -------------------------------------------------------------------------------- */

static struct revocation_list *find(const struct revocation *revocation, const uint8_t *scope)
{
    for (size_t i = 0; i < revocation->count; i++) {
        if (memory_equal(revocation->lists[i]->info.scope, scope, SHA256_SIZE))
            return revocation->lists[i];
    }
    return NULL;
}

static void note_refusal(struct revocation *revocation, const struct revocation_offer *offer,
                         const char *text, int64_t now_s)
{
    size_t kept = revocation->refusal_count < REVOCATION_REFUSALS_MAX ? revocation->refusal_count
                                                                      : REVOCATION_REFUSALS_MAX - 1;
    memmove(&revocation->refusals[1], &revocation->refusals[0],
            kept * sizeof revocation->refusals[0]);
    struct revocation_refusal *refusal = &revocation->refusals[0];
    *refusal = (struct revocation_refusal){.at_s = now_s, .fetched = offer->fetched};
    memcpy(refusal->sha256, offer->sha256, SHA256_SIZE);
    memcpy(refusal->source, offer->source, sizeof refusal->source);
    snprintf(refusal->text, sizeof refusal->text, "%s", text);
    revocation->refusal_count = kept + 1;
}

static enum revocation_decision compare(const struct revocation_list *known,
                                        const struct revocation_offer *offer,
                                        const struct crl_info *info)
{
    if (!known)
        return REVOCATION_TAKEN;
    if (memory_equal(known->sha256, offer->sha256, SHA256_SIZE))
        return known->waiting && info->outcome == CRL_GOOD ? REVOCATION_TAKEN : REVOCATION_KNOWN;
    /* One whose signature nobody has checked never pushes out one that was checked. */
    if (known->waiting && info->outcome == CRL_GOOD)
        return REVOCATION_TAKEN;
    if (!known->waiting && info->outcome != CRL_GOOD)
        return REVOCATION_OLDER;
    return crl_info_compare(info, &known->info) > 0 ? REVOCATION_TAKEN : REVOCATION_OLDER;
}

static size_t size_in_bundle(const struct buffer *content)
{
    return content->size + TRUST_LABEL_MAX + 16; /* the form around it is smaller */
}

/* All that is kept goes to the workers as one bundle: what would make it too large is not kept. */
static const char *why_no_room(const struct revocation *revocation,
                               const struct revocation_list *known,
                               const struct revocation_offer *offer, bool waits)
{
    size_t size = size_in_bundle(&offer->content), waiting_size = size, waiting = 0;
    for (size_t i = 0; i < revocation->count; i++) {
        const struct revocation_list *list = revocation->lists[i];
        if (list == known)
            continue;
        size += size_in_bundle(&list->content);
        if (list->waiting) {
            waiting++;
            waiting_size += size_in_bundle(&list->content);
        }
    }
    if (waits && (waiting >= REVOCATION_WAITING_MAX || waiting_size > REVOCATION_WAITING_SIZE_MAX))
        return "too much waits for certificates of unknown issuers already";
    return size > TRUST_BUNDLE_MAX ? "all lists together would be too large with it" : NULL;
}

static struct revocation_list *make_list(struct revocation *revocation,
                                         struct revocation_list *known)
{
    if (known)
        return known;
    if (revocation->count == REVOCATION_LISTS_MAX)
        return NULL;
    struct revocation_list *list = calloc(1, sizeof *list);
    if (list)
        revocation->lists[revocation->count++] = list;
    return list;
}

int revocation_decide(struct revocation *revocation, const struct crl_info *info, int64_t now_s,
                      struct revocation_list **ret_list, char *ret_text)
{
    struct revocation_offer *offer = TAILQ_FIRST(&revocation->offers);
    struct revocation_list *known = find(revocation, info->scope), *list = NULL;
    enum revocation_decision decision = REVOCATION_REFUSED;
    const char *text = info->text;
    bool usable =
        info->outcome == CRL_GOOD || (info->outcome == CRL_UNKNOWN_ISSUER && !offer->fetched);
    if (usable) {
        decision = compare(known, offer, info);
        text = decision == REVOCATION_OLDER ? "it is older than the list in force" : "";
    }
    *ret_list = NULL;
    if (decision == REVOCATION_TAKEN) {
        const char *no_room =
            why_no_room(revocation, known, offer, info->outcome == CRL_UNKNOWN_ISSUER);
        list = no_room ? NULL : make_list(revocation, known);
        if (!list)
            text = no_room ? no_room : "there are 64 lists in force already";
        decision = list ? decision : REVOCATION_REFUSED;
    }
    snprintf(ret_text, CRL_TEXT_MAX, "%s", text);
    if (list) {
        buffer_done(&list->content);
        list->content = offer->content;
        offer->content = (struct buffer){0};
        list->info = *info;
        list->received_s = now_s;
        list->waiting = info->outcome != CRL_GOOD;
        list->told_state = REVOCATION_FRESH;
        memcpy(list->sha256, offer->sha256, SHA256_SIZE);
        memcpy(list->source, offer->source, sizeof list->source);
        *ret_list = list;
    } else if (decision != REVOCATION_KNOWN) {
        note_refusal(revocation, offer, text, now_s);
    }
    drop_first(revocation);
    return (int)decision;
}

int revocation_bundle(const struct revocation *revocation, int *ret_fd,
                      uint8_t ret_generation[SHA256_SIZE])
{
    _cleanup_buffer_ struct buffer bundle;
    buffer_init(&bundle, TRUST_BUNDLE_MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < revocation->count; i++) {
        const struct revocation_list *list = revocation->lists[i];
        r = trust_bundle_add(&bundle, TRUST_CRL, list->source,
                             bytes_of(list->content.data, list->content.size));
    }
    if (r == 0)
        r = sha256(bundle.data, bundle.size, ret_generation);
    return r < 0 ? r : memfd_of("revocation lists", bundle.data, bundle.size, ret_fd);
}

/* --- freshness -------------------------------------------------------------------------------- */

int64_t revocation_aging_s(const struct crl_info *info)
{
    int64_t quarter_s = info->stale_at_s - (info->stale_at_s - info->issued_s) / 4;
    return info->next_s < quarter_s ? info->next_s : quarter_s;
}

enum revocation_state revocation_state(const struct crl_info *info, int64_t now_s)
{
    if (now_s >= info->stale_at_s)
        return REVOCATION_STALE;
    return now_s >= revocation_aging_s(info) ? REVOCATION_AGING : REVOCATION_FRESH;
}

const char *revocation_state_text(enum revocation_state state)
{
    static const char *const names[] = {"fresh", "aging", "stale"};
    return names[state];
}
