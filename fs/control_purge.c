/* See fs/control_purge.h. */
#include "fs/control_purge.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "fs/control_fetch.h"
#include "fs/control_work.h"
#include "fs/erasures.h"
#include "keys/keys_client.h"

#include <errno.h>
#include <string.h>

enum decision { DECIDED_PURGE, DECIDED_HOLD, DECIDED_RELEASE };

struct deciding {
    struct store_task task;
    enum decision decision;
    struct control_work work;
    size_t count;
    struct certname names[CONTROL_NAMES_MAX];
};

/* sha256: of the content, NULL where there is none. */
static int record(struct deciding *deciding, enum audit_kind kind, const char *name,
                  const char *what, int error, const uint8_t *sha256)
{
    char digest[2 * SHA256_SIZE + 1] = "";
    if (sha256)
        hex_encode(sha256, SHA256_SIZE, digest);
    return control_work_record(&deciding->work, kind, name, what, error,
                               sha256 ? "document_sha256" : NULL, digest);
}

static int sign(void *context, const void *statement, size_t size,
                uint8_t ret_signature[AUDIT_SIGNATURE_SIZE],
                uint8_t ret_public_key[AUDIT_PUBLIC_KEY_SIZE])
{
    return keys_client_sign_checkpoint(context, statement, size, ret_signature, ret_public_key);
}

/* Nothing was done, or not all of it. */
static const char *settle_failed(struct deciding *deciding, const struct cache_entry *entry,
                                 int result)
{
    bool pending = result == CACHE_PENDING;
    int error = pending ? EIO : -result;
    if (record(deciding, AUDIT_PURGE, entry->name.text, pending ? "not finished" : "not done",
               error, NULL) < 0)
        log_warning("a purge that failed could not be recorded");
    alerts_raise(deciding->work.fs->alerts, ALERT_CRITICAL, ALERT_STORE, "purge",
                 pending ? "Look at the disk; it is finished as soon as that is possible."
                         : "Look at the disk, and purge again.",
                 "a purge is not %s: %s", pending ? "finished" : "done", strerror(error));
    return pending        ? "pending: the disk refuses; it is out of sight and goes on by itself"
           : error == EIO ? "not erased: the store is damaged there; kosekictl fsck --repair, then "
                            "purge again"
           : error == ENOSPC
               ? "not erased: the disk of the store is full; make room, then purge again"
               : "not erased: the store cannot be written; look at the disk, then purge again";
}

/* What the operator is told; may name a part that is still to be done. */
static const char *settle(struct deciding *deciding, struct cache *cache,
                          const struct cache_entry *entry, int result)
{
    struct mountfs *fs = deciding->work.fs;
    struct cache_statistics store;
    const struct erasure_note note = {
        .entry = entry,
        .reason = deciding->work.reason,
        .approver = deciding->work.approver,
        .asked_by = deciding->work.asked_by,
        .approved_by = deciding->work.caller.uid,
        .at_s = clock_realtime_s(),
    };
    mountfs_withdraw(fs, entry->inode);
    if (result < 0 || result == CACHE_PENDING)
        return settle_failed(deciding, entry, result);
    result = erasures_add(fs->ledger_fd >= 0 ? fs->ledger_fd : fs->state_fd, sign, fs->keys, &note);
    if (result == -EHOSTDOWN)
        return "erased; its record has no signature, as kosekifs-keys did not answer";
    if (result < 0)
        return "erased; the record of erasures cannot be written (the audit trail has it)";
    if (cache_statistics(cache, &store) == 0 && store.mirrors_behind)
        return "erased here; pending: a copy of the keys on another disk cannot be reached";
    return "erased";
}

