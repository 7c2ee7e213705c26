/* See fs/control_keep.h. */
#include "fs/control_keep.h"

#include "base/json.h"
#include "base/log.h"
#include "base/write_all.h"
#include "fs/chores.h"
#include "fs/control_fetch.h"
#include "fs/control_schema.h"
#include "fs/control_work.h"
#include "fs/errno_table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECE_SIZE = 1024 * 1024, DAMAGE_TOLD_MAX = 5000 };

/* --- export ----------------------------------------------------------------------------------- */

struct export
{
    struct chore chore;
    struct control_work work;
    struct cache_entry entry;
    int fd;
};

/* Also while it is being copied. Which affair it is for, nobody said. */
static bool is_sealed(const struct export *export)
{
    const struct mountfs *fs = export->work.fs;
    return seals_cover(fs->seals, export->work.caller.uid, &export->entry.name, NULL);
}

static int copy_out(const struct export *export)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_SIZE);
    _cleanup_sha256_stream_ struct sha256_stream *hash = sha256_stream_new();
    uint8_t digest[SHA256_SIZE];
    int r = piece && hash ? 0 : -ENOMEM;
    for (uint64_t offset = 0; r == 0 && offset < export->entry.size;) {
        size_t got = 0;
        r = is_sealed(export) ? -EPERM
                              : cache_read(export->work.fs->cache, export->entry.inode, offset,
                                           piece, PIECE_SIZE, &got);
        if (r > 0 || (r == 0 && got == 0))
            r = -ESTALE;
        if (r == 0)
            r = sha256_stream_update(hash, piece, got);
        if (r == 0)
            r = write_all(export->fd, piece, got);
        offset += got;
    }
    if (piece)
        wipe(piece, PIECE_SIZE);
    if (r == 0)
        r = sha256_stream_finish(hash, digest);
    if (r == 0 && memcmp(digest, export->entry.sha256, sizeof digest) != 0)
        r = -ESTALE;
    return r == 0 && fsync(export->fd) < 0 ? -errno : r;
}

static struct json *export_reply(const struct export *export, int error)
{
    if (error < 0)
        return control_reply_error("not handed over: %s", strerror(-error));
    _cleanup_json_ struct json *reply = control_reply_ok();
    if (!reply || json_set_text(reply, "state", "handed over") < 0 ||
        json_set_integer(reply, "size", (int64_t) export->entry.size) < 0 ||
        json_set_hex(reply, "sha256", export->entry.sha256, SHA256_SIZE) < 0)
        return NULL;
    return steal_ptr(&reply);
}

static void export_run(struct chore *chore)
{
    struct export *export = (struct export *)chore;
    int error = copy_out(export);
    if (error < 0 && control_work_record(&export->work, AUDIT_EXPORT, export->entry.name.text,
                                         "not finished", -error, NULL, NULL) < 0)
        log_warning("an export that failed could not be recorded");
    control_work_answer(&export->work, export_reply(export, error));
    close(export->fd);
    free(export);
}

/* A regular file of its own: writing cannot wait for somebody, and nothing is overwritten. */
static bool is_new_file(int fd)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    return fd >= 0 && flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &status) == 0 &&
           S_ISREG(status.st_mode) && status.st_size == 0;
}

struct json *control_export(const struct control_call *call, bool *ret_later)
{
    struct json *refusal = NULL;
    struct certname name;
    const char *text = json_get_text(call->request, "name");
    const char *approver = control_approver(call, &refusal);
    if (!approver)
        return refusal;
    if (!text || !certname_parse(text, &name))
        return control_reply_error("not the name of a certificate");
    if (call->asked_by != call->caller->uid)
        return control_keep_confirmed(call);
    if (!is_new_file(call->fds[0]))
        return control_reply_error("an empty file open for writing is needed");
    struct export *export = calloc(1, sizeof *export);
    if (!export)
        return NULL;
    control_work_init(&export->work, call, approver);
    export->chore.run = export_run;
    export->fd = -1;
    struct json *reply = NULL;
    char digest[2 * SHA256_SIZE + 1];
    if (cache_find(call->fs->cache, &name, &export->entry) != 0 ||
        provide_state_of(call->fs->provide, &export->entry) != PROVIDE_READY)
        reply = control_reply_error("it is not stored here, or not valid now: kosekictl why");
    else if (is_sealed(export))
        reply = control_reply_error("an emergency seal is in force: kosekictl seals");
    hex_encode(export->entry.sha256, SHA256_SIZE, digest);
    if (!reply && control_work_record(&export->work, AUDIT_EXPORT, name.text, "export", 0,
                                      "document_sha256", digest) < 0)
        reply = control_reply_error("the audit trail cannot be written");
    if (!reply) {
        export->fd = steal_fd(&call->fds[0]);
        if (chores_start(call->fs->chores, &export->chore) == 0) {
            *ret_later = true;
            return NULL;
        }
        close(export->fd);
        reply = control_reply_error("other long work is under way; try again later");
    }
    free(export);
    return reply;
}

