/*
 * File `grants`: a first line with the number of grants and the next id, so that a file cut short
 * is noticed, then one JSON object a line. In memory an immutable list, exchanged by the writer.
 */
#include "fs/grants.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/statefile.h"

#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <string.h>

enum {
    GRANTS_FILE_MAX = 8 * 1024 * 1024,
    GRANTS_LINE_MAX = 4096,
    GRANTS_NSS_MAX = 64 * 1024,
};

struct holding {
    struct grant grant;
    _Atomic int64_t checked_ms; /* when name and uid were compared last; 0 = never */
    atomic_bool matches;
};

struct list {
    uint32_t count;
    /* Of the holdings, close together for the search. */
    uid_t uids[GRANTS_MAX];
    uint32_t names[GRANTS_MAX]; /* hashes */
    struct holding holdings[];  /* ascending by id */
};

struct grants {
    int state_fd;
    grants_user_name *user_name;
    void *context;
    atomic_bool asking;      /* somebody asks for a user's name */
    pthread_mutex_t writing; /* the file, next_id; taken before `lock` */
    uint64_t next_id;
    pthread_rwlock_t lock; /* list */
    struct list *list;
};

static int user_name_by_nss(void *context, uid_t uid, char *out, size_t out_size)
{
    (void)context;
    _cleanup_free_ char *buffer = malloc(GRANTS_NSS_MAX);
    struct passwd entry, *found = NULL;
    if (!buffer)
        return -ENOMEM;
    int error = getpwuid_r(uid, &entry, buffer, GRANTS_NSS_MAX, &found);
    if (!found)
        return error ? -error : -ENOENT;
    if (strlen(entry.pw_name) >= out_size)
        return -ENAMETOOLONG;
    memcpy(out, entry.pw_name, strlen(entry.pw_name) + 1);
    return 0;
}

static struct list *list_new(uint32_t capacity)
{
    return calloc(1, sizeof(struct list) + capacity * sizeof(struct holding));
}

