/*
 * File `seals.json`: {"next": …, "seals": […]}, written as a whole. In memory an array by ascending
 * id. Where a write fails, perhaps only in its last step, so that nobody can say which list a
 * restart would find, what one of the two lists seals is sealed.
 */
#include "fs/seals.h"

#include "base/json.h"
#include "base/log.h"
#include "fs/statefile.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SEALS_FILE "seals.json"
enum { SEALS_FILE_MAX = 8 * 1024 * 1024 };

struct seals {
    int state_fd;
    atomic_uint count;     /* of list; most questions end here */
    atomic_bool all;       /* one of list is SEAL_ALL */
    pthread_rwlock_t lock; /* innermost; list, next_id */
    uint64_t next_id;
    struct seal *list;
    int unkept; /* whoever changes: why the file may be another list; 0: it is this one */
};

static const char *const scope_names[SEAL_SCOPE_COUNT] = {"all", "affair", "user", "name"};

const char *seal_scope_name(enum seal_scope scope)
{
    return scope_names[scope];
}

bool seal_scope_parse(const char *text, enum seal_scope *ret_scope)
{
    for (unsigned i = 0; i < SEAL_SCOPE_COUNT; i++) {
        if (strcmp(text, scope_names[i]) == 0) {
            *ret_scope = (enum seal_scope)i;
            return true;
        }
    }
    return false;
}

/* --- the file --------------------------------------------------------------------------------- */

static struct json *seal_object(const struct seal *seal)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_integer(object, "id", (int64_t)seal->id) < 0 ||
        json_set_text(object, "scope", seal_scope_name(seal->scope)) < 0 ||
        json_set_text(object, "subject", seal->subject) < 0 ||
        json_set_integer(object, "uid", seal->uid) < 0 ||
        json_set_integer(object, "since", seal->since_s) < 0 ||
        json_set_integer(object, "by", seal->by) < 0 ||
        json_set_text(object, "reason", seal->reason) < 0)
        return NULL;
    return steal_ptr(&object);
}

