/* What is known about trust, for the operator: lists, signers, anchors. */
#include "base/clock.h"
#include "base/json.h"
#include "fs/provide_private.h"

#include <stdio.h>

static int set_time(struct json *object, const char *key, int64_t time_s)
{
    char text[RFC3339_SIZE];
    rfc3339_format(time_s, text);
    return json_set_text(object, key, text);
}

static struct json *list_object(const struct revocation_list *list, int64_t now_s)
{
    _cleanup_json_ struct json *object = json_object_new();
    const struct crl_info *info = &list->info;
    if (!object || json_set_text(object, "issuer", info->issuer) < 0 ||
        json_set_text(object, "state", revocation_state_text(revocation_state(info, now_s))) < 0 ||
        json_set_hex(object, "number", info->number, info->number_size) < 0 ||
        set_time(object, "this_update", info->issued_s) < 0 ||
        set_time(object, "next_update", info->next_s) < 0 ||
        set_time(object, "counts_until", info->stale_at_s) < 0 ||
        json_set_integer(object, "entries", info->entries) < 0 ||
        json_set_bool(object, "issuer_known", !list->waiting) < 0 ||
        json_set_text(object, "source", list->source) < 0 ||
        set_time(object, "received", list->received_s) < 0 ||
        json_set_hex(object, "sha256", list->sha256, SHA256_SIZE) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *refusal_object(const struct revocation_refusal *refusal)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "source", refusal->source) < 0 ||
        json_set_text(object, "reason", refusal->text) < 0 ||
        set_time(object, "at", refusal->at_s) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *fetch_object(const struct list_fetch *fetch)
{
    _cleanup_json_ struct json *object = json_object_new();
    const char *state = fetch->until_ms ? "under way" : fetch->failures ? "failed" : "waiting";
    if (!object || json_set_text(object, "url", fetch->url) < 0 ||
        json_set_text(object, "state", state) < 0 ||
        (fetch->asked_s && set_time(object, "asked", fetch->asked_s) < 0) ||
        (fetch->succeeded_s && set_time(object, "succeeded", fetch->succeeded_s) < 0) ||
        json_set_integer(object, "failures", fetch->failures) < 0 ||
        json_set_text(object, "failure", fetch->text) < 0)
        return NULL;
    return steal_ptr(&object);
}

struct json *provide_lists_json(struct provide *provide)
{
    _cleanup_json_ struct json *object = json_object_new(), *lists = json_array_new(),
                               *refused = json_array_new(), *fetches = json_array_new();
    int64_t now_s = clock_realtime_s();
    const struct revocation *revocation = &provide->trusted.revocation;
    int r = object && lists && refused && fetches ? 0 : -ENOMEM;
    provide_lock(provide);
    for (size_t i = 0; r == 0 && i < revocation->count; i++)
        r = json_append(lists, list_object(revocation->lists[i], now_s));
    for (size_t i = 0; r == 0 && i < revocation->refusal_count; i++)
        r = json_append(refused, refusal_object(&revocation->refusals[i]));
    for (size_t i = 0; r == 0 && i < provide->trusted.fetches.count; i++)
        r = json_append(fetches, fetch_object(&provide->trusted.fetches.list[i]));
    provide_unlock(provide);
    if (r < 0 || json_set(object, "fetches", steal_ptr(&fetches)) < 0 ||
        json_set(object, "lists", steal_ptr(&lists)) < 0 ||
        json_set(object, "refused", steal_ptr(&refused)) < 0)
        return NULL;
    return steal_ptr(&object);
}

struct json *provide_anchors_json(struct provide *provide)
{
    _cleanup_json_ struct json *list = json_array_new();
    int r = list ? 0 : -ENOMEM;
    provide_lock(provide);
    for (size_t i = 0; r == 0 && i < provide->trusted.anchor_count; i++) {
        const struct verify_anchor *anchor = &provide->trusted.anchors[i];
        _cleanup_json_ struct json *object = json_object_new();
        if (!object || json_set_text(object, "subject", anchor->subject) < 0 ||
            set_time(object, "not_before", anchor->not_before_s) < 0 ||
            set_time(object, "not_after", anchor->not_after_s) < 0 ||
            json_set_integer(object, "key_bits", anchor->key_bits) < 0 ||
            json_set_hex(object, "sha256", anchor->sha256, SHA256_SIZE) < 0)
            r = -ENOMEM;
        else
            r = json_append(list, steal_ptr(&object));
    }
    provide_unlock(provide);
    return r < 0 ? NULL : steal_ptr(&list);
}

static const char *outcome_text(enum signer_outcome outcome)
{
    static const char *const names[] = {"good", "revoked for what comes later", "not known now",
                                        "suspended", "revoked"};
    return names[outcome];
}

static void add_signer(void *context, const struct signer_record *record)
{
    struct json **list = context;
    struct signer_judgement judgement;
    int64_t now_s = clock_realtime_s();
    if (!*list)
        return;
    signer_judge(&record->status, now_s, now_s, &judgement);
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "subject", record->status.subject) < 0 ||
        json_set_text(object, "status", outcome_text(judgement.outcome)) < 0 ||
        json_set_text(object, "reason", judgement.text) < 0 ||
        set_time(object, "not_before", record->status.path[0].not_before_s) < 0 ||
        set_time(object, "not_after", record->status.path[0].not_after_s) < 0 ||
        json_set_hex(object, "sha256", record->status.sha256, SHA256_SIZE) < 0 ||
        json_append(*list, steal_ptr(&object)) < 0)
        *list = json_free(*list);
}

struct path_page {
    size_t skip, seen;
    struct json *rows; /* NULL: memory was short */
};

static struct json *hex_text(struct bytes content)
{
    _cleanup_free_ char *text = malloc(2 * content.size + 1);
    if (!text)
        return NULL;
    hex_encode(content.data, content.size, text);
    return json_text_new(text);
}

static struct json *path_object(const struct signer_record *record)
{
    _cleanup_json_ struct json *object = json_object_new(), *path = json_array_new();
    for (unsigned i = 0; path && i < record->certificate_count; i++) {
        if (json_append(path, hex_text(record->certificates[i])) < 0)
            return NULL;
    }
    if (!object || !path || json_set_text(object, "subject", record->status.subject) < 0 ||
        json_set_hex(object, "sha256", record->status.sha256, SHA256_SIZE) < 0 ||
        json_set(object, "path", steal_ptr(&path)) < 0)
        return NULL;
    return steal_ptr(&object);
}

static void add_path(void *context, const struct signer_record *record)
{
    enum { PAGE = 16 }; /* of 112 KB at most in hexadecimal: a reply holds them */
    struct path_page *page = context;
    if (page->seen++ < page->skip || !page->rows || json_array_count(page->rows) == PAGE)
        return;
    if (json_append(page->rows, path_object(record)) < 0)
        page->rows = json_free(page->rows);
}

struct json *provide_paths_json(struct provide *provide, size_t skip, size_t *ret_next)
{
    struct path_page page = {.skip = skip, .rows = json_array_new()};
    signers_walk(provide->trusted.signers, add_path, &page);
    size_t next = skip + json_array_count(page.rows);
    *ret_next = next < page.seen ? next : 0;
    return page.rows;
}

struct json *provide_signers_json(struct provide *provide)
{
    struct json *list = json_array_new();
    signers_walk(provide->trusted.signers, add_signer, &list);
    return list;
}