/* --- rotate-key ------------------------------------------------------------------------------- */

struct rotation {
    struct store_task task;
    struct control_work work;
    uint32_t cursor;
    uint64_t counted;
};

static struct json *rotation_reply(const struct rotation *rotation, int error)
{
    if (error < 0)
        return control_reply_error("not finished after %llu keys: %s; the same command goes on",
                                   (unsigned long long)rotation->counted, strerror(-error));
    _cleanup_json_ struct json *reply = control_reply_ok();
    if (!reply || json_set_integer(reply, "rewrapped", (int64_t)rotation->counted) < 0 ||
        json_set_text(reply, "state", "nothing is under an older master key any more") < 0)
        return NULL;
    return steal_ptr(&reply);
}

/* Some slots at a time, so that look-ups and opens have their turn in between. */
static void rotation_run(struct store_task *task, struct cache *cache)
{
    struct rotation *rotation = (struct rotation *)task;
    struct cache_statistics store;
    char counted[24];
    bool done = false;
    int error = cache_rewrap(cache, &rotation->cursor, &rotation->counted, &done);
    if (error == 0 && !done) {
        provide_store_task(rotation->work.fs->provide, task);
        return;
    }
    if (error == 0 && cache_statistics(cache, &store) == 0 && store.mirrors_behind)
        error = -ENOTCONN; /* a copy of the keys still has them under the old master key */
    snprintf(counted, sizeof counted, "%llu", (unsigned long long)rotation->counted);
    if (control_work_record(&rotation->work, AUDIT_KEY, NULL, "rotated", -error, "keys", counted) <
        0)
        log_warning("the end of a key rotation could not be recorded");
    control_work_answer(&rotation->work, rotation_reply(rotation, error));
    free(rotation);
}

struct json *control_rotate_key(const struct control_call *call, bool *ret_later)
{
    struct json *refusal = NULL;
    const char *approver = control_approver(call, &refusal);
    if (!approver)
        return refusal;
    struct rotation *rotation = calloc(1, sizeof *rotation);
    if (!rotation)
        return NULL;
    control_work_init(&rotation->work, call, approver);
    rotation->task.run = rotation_run;
    *ret_later = true;
    provide_store_task(call->fs->provide, &rotation->task);
    return NULL;
}

/* --- fsck ------------------------------------------------------------------------------------- */

struct fsck_lost {
    struct certname name;
    bool hidden; /* not what the name leads to: cache_mend() erases it */
};

struct fsck {
    struct chore chore;
    struct store_task task; /* repairs, on the store thread */
    struct control_work work;
    bool repair, structure;
    bool mended, at_next_start; /* names, spare rows and totals */
    size_t told;
    struct json *damage; /* rows */
    struct fsck_lost *lost;
    size_t lost_count;
    struct cache_checked checked;
};

static const char *damage_text(enum cache_damage what)
{
    static const char *const texts[CACHE_DAMAGE_KINDS] = {
        [CACHE_DAMAGE_ENTRY] = "entry: what is known of it cannot be read",
        [CACHE_DAMAGE_KEY] = "key or header: its content is lost",
        [CACHE_DAMAGE_CONTENT] = "content: it is lost",
        [CACHE_DAMAGE_VERDICT] = "verdict: it must be verified again",
        [CACHE_DAMAGE_NAME] = "name without entry, or entry without name",
        [CACHE_DAMAGE_SPARE] = "rows or slots that nothing names",
        [CACHE_DAMAGE_COUNT] = "totals",
        [CACHE_DAMAGE_TRUST] = "revocation list or signer: read the lists anew",
        [CACHE_DAMAGE_HIDDEN] = "older content that its name does not lead to: --repair erases it",
        [CACHE_DAMAGE_PERIOD] = "key of a month: restore the store if a certificate of it is held",
        [CACHE_DAMAGE_ERASURE] = "unfinished erasure: do not restart, switch or restore",
    };
    return texts[what];
}

static void on_damage(void *context, enum cache_damage what, const struct certname *name)
{
    struct fsck *fsck = context;
    bool lost = name && (what <= CACHE_DAMAGE_VERDICT || what == CACHE_DAMAGE_HIDDEN);
    fsck->structure = fsck->structure || what >= CACHE_DAMAGE_NAME || what == CACHE_DAMAGE_ENTRY;
    if (fsck->told == DAMAGE_TOLD_MAX)
        return;
    fsck->told++;
    if (lost)
        fsck->lost[fsck->lost_count++] =
            (struct fsck_lost){.name = *name, .hidden = what == CACHE_DAMAGE_HIDDEN};
    struct json *row = json_object_new();
    if (row && json_set_text(row, "name", name ? name->text : "-") == 0 &&
        json_set_text(row, "what", damage_text(what)) == 0) {
        if (json_append(fsck->damage, row) < 0)
            log_warning("memory is short: fsck does not tell of all damage");
    } else {
        json_free(row);
    }
}