static const char *purge(struct deciding *deciding, struct cache *cache,
                         const struct certname *name)
{
    struct cache_entry entry = {.name = *name};
    int found = cache_find(cache, name, &entry);
    if (found == CACHE_MISS)
        return "not known here";
    if (found < 0 && found != -EIO)
        return "the store cannot be read";
    if (found == 0 && entry.held)
        return "refused: under legal hold";
    if (found < 0 && cache_find_number(cache, name, &entry.inode) != 0)
        return "the store cannot be read";
    bool has_content = found == 0 && (entry.state == CACHE_STORED || entry.state == CACHE_WITHHELD);
    if (record(deciding, AUDIT_PURGE, name->text, "purge", 0, has_content ? entry.sha256 : NULL) <
        0)
        return "refused: the audit trail cannot be written";
    return settle(deciding, cache, &entry, cache_forget(cache, name));
}

static const char *hold(struct deciding *deciding, struct cache *cache, const struct certname *name)
{
    bool held = deciding->decision == DECIDED_HOLD;
    const char *what = held ? "hold" : "release";
    struct cache_entry entry;
    if (cache_find(cache, name, &entry) != 0 ||
        (entry.state != CACHE_STORED && entry.state != CACHE_WITHHELD))
        return "not stored here";
    if (record(deciding, AUDIT_COMMAND, name->text, what, 0, entry.sha256) < 0)
        return "refused: the audit trail cannot be written";
    int result = cache_hold(cache, name, held);
    return result == 0 ? (held ? "held" : "released") : "the store cannot be written";
}

static struct json *decide(struct deciding *deciding, struct cache *cache)
{
    _cleanup_json_ struct json *reply = control_reply_ok();
    _cleanup_json_ struct json *results = json_array_new();
    for (size_t i = 0; reply && results && i < deciding->count; i++) {
        const struct certname *name = &deciding->names[i];
        const char *result = deciding->decision == DECIDED_PURGE ? purge(deciding, cache, name)
                                                                 : hold(deciding, cache, name);
        struct json *row = json_object_new();
        if (!row || json_set_text(row, "name", name->text) < 0 ||
            json_set_text(row, "result", result) < 0) {
            json_free(row);
            return NULL;
        }
        if (json_append(results, row) < 0)
            return NULL;
    }
    return reply && json_set(reply, "results", steal_ptr(&results)) == 0 ? steal_ptr(&reply) : NULL;
}

static void run(struct store_task *task, struct cache *cache)
{
    struct deciding *deciding = (struct deciding *)task;
    control_work_answer(&deciding->work, decide(deciding, cache));
    free(deciding);
}

/* All names must be good: nothing is done half because of a slip in the last one. */
static bool take_names(const struct json *request, struct deciding *deciding)
{
    const struct json *names = json_get(request, "names");
    deciding->count = json_array_count(names);
    if (deciding->count == 0 || deciding->count > CONTROL_NAMES_MAX)
        return false;
    for (size_t i = 0; i < deciding->count; i++) {
        const char *text = json_text(json_array_at(names, i));
        if (!text || !certname_parse(text, &deciding->names[i]))
            return false;
    }
    return true;
}

static struct json *start(const struct control_call *call, enum decision decision, bool *ret_later)
{
    struct json *refusal = NULL;
    const char *approver = control_approver(call, &refusal);
    if (!approver)
        return refusal;
    struct deciding *deciding = calloc(1, sizeof *deciding);
    if (!deciding)
        return NULL;
    if (!take_names(call->request, deciding)) {
        free(deciding);
        return control_reply_error("names: 1 to %d names of certificates", CONTROL_NAMES_MAX);
    }
    deciding->task.run = run;
    deciding->decision = decision;
    control_work_init(&deciding->work, call, approver);
    *ret_later = true;
    provide_store_task(call->fs->provide, &deciding->task);
    return NULL;
}

struct json *control_purge(const struct control_call *call, bool *ret_later)
{
    return start(call, DECIDED_PURGE, ret_later);
}

struct json *control_hold(const struct control_call *call, bool *ret_later)
{
    const char *command = json_get_text(call->request, "command");
    bool held = command && strcmp(command, "hold") == 0;
    return start(call, held ? DECIDED_HOLD : DECIDED_RELEASE, ret_later);
}