static uint32_t hash_of(const struct certname *name)
{
    uint32_t hash = 0x811c9dc5u;
    for (const char *c = name->text; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 0x01000193u;
    return hash;
}

static void list_append(struct list *list, const struct grant *grant)
{
    list->uids[list->count] = grant->uid;
    list->names[list->count] = hash_of(&grant->name);
    list->holdings[list->count++].grant = *grant;
}

static bool copy_text(char *out, size_t size, const char *text)
{
    if (!text || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static int grant_of_json(const struct json *json, struct grant *ret_grant)
{
    struct grant grant = {0};
    const char *name = json_get_text(json, "name");
    int64_t id, uid, given_by;
    if (!name || !certname_parse(name, &grant.name) || !json_get_integer(json, "id", &id) ||
        !json_get_integer(json, "uid", &uid) || !json_get_integer(json, "given_by", &given_by) ||
        !json_get_integer(json, "given_at", &grant.given_at_s) ||
        !json_get_integer(json, "until", &grant.until_s) ||
        !copy_text(grant.user, sizeof grant.user, json_get_text(json, "user")) ||
        !copy_text(grant.reason, sizeof grant.reason, json_get_text(json, "reason")))
        return -EBADMSG;
    if (id <= 0 || uid < 0 || uid >= UINT32_MAX || given_by < 0 || given_by > UINT32_MAX)
        return -EBADMSG;
    grant.id = (uint64_t)id;
    grant.uid = (uid_t)uid;
    grant.given_by = (uid_t)given_by;
    *ret_grant = grant;
    return 0;
}

static struct json *json_of_grant(const struct grant *grant)
{
    _cleanup_json_ struct json *json = json_object_new();
    if (!json || json_set_integer(json, "id", (int64_t)grant->id) < 0 ||
        json_set_text(json, "name", grant->name.text) < 0 ||
        json_set_text(json, "user", grant->user) < 0 ||
        json_set_integer(json, "uid", grant->uid) < 0 ||
        json_set_integer(json, "given_at", grant->given_at_s) < 0 ||
        json_set_integer(json, "given_by", grant->given_by) < 0 ||
        json_set_integer(json, "until", grant->until_s) < 0 ||
        json_set_text(json, "reason", grant->reason) < 0)
        return NULL;
    return steal_ptr(&json);
}

/* The next line of the file as an object. -EBADMSG also at its end. */
static int next_line(struct bytes *text, struct json **ret_json)
{
    const uint8_t *feed = text->size ? memchr(text->data, '\n', text->size) : NULL;
    size_t size = feed ? (size_t)(feed - text->data) : 0;
    if (!feed || size > GRANTS_LINE_MAX)
        return -EBADMSG;
    int r = json_parse((const char *)text->data, size, ret_json);
    if (r == 0)
        *text = bytes_of(feed + 1, text->size - size - 1);
    return r;
}

static int load_list(struct bytes text, uint64_t *ret_next_id, struct list **ret_list)
{
    _cleanup_json_ struct json *head = NULL;
    int64_t count, next_id;
    int r = next_line(&text, &head);
    if (r < 0)
        return r;
    if (!json_get_integer(head, "grants", &count) || !json_get_integer(head, "next_id", &next_id) ||
        count < 0 || count > GRANTS_MAX || next_id <= 0)
        return -EBADMSG;
    _cleanup_free_ struct list *list = list_new((uint32_t)count);
    if (!list)
        return -ENOMEM;
    uint64_t last = 0;
    for (int64_t i = 0; i < count; i++) {
        _cleanup_json_ struct json *line = NULL;
        struct grant grant;
        r = next_line(&text, &line);
        if (r == 0)
            r = grant_of_json(line, &grant);
        if (r < 0)
            return r;
        if (grant.id <= last || grant.id >= (uint64_t)next_id)
            return -EBADMSG;
        last = grant.id;
        list_append(list, &grant);
    }
    if (text.size > 0)
        return -EBADMSG;
    *ret_next_id = (uint64_t)next_id;
    *ret_list = steal_ptr(&list);
    return 0;
}

static int append_line(struct buffer *out, const struct json *json)
{
    _cleanup_free_ char *line = json ? json_print(json) : NULL;
    if (!line)
        return -ENOMEM;
    int r = buffer_append(out, line, strlen(line));
    return r < 0 ? r : buffer_append_u8(out, '\n');
}

static int store_list(struct grants *grants, const struct list *list, uint64_t next_id)
{
    _cleanup_buffer_ struct buffer out;
    buffer_init(&out, GRANTS_FILE_MAX);
    _cleanup_json_ struct json *head = json_object_new();
    if (!head || json_set_integer(head, "grants", list->count) < 0 ||
        json_set_integer(head, "next_id", (int64_t)next_id) < 0)
        return -ENOMEM;
    int r = append_line(&out, head);
    for (uint32_t i = 0; r == 0 && i < list->count; i++) {
        _cleanup_json_ struct json *json = json_of_grant(&list->holdings[i].grant);
        r = append_line(&out, json);
    }
    if (r < 0)
        return r;
    return statefile_write(grants->state_fd, "grants", bytes_of(out.data, out.size));
}

static int load(struct grants *grants)
{
    _cleanup_buffer_ struct buffer text;
    buffer_init(&text, GRANTS_FILE_MAX);
    int r = statefile_read(grants->state_fd, "grants", &text);
    if (r == -ENOENT) {
        grants->next_id = 1;
        grants->list = list_new(0);
        return grants->list ? 0 : -ENOMEM;
    }
    if (r == -EMSGSIZE)
        return -EBADMSG;
    return r < 0 ? r : load_list(bytes_of(text.data, text.size), &grants->next_id, &grants->list);
}

int grants_open(int state_fd, grants_user_name *user_name, void *context,
                struct grants **ret_grants)
{
    struct grants *grants = calloc(1, sizeof *grants);
    if (!grants)
        return -ENOMEM;
    grants->state_fd = state_fd;
    grants->user_name = user_name ? user_name : user_name_by_nss;
    grants->context = context;
    pthread_mutex_init(&grants->writing, NULL);
    pthread_rwlock_init(&grants->lock, NULL);
    int r = load(grants);
    if (r < 0) {
        grants_close(grants);
        return r;
    }
    *ret_grants = grants;
    return 0;
}

struct grants *grants_close(struct grants *grants)
{
    if (!grants)
        return NULL;
    free(grants->list);
    pthread_rwlock_destroy(&grants->lock);
    pthread_mutex_destroy(&grants->writing);
    free(grants);
    return NULL;
}

/* Writes the new list to the disk, then lets look-ups see it. Takes the list if it succeeds. */
static int exchange(struct grants *grants, struct list **list, uint64_t next_id)
{
    int r = store_list(grants, *list, next_id);
    if (r < 0) {
        /* The file may be the new one by now; what was said to have failed must not come with the
         * next start. Where this fails as well, the disk's trouble is the operator's already. */
        (void)!store_list(grants, grants->list, grants->next_id);
        return r;
    }
    grants->next_id = next_id;
    pthread_rwlock_wrlock(&grants->lock);
    struct list *old = grants->list;
    grants->list = steal_ptr(list);
    pthread_rwlock_unlock(&grants->lock);
    free(old);
    return 0;
}

static bool same_holder(const struct grant *grant, uid_t uid, const struct certname *name)
{
    return grant->uid == uid && strcmp(grant->name.text, name->text) == 0;
}

/* The list without the holder's grant; *ret_found says whether there was one. */
static struct list *list_without(const struct list *old, uid_t uid, const struct certname *name,
                                 bool *ret_found)
{
    struct list *list = list_new(old->count + 1);
    *ret_found = false;
    for (uint32_t i = 0; list && i < old->count; i++) {
        if (same_holder(&old->holdings[i].grant, uid, name))
            *ret_found = true;
        else
            list_append(list, &old->holdings[i].grant);
    }
    return list;
}

/* What would not be read back as it is must not get into the file: text that is not UTF-8. */
static int check_readable(const struct grant *grant)
{
    struct grant trial = *grant, back;
    trial.id = 1;
    _cleanup_json_ struct json *json = json_of_grant(&trial);
    _cleanup_free_ char *line = json ? json_print(json) : NULL;
    _cleanup_json_ struct json *parsed = NULL;
    if (!line)
        return -ENOMEM;
    if (json_parse(line, strlen(line), &parsed) < 0 || grant_of_json(parsed, &back) < 0 ||
        strcmp(back.reason, grant->reason) != 0 || strcmp(back.user, grant->user) != 0)
        return -EINVAL;
    return 0;
}

int grants_add(struct grants *grants, const struct grant *grant, uint64_t *ret_id)
{
    char user[GRANT_USER_SIZE];
    if (!certname_valid(&grant->name) ||
        grants->user_name(grants->context, grant->uid, user, sizeof user) < 0 ||
        strcmp(user, grant->user) != 0)
        return -EINVAL;
    int r = check_readable(grant);
    if (r < 0)
        return r;

    pthread_mutex_lock(&grants->writing);
    bool found;
    _cleanup_free_ struct list *list = list_without(grants->list, grant->uid, &grant->name, &found);
    r = !list ? -ENOMEM : list->count == GRANTS_MAX ? -ENOSPC : 0;
    uint64_t id = grants->next_id;
    if (r == 0) {
        struct grant added = *grant;
        added.id = id;
        list_append(list, &added);
        r = exchange(grants, &list, id + 1);
    }
    pthread_mutex_unlock(&grants->writing);
    if (r == 0)
        *ret_id = id;
    return r;
}

int grants_revoke(struct grants *grants, uid_t uid, const struct certname *name)
{
    pthread_mutex_lock(&grants->writing);
    bool found;
    _cleanup_free_ struct list *list = list_without(grants->list, uid, name, &found);
    int r = !list ? -ENOMEM : !found ? -ENOENT : exchange(grants, &list, grants->next_id);
    pthread_mutex_unlock(&grants->writing);
    return r;
}

/*
 * Asking can take long (a directory service that does not answer). One caller at a time asks again;
 * the others go on with the last answer for a while. Who has none yet has to ask.
 */
static bool still_matches(struct grants *grants, struct holding *holding)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t checked_ms = atomic_load(&holding->checked_ms);
    int64_t age_ms = checked_ms ? now_ms - checked_ms : INT64_MAX;
    if (age_ms < GRANTS_USER_TTL_MS)
        return atomic_load(&holding->matches);
    bool alone = !atomic_exchange(&grants->asking, true);
    if (!alone && age_ms < GRANTS_USER_STALE_MS)
        return atomic_load(&holding->matches);

    char user[GRANT_USER_SIZE];
    int r = grants->user_name(grants->context, holding->grant.uid, user, sizeof user);
    bool matches = r == 0 && strcmp(user, holding->grant.user) == 0;
    atomic_store(&holding->matches, matches);
    atomic_store(&holding->checked_ms, clock_monotonic_ms());
    if (alone)
        atomic_store(&grants->asking, false);
    return matches;
}

/* A NULL name stands for any. */
static bool in_force(struct grants *grants, struct holding *holding, const struct certname *name,
                     int64_t now_s)
{
    const struct grant *grant = &holding->grant;
    return (!name || strcmp(grant->name.text, name->text) == 0) &&
           (grant->until_s == 0 || now_s < grant->until_s) && still_matches(grants, holding);
}

bool grants_find(struct grants *grants, uid_t uid, const struct certname *name, int64_t now_s,
                 struct grant *ret_grant)
{
    bool found = false;
    pthread_rwlock_rdlock(&grants->lock);
    struct list *list = grants->list;
    for (uint32_t i = 0; !found && i < list->count; i++) {
        if (list->uids[i] == uid && in_force(grants, &list->holdings[i], name, now_s)) {
            *ret_grant = list->holdings[i].grant;
            found = true;
        }
    }
    pthread_rwlock_unlock(&grants->lock);
    return found;
}

size_t grants_names(struct grants *grants, uid_t uid, int64_t now_s, struct certname *ret_names,
                    size_t most)
{
    size_t count = 0;
    pthread_rwlock_rdlock(&grants->lock);
    struct list *list = grants->list;
    for (uint32_t i = 0; count < most && i < list->count; i++) {
        if (list->uids[i] == uid && in_force(grants, &list->holdings[i], NULL, now_s))
            ret_names[count++] = list->holdings[i].grant.name;
    }
    pthread_rwlock_unlock(&grants->lock);
    return count;
}

size_t grants_users(struct grants *grants, const struct certname *name, int64_t now_s,
                    uid_t *ret_uids, size_t most)
{
    size_t count = 0;
    pthread_rwlock_rdlock(&grants->lock);
    struct list *list = grants->list;
    uint32_t hash = list->count ? hash_of(name) : 0;
    for (uint32_t i = 0; count < most && i < list->count; i++) {
        if (list->names[i] == hash && in_force(grants, &list->holdings[i], name, now_s))
            ret_uids[count++] = list->uids[i];
    }
    pthread_rwlock_unlock(&grants->lock);
    return count;
}

/* The first holding with an id beyond `after`; ids ascend. */
static uint32_t first_after(const struct list *list, uint64_t after)
{
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->holdings[middle].grant.id <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool grants_next(struct grants *grants, uint64_t after, struct grant *ret_grant, bool *ret_void)
{
    pthread_rwlock_rdlock(&grants->lock);
    struct list *list = grants->list;
    uint32_t place = first_after(list, after);
    bool found = place < list->count;
    if (found) {
        *ret_grant = list->holdings[place].grant;
        *ret_void = !still_matches(grants, &list->holdings[place]);
    }
    pthread_rwlock_unlock(&grants->lock);
    return found;
}