static bool copy_text(const struct json *object, const char *key, char *out, size_t size)
{
    const char *text = json_get_text(object, key);
    if (!text || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool seal_read(const struct json *object, struct seal *seal)
{
    const char *scope = json_get_text(object, "scope");
    int64_t id, uid, by;
    *seal = (struct seal){0};
    if (!scope || !seal_scope_parse(scope, &seal->scope) || !json_get_integer(object, "id", &id) ||
        id <= 0 || !json_get_integer(object, "uid", &uid) || uid < 0 || uid > UINT32_MAX ||
        !json_get_integer(object, "by", &by) || by < 0 || by > UINT32_MAX ||
        !json_get_integer(object, "since", &seal->since_s))
        return false;
    seal->id = (uint64_t)id;
    seal->uid = (uid_t)uid;
    seal->by = (uid_t)by;
    return copy_text(object, "subject", seal->subject, sizeof seal->subject) &&
           copy_text(object, "reason", seal->reason, sizeof seal->reason);
}

static int write_list(int state_fd, const struct seal *list, unsigned count, uint64_t next_id)
{
    _cleanup_json_ struct json *file = json_object_new();
    struct json *array = json_array_new();
    if (!file || !array) {
        json_free(array);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        if (json_append(array, seal_object(&list[i])) < 0) {
            json_free(array);
            return -ENOMEM;
        }
    }
    if (json_set(file, "seals", array) < 0 || json_set_integer(file, "next", (int64_t)next_id) < 0)
        return -ENOMEM;
    _cleanup_free_ char *text = json_print_canonical(file);
    return text ? statefile_write(state_fd, SEALS_FILE, bytes_of(text, strlen(text))) : -ENOMEM;
}

static int parse_list(struct seals *seals, const struct json *file)
{
    const struct json *array = json_get(file, "seals");
    size_t count = json_array_count(array);
    int64_t next;
    if (!json_is_array(array) || !json_get_integer(file, "next", &next) || next <= 0 ||
        count > SEALS_MAX)
        return -EBADMSG;
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        struct seal *seal = &seals->list[i];
        if (!seal_read(json_array_at(array, i), seal) || seal->id <= last ||
            seal->id >= (uint64_t)next)
            return -EBADMSG;
        last = seal->id;
    }
    seals->next_id = (uint64_t)next;
    atomic_store(&seals->count, (unsigned)count);
    return 0;
}

static int read_list(struct seals *seals)
{
    _cleanup_buffer_ struct buffer text;
    _cleanup_json_ struct json *file = NULL;
    buffer_init(&text, SEALS_FILE_MAX);
    int error = statefile_read(seals->state_fd, SEALS_FILE, &text);
    if (error == -ENOENT)
        return 0;
    if (error == 0)
        error = json_parse((const char *)text.data, text.size, &file);
    return error < 0 ? error : parse_list(seals, file);
}

/* --- life ------------------------------------------------------------------------------------- */

static void note_all(struct seals *seals)
{
    bool all = false;
    for (unsigned i = 0; i < atomic_load(&seals->count); i++)
        all |= seals->list[i].scope == SEAL_ALL;
    atomic_store(&seals->all, all);
}

int seals_open(int state_fd, struct seals **ret_seals)
{
    static const struct seal unreadable = {
        .scope = SEAL_ALL, .by = 0, .reason = "the list of seals cannot be read"};
    struct seals *seals = calloc(1, sizeof *seals);
    if (!seals)
        return -ENOMEM;
    pthread_rwlock_init(&seals->lock, NULL);
    seals->state_fd = state_fd;
    seals->next_id = 1;
    seals->list = calloc(SEALS_MAX + 1, sizeof *seals->list);
    int error = seals->list ? read_list(seals) : -ENOMEM;
    if (error == -ENOMEM) {
        seals_close(seals);
        return error;
    }
    if (error < 0) {
        log_error("seals.json: %s; everything is sealed", strerror(-error));
        seals->list[0] = unreadable;
        atomic_store(&seals->count, 1);
    }
    note_all(seals);
    *ret_seals = seals;
    return 0;
}

struct seals *seals_close(struct seals *seals)
{
    if (seals) {
        pthread_rwlock_destroy(&seals->lock);
        free(seals->list);
        free(seals);
    }
    return NULL;
}

/* --- changes ---------------------------------------------------------------------------------- */

static bool same_subject(const struct seal *a, const struct seal *b)
{
    return a->scope == b->scope && a->uid == b->uid && strcmp(a->subject, b->subject) == 0;
}

/* The list as it stands. */
static void keep(struct seals *seals)
{
    seals->unkept =
        write_list(seals->state_fd, seals->list, atomic_load(&seals->count), seals->next_id);
}

/* The same seal again, perhaps because it was not kept. */
static int add_again(struct seals *seals, const struct seal *seal, struct seal_added *ret_added)
{
    if (!seals->unkept)
        return -EEXIST;
    keep(seals);
    *ret_added = (struct seal_added){seal->id, seals->unkept};
    return 0;
}

int seals_add(struct seals *seals, const struct seal *seal, int64_t now_s,
              struct seal_added *ret_added)
{
    unsigned count = atomic_load(&seals->count);
    for (unsigned i = 0; i < count; i++)
        if (same_subject(&seals->list[i], seal))
            return add_again(seals, &seals->list[i], ret_added);
    if (count >= SEALS_MAX)
        return -ENOSPC;
    /* The place behind the end is nobody else's. */
    struct seal *added = &seals->list[count];
    *added = *seal;
    added->id = seals->next_id;
    added->since_s = now_s;
    pthread_rwlock_wrlock(&seals->lock);
    seals->next_id++;
    atomic_store(&seals->count, count + 1);
    note_all(seals);
    pthread_rwlock_unlock(&seals->lock);
    keep(seals);
    *ret_added = (struct seal_added){added->id, seals->unkept};
    return 0;
}

int seals_remove(struct seals *seals, uint64_t id)
{
    unsigned count = atomic_load(&seals->count), at = 0;
    while (at < count && seals->list[at].id != id)
        at++;
    if (at == count)
        return -ENOENT;
    _cleanup_free_ struct seal *left = calloc(count, sizeof *left);
    if (!left)
        return -ENOMEM;
    memcpy(left, seals->list, at * sizeof *left);
    memcpy(left + at, seals->list + at + 1, (count - at - 1) * sizeof *left);
    int error = write_list(seals->state_fd, left, count - 1, seals->next_id);
    if (error < 0) {
        keep(seals); /* the file may be without it by now */
        return error;
    }
    seals->unkept = 0;
    pthread_rwlock_wrlock(&seals->lock);
    memcpy(seals->list, left, (count - 1) * sizeof *left);
    atomic_store(&seals->count, count - 1);
    note_all(seals);
    pthread_rwlock_unlock(&seals->lock);
    return 0;
}

bool seals_next(struct seals *seals, int64_t after, struct seal *ret_seal)
{
    bool found = false;
    pthread_rwlock_rdlock(&seals->lock);
    for (unsigned i = 0; i < atomic_load(&seals->count) && !found; i++) {
        found = (int64_t)seals->list[i].id > after;
        if (found)
            *ret_seal = seals->list[i];
    }
    pthread_rwlock_unlock(&seals->lock);
    return found;
}

/* --- questions -------------------------------------------------------------------------------- */

unsigned seals_count(const struct seals *seals)
{
    return atomic_load(&seals->count);
}

bool seals_cover_all(const struct seals *seals)
{
    return atomic_load(&seals->all);
}

bool seals_cover_everyone(struct seals *seals, const struct certname *name)
{
    bool covered = false;
    if (atomic_load(&seals->count) == 0)
        return false;
    pthread_rwlock_rdlock(&seals->lock);
    for (unsigned i = 0; i < atomic_load(&seals->count) && !covered; i++)
        covered =
            seals->list[i].scope == SEAL_ALL ||
            (seals->list[i].scope == SEAL_NAME && strcmp(seals->list[i].subject, name->text) == 0);
    pthread_rwlock_unlock(&seals->lock);
    return covered;
}

static bool covers(const struct seal *seal, uid_t uid, const struct certname *name,
                   const char *affair)
{
    switch (seal->scope) {
    case SEAL_AFFAIR:
        return affair && strcmp(seal->subject, affair) == 0;
    case SEAL_USER:
        return seal->uid == uid;
    case SEAL_NAME:
        return strcmp(seal->subject, name->text) == 0;
    case SEAL_ALL:
    case SEAL_SCOPE_COUNT:
        break;
    }
    return true;
}

bool seals_cover(struct seals *seals, uid_t uid, const struct certname *name, const char *affair)
{
    bool covered = false;
    if (atomic_load(&seals->count) == 0)
        return false;
    pthread_rwlock_rdlock(&seals->lock);
    for (unsigned i = 0; i < atomic_load(&seals->count) && !covered; i++)
        covered = covers(&seals->list[i], uid, name, affair);
    pthread_rwlock_unlock(&seals->lock);
    return covered;
}
