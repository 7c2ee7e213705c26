/* See fs/list_import.h. */
#include "fs/list_import.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/memfd.h"
#include "fs/control_fetch.h"
#include "fs/control_schema.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct list_import {
    struct mountfs *fs;
    pthread_mutex_t lock;
    struct control *control; /* NULL: none is under way; lock, as all below */
    uint64_t peer;
    uint64_t serial; /* of the import; what news come with */
    int expected;    /* lists in the file; -1: not known yet */
    int heard;
    struct json *rows; /* of those heard of; NULL: memory was short */
};

struct list_import *list_import_new(struct mountfs *fs)
{
    struct list_import *import = calloc(1, sizeof *import);
    if (!import)
        return NULL;
    import->fs = fs;
    pthread_mutex_init(&import->lock, NULL);
    return import;
}

struct list_import *list_import_free(struct list_import *import)
{
    if (import) {
        json_free(import->rows);
        pthread_mutex_destroy(&import->lock);
    }
    free(import);
    return NULL;
}

/* --- the answer ------------------------------------------------------------------------------- */

struct answer {
    struct store_task task;
    struct control *control;
    uint64_t peer;
    struct json *reply;
};

static void answer_run(struct store_task *task, struct cache *cache)
{
    struct answer *answer = (struct answer *)task;
    (void)cache;
    control_answer(answer->control, answer->peer, answer->reply);
    free(answer);
}

/* Behind what was written for these lists. */
static void send_answer(struct mountfs *fs, struct control *control, uint64_t peer,
                        struct json *rows)
{
    struct answer *answer = calloc(1, sizeof *answer);
    struct json *reply = rows ? control_reply_ok() : NULL;
    if (!rows || !reply || json_set(reply, "lists", rows) < 0)
        reply = json_free(reply);
    if (!answer) {
        control_answer(control, peer, reply);
        return;
    }
    *answer =
        (struct answer){.task.run = answer_run, .control = control, .peer = peer, .reply = reply};
    provide_store_task(fs->provide, &answer->task);
}

static void end_if_complete(struct list_import *import)
{
    struct control *control = NULL;
    struct json *rows = NULL;
    pthread_mutex_lock(&import->lock);
    uint64_t peer = import->peer;
    if (import->control && import->heard == import->expected) {
        control = steal_ptr(&import->control);
        rows = steal_ptr(&import->rows);
    }
    pthread_mutex_unlock(&import->lock);
    if (control)
        send_answer(import->fs, control, peer, rows);
}

static const char *state_of(const struct list_news *news)
{
    if (news->decision == REVOCATION_TAKEN)
        return news->info->outcome == CRL_GOOD ? "in force" : "kept";
    return news->decision == REVOCATION_KNOWN ? "in force already" : "refused";
}

static struct json *news_object(const struct list_news *news)
{
    static const char waits[] = "no certificate of its issuer is known yet: it counts when one is";
    const struct crl_info *info = news->info;
    char issued[RFC3339_SIZE] = "", next[RFC3339_SIZE] = "";
    bool kept = news->decision == REVOCATION_TAKEN && info->outcome != CRL_GOOD;
    _cleanup_json_ struct json *object = json_object_new();
    if (info->issued_s)
        rfc3339_format(info->issued_s, issued);
    if (info->next_s)
        rfc3339_format(info->next_s, next);
    if (!object || json_set_text(object, "state", state_of(news)) < 0 ||
        json_set_text(object, "issuer", info->issuer) < 0 ||
        json_set_hex(object, "number", info->number, info->number_size) < 0 ||
        json_set_text(object, "this_update", issued) < 0 ||
        json_set_text(object, "next_update", next) < 0 ||
        json_set_integer(object, "entries", info->entries) < 0 ||
        json_set_text(object, "reason", kept ? waits : news->text) < 0)
        return NULL;
    return steal_ptr(&object);
}

