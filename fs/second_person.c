/* See second_person.h. */
#include "fs/second_person.h"

#include "base/json.h"

#include <errno.h>
#include <string.h>

struct waiting {
    uint64_t id; /* 0: free */
    struct caller by;
    int64_t until_ms;
    bool approved; /* waits for `by` himself */
    struct json *request;
};

struct second_person {
    uint64_t next_id;
    struct waiting waiting[SECOND_PERSON_MAX];
};

struct second_person *second_person_new(void)
{
    return calloc(1, sizeof(struct second_person));
}

static void waiting_clear(struct waiting *waiting)
{
    json_free(waiting->request);
    *waiting = (struct waiting){0};
}

struct second_person *second_person_free(struct second_person *second)
{
    for (size_t i = 0; second && i < SECOND_PERSON_MAX; i++)
        waiting_clear(&second->waiting[i]);
    free(second);
    return NULL;
}

static void drop_expired(struct second_person *second, int64_t now_ms)
{
    for (size_t i = 0; i < SECOND_PERSON_MAX; i++)
        if (second->waiting[i].id && second->waiting[i].until_ms <= now_ms)
            waiting_clear(&second->waiting[i]);
}

/* A tree of its own: the original belongs to the peer's request. */
static struct json *copy_of(const struct json *request)
{
    struct json *copy = NULL;
    _cleanup_free_ char *text = json_print(request);
    if (!text || json_parse(text, strlen(text), &copy) < 0)
        return NULL;
    return copy;
}

static int keep(struct second_person *second, const struct caller *by, const struct json *request,
                int64_t now_ms, bool approved, uint64_t *ret_id)
{
    drop_expired(second, now_ms);
    for (size_t i = 0; i < SECOND_PERSON_MAX; i++) {
        struct waiting *waiting = &second->waiting[i];
        if (waiting->id)
            continue;
        struct json *copy = copy_of(request);
        if (!copy)
            return -ENOMEM;
        *waiting = (struct waiting){.id = ++second->next_id,
                                    .by = *by,
                                    .until_ms = now_ms + SECOND_PERSON_WAIT_MS,
                                    .approved = approved,
                                    .request = copy};
        *ret_id = waiting->id;
        return 0;
    }
    return -EBUSY;
}

int second_person_ask(struct second_person *second, const struct caller *by,
                      const struct json *request, int64_t now_ms, uint64_t *ret_id)
{
    return keep(second, by, request, now_ms, false, ret_id);
}

int second_person_approve(struct second_person *second, uid_t by, const struct json *request,
                          int64_t now_ms)
{
    uint64_t id;
    const struct caller caller = {.uid = by};
    return keep(second, &caller, request, now_ms, true, &id);
}

bool second_person_approved(struct second_person *second, uid_t by, const struct json *request,
                            int64_t now_ms)
{
    _cleanup_free_ char *asked = json_print_canonical(request);
    drop_expired(second, now_ms);
    for (size_t i = 0; asked && i < SECOND_PERSON_MAX; i++) {
        struct waiting *waiting = &second->waiting[i];
        if (!waiting->id || !waiting->approved || waiting->by.uid != by)
            continue;
        _cleanup_free_ char *confirmed = json_print_canonical(waiting->request);
        if (confirmed && strcmp(confirmed, asked) == 0) {
            waiting_clear(waiting);
            return true;
        }
    }
    return false;
}

int second_person_take(struct second_person *second, uint64_t id, uid_t by, int64_t now_ms,
                       struct json **ret_request, struct caller *ret_asked_by)
{
    drop_expired(second, now_ms);
    for (size_t i = 0; i < SECOND_PERSON_MAX; i++) {
        struct waiting *waiting = &second->waiting[i];
        if (!id || waiting->id != id || waiting->approved)
            continue;
        if (waiting->by.uid == by)
            return -EPERM;
        *ret_request = steal_ptr(&waiting->request);
        *ret_asked_by = waiting->by;
        waiting_clear(waiting);
        return 0;
    }
    return -ENOENT;
}

static struct json *waiting_object(const struct waiting *waiting, int64_t now_ms)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_integer(object, "id", (int64_t)waiting->id) < 0 ||
        json_set_integer(object, "by", waiting->by.uid) < 0 ||
        json_set_integer(object, "seconds_left", (waiting->until_ms - now_ms) / 1000) < 0 ||
        json_set(object, "request", copy_of(waiting->request)) < 0)
        return NULL;
    return steal_ptr(&object);
}

struct json *second_person_list(struct second_person *second, int64_t now_ms)
{
    _cleanup_json_ struct json *list = json_array_new();
    drop_expired(second, now_ms);
    if (!list)
        return NULL;
    for (size_t i = 0; i < SECOND_PERSON_MAX; i++)
        if (second->waiting[i].id && !second->waiting[i].approved &&
            json_append(list, waiting_object(&second->waiting[i], now_ms)) < 0)
            return NULL;
    return steal_ptr(&list);
}