static bool fsck_stop(void *context)
{
    const struct fsck *fsck = context;
    return atomic_load(fsck->chore.ending);
}

static struct json *fsck_reply(struct fsck *fsck, int error)
{
    if (error < 0)
        return control_reply_error("not finished: %s", strerror(-error));
    _cleanup_json_ struct json *reply = control_reply_ok();
    const struct cache_checked *checked = &fsck->checked;
    if (!reply || json_set_integer(reply, "certificates", (int64_t)checked->certificates) < 0 ||
        json_set_integer(reply, "bytes", (int64_t)checked->bytes) < 0 ||
        json_set_integer(reply, "damages", (int64_t)checked->damages) < 0 ||
        json_set_text(reply, "indexes",
                      !fsck->structure ? "good"
                      : fsck->mended   ? "mended"
                      : fsck->at_next_start
                          ? "are made anew at the next start: systemctl restart kosekifs"
                          : "wrong: kosekictl fsck --repair mends them") < 0 ||
        json_set(reply, "damage", steal_ptr(&fsck->damage)) < 0)
        return NULL;
    return steal_ptr(&reply);
}

static void fsck_end(struct fsck *fsck, int error)
{
    struct mountfs *fs = fsck->work.fs;
    char damages[24];
    snprintf(damages, sizeof damages, "%llu", (unsigned long long)fsck->checked.damages);
    if (control_work_record(&fsck->work, AUDIT_COMMAND, NULL, "fsck ended", -error, "damages",
                            damages) < 0)
        log_warning("the end of an fsck could not be recorded");
    if (error == 0 && fsck->checked.damages > 0)
        alerts_raise(fs->alerts, ALERT_CRITICAL, ALERT_STORE, "fsck",
                     "kosekictl fsck --refetch; check the disk.",
                     "fsck found %s damages in the store", damages);
    control_work_answer(&fsck->work, fsck_reply(fsck, error));
    json_free(fsck->damage);
    free(fsck->lost);
    free(fsck);
}

/* What is damaged is forgotten: it can be fetched again then. */
static int fsck_forget(struct fsck *fsck, struct cache *cache, const struct fsck_lost *lost)
{
    const struct certname *name = &lost->name;
    struct cache_entry entry = {0};
    uint32_t inode;
    if (!lost->hidden && cache_find(cache, name, &entry) == 0 && entry.held)
        return 0; /* what is under hold is not destroyed, however damaged */
    int error = control_work_record(&fsck->work, AUDIT_PURGE, name->text, "damaged", 0, NULL, NULL);
    if (error < 0 || lost->hidden)
        return error < 0 ? error : 0;
    bool found = cache_find_number(cache, name, &inode) == 0;
    error = cache_forget(cache, name);
    if (found)
        mountfs_withdraw(fsck->work.fs, inode);
    /* -EIO: its name is what is damaged, and mended after. */
    return error > 0 || error == -EIO ? 0 : error;
}

static void fsck_repair(struct store_task *task, struct cache *cache)
{
    struct fsck *fsck = (struct fsck *)((char *)task - offsetof(struct fsck, task));
    int error = 0;
    for (size_t i = 0; error == 0 && i < fsck->lost_count; i++)
        error = fsck_forget(fsck, cache, &fsck->lost[i]);
    if (error == 0 && fsck->structure) {
        uint64_t mended = 0;
        error = cache_mend(cache, &mended);
        fsck->mended = error == 0;
        fsck->at_next_start = error == CACHE_PENDING;
        error = error > 0 ? 0 : error;
    }
    fsck_end(fsck, error);
}

static void fsck_run(struct chore *chore)
{
    struct fsck *fsck = (struct fsck *)chore;
    const struct cache_check check = {fsck, on_damage, fsck_stop};
    int error = cache_check(fsck->work.fs->cache, &check, &fsck->checked);
    if (error == 0 && fsck->repair && fsck->checked.damages > 0)
        provide_store_task(fsck->work.fs->provide, &fsck->task);
    else
        fsck_end(fsck, error);
}

struct json *control_fsck(const struct control_call *call, bool *ret_later)
{
    bool repair = false;
    if (json_get(call->request, "repair") && !json_get_bool(call->request, "repair", &repair))
        return control_reply_error("repair is true or false");
    struct fsck *fsck = calloc(1, sizeof *fsck);
    if (!fsck)
        return NULL;
    control_work_init(&fsck->work, call, NULL);
    fsck->chore.run = fsck_run;
    fsck->task.run = fsck_repair;
    fsck->repair = repair;
    fsck->damage = json_array_new();
    fsck->lost = calloc(DAMAGE_TOLD_MAX, sizeof *fsck->lost);
    int error = fsck->damage && fsck->lost ? chores_start(call->fs->chores, &fsck->chore) : -ENOMEM;
    if (error == 0) {
        *ret_later = true;
        return NULL;
    }
    json_free(fsck->damage);
    free(fsck->lost);
    free(fsck);
    return error == -EBUSY ? control_reply_error("other long work is under way; try again later")
                           : NULL;
}