void list_import_hear(struct list_import *import, const struct list_news *news)
{
    struct json *row = news_object(news);
    pthread_mutex_lock(&import->lock);
    bool ours = import->control && import->serial == news->asker;
    if (ours) {
        import->heard++;
        if (!import->rows || json_append(import->rows, steal_ptr(&row)) < 0)
            import->rows = json_free(import->rows);
    }
    pthread_mutex_unlock(&import->lock);
    json_free(row);
    if (ours)
        end_if_complete(import);
}

/* --- the command ------------------------------------------------------------------------------ */

/* Its serial number; 0: another one is under way. */
static uint64_t begin(struct list_import *import, const struct control_call *call)
{
    uint64_t serial = 0;
    pthread_mutex_lock(&import->lock);
    if (!import->control) {
        serial = ++import->serial;
        import->control = call->control;
        import->peer = call->peer;
        import->expected = -1;
        import->heard = 0;
        import->rows = json_array_new();
    }
    pthread_mutex_unlock(&import->lock);
    return serial;
}

/* What it has brought is decided about all the same; nobody hears of it here. */
static void forget(struct list_import *import)
{
    pthread_mutex_lock(&import->lock);
    import->control = NULL;
    import->rows = json_free(import->rows);
    pthread_mutex_unlock(&import->lock);
}

static void expect(struct list_import *import, int count)
{
    pthread_mutex_lock(&import->lock);
    import->expected = count;
    pthread_mutex_unlock(&import->lock);
    end_if_complete(import);
}

static bool name_ok(const char *file)
{
    size_t size = file ? strlen(file) : 0;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)file[i] < ' ' || file[i] == 0x7f)
            return false;
    }
    return size > 0 && size < LIST_IMPORT_FILE_MAX;
}

/* Why the descriptor is not what the request says; NULL if it is. */
static const char *map_content(const struct control_call *call, struct mapping *ret_content)
{
    const char *digest = json_get_text(call->request, "sha256");
    uint8_t wanted[SHA256_SIZE], found[SHA256_SIZE];
    if (!digest || !hex_decode(digest, strlen(digest), wanted, sizeof wanted))
        return "sha256 is needed";
    if (call->fds[0] < 0 || call->fds[1] >= 0)
        return "the lists come as one descriptor";
    int r = mapping_open(call->fds[0], LIST_IMPORT_MAX, ret_content);
    if (r == -EFBIG)
        return "it is larger than 32 MiB";
    if (r < 0)
        return "the descriptor is not a sealed memory file";
    if (ret_content->size == 0)
        return "it is empty";
    if (sha256(ret_content->data, ret_content->size, found) < 0)
        return "memory is short";
    return memory_equal(wanted, found, SHA256_SIZE) ? NULL : "its content is not what sha256 says";
}

struct json *control_crl_import(const struct control_call *call, bool *ret_later)
{
    _cleanup_mapping_ struct mapping content = {0};
    struct list_import *import = call->fs->list_import;
    const char *file = json_get_text(call->request, "file");
    char source[REVOCATION_SOURCE_MAX];
    if (!name_ok(file))
        return control_reply_error("file is needed: a name of fewer than %d bytes",
                                   LIST_IMPORT_FILE_MAX);
    if (call->asked_by != call->caller->uid) /* the file came with his line, not with this one */
        return control_keep_confirmed(call);
    const char *fault = map_content(call, &content);
    if (fault)
        return control_reply_error("%s: %s", file, fault);
    uint64_t serial = begin(import, call);
    if (!serial)
        return control_reply_error("another import is under way");
    snprintf(source, sizeof source, "kosekictl, uid %u: %s", call->caller->uid, file);
    int count = provide_import_lists(call->fs->provide, serial, source,
                                     bytes_of(content.data, content.size));
    if (count < 0) {
        forget(import);
        return control_reply_error("not imported: %s", count == -ENOSPC
                                                           ? "too many lists wait already"
                                                           : strerror(-count));
    }
    expect(import, count);
    *ret_later = true;
    return NULL;
}
