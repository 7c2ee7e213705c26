#include "tools/audit_select.h"

#include "base/clock.h"
#include "base/json.h"
#include "fs/audit_record.h"
#include "fs/audit_verify.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sysexits.h>

struct audit_selection audit_select_all(void)
{
    return (struct audit_selection){.uid = -1, .since_s = INT64_MIN, .until_s = INT64_MAX};
}

int audit_select_who(struct audit_selection *selection, const char *user)
{
    const struct passwd *entry = getpwnam(user);
    char *end;
    if (entry) {
        selection->uid = entry->pw_uid;
        return 0;
    }
    errno = 0;
    selection->uid = strtoll(user, &end, 10);
    if (*user && !*end && errno == 0 && selection->uid >= 0)
        return 0;
    fprintf(stderr, "kosekictl: --who %s: no such user; a number may be given\n", user);
    return EX_USAGE;
}

int audit_select_kind(struct audit_selection *selection, const char *kind)
{
    for (int i = 0; i < AUDIT_KIND_COUNT; i++) {
        if (strcmp(kind, audit_kind_name((enum audit_kind)i)) == 0) {
            selection->kind = kind;
            return 0;
        }
    }
    fprintf(stderr, "kosekictl: --kind is one of");
    for (int i = 0; i < AUDIT_KIND_COUNT; i++)
        fprintf(stderr, " %s", audit_kind_name((enum audit_kind)i));
    fputc('\n', stderr);
    return EX_USAGE;
}

int audit_select_result(struct audit_selection *selection, const char *result)
{
    for (int i = 0; i < AUDIT_RESULT_COUNT; i++) {
        if (strcmp(result, audit_result_name((enum audit_result)i)) == 0) {
            selection->result = result;
            return 0;
        }
    }
    fprintf(stderr, "kosekictl: --result is ok, denied or failed\n");
    return EX_USAGE;
}

int audit_select_time(const char *text, int64_t *ret_seconds)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char whole[32], *end;
    if (rfc3339_parse(text, ret_seconds))
        return 0;
    snprintf(whole, sizeof whole, "%.10sT00:00:00Z", text);
    if (strlen(text) == 10 && rfc3339_parse(whole, ret_seconds))
        return 0;
    errno = 0;
    long span = strtol(text, &end, 10);
    for (size_t i = 0; i < 4 && errno == 0 && span > 0 && span < 100000000; i++) {
        if (end[0] == units[i].unit && end[1] == '\0') {
            *ret_seconds = clock_realtime_s() - span * units[i].seconds;
            return 0;
        }
    }
    fprintf(stderr, "kosekictl: %s: a time is 2026-04-01, 2026-04-01T09:00:00+09:00 or 2h\n", text);
    return EX_USAGE;
}

/* A record as it was read. */
struct record {
    const char *line; /* with line feed */
    size_t size;
    uint8_t hash[SHA256_SIZE];
    int64_t time_s;
};

/* Of every line that is a record. An exit status other than 0 ends it. */
typedef int take_record(void *context, const struct record *record, const struct json *event);

static int64_t time_of(const struct json *event)
{
    /* The trail has nanoseconds; for a selection seconds are enough. */
    const char *text = json_get_text(event, "time");
    char seconds[RFC3339_SIZE];
    int64_t time_s = 0;
    if (text && strlen(text) >= 19) {
        snprintf(seconds, sizeof seconds, "%.19sZ", text);
        (void)rfc3339_parse(seconds, &time_s);
    }
    return time_s;
}

static int read_line(const char *path, unsigned line_number, const char *line, size_t size,
                     take_record *take, void *context)
{
    struct record record = {.line = line, .size = size};
    struct bytes event;
    _cleanup_json_ struct json *json = NULL;
    if (line_number == 1 && strncmp(line, AUDIT_EXPORT_HEAD, sizeof AUDIT_EXPORT_HEAD - 1) == 0)
        return 0;
    if (size == 0 || line[size - 1] != '\n' ||
        audit_record_split(bytes_of(line, size - 1), &event, record.hash) < 0 ||
        json_parse((const char *)event.data, event.size, &json) < 0) {
        fprintf(stderr, "kosekictl: %s:%u: this is no record; see kosekictl audit verify\n", path,
                line_number);
        return 0;
    }
    record.time_s = time_of(json);
    return take(context, &record, json);
}

static int read_records(const struct trail_files *files, take_record *take, void *context)
{
    for (size_t i = 0; i < files->count; i++) {
        _cleanup_fclose_ FILE *in = fopen(files->paths[i], "re");
        if (!in) {
            fprintf(stderr, "kosekictl: %s: %s\n", files->paths[i], strerror(errno));
            return EX_NOINPUT;
        }
        char line[AUDIT_LINE_MAX + 2];
        for (unsigned number = 1; fgets(line, sizeof line, in); number++) {
            int status = read_line(files->paths[i], number, line, strlen(line), take, context);
            if (status != 0)
                return status;
        }
    }
    return 0;
}

static bool text_is(const struct json *event, const char *key, const char *wanted)
{
    const char *text = json_get_text(event, key);
    return !wanted || (text && strcmp(text, wanted) == 0);
}

static bool selected(const struct audit_selection *selection, const struct record *record,
                     const struct json *event)
{
    int64_t uid;
    if (selection->uid >= 0 && (!json_get_integer(event, "uid", &uid) || uid != selection->uid))
        return false;
    return text_is(event, "name", selection->name) && text_is(event, "kind", selection->kind) &&
           text_is(event, "result", selection->result) && record->time_s >= selection->since_s &&
           record->time_s <= selection->until_s;
}

struct walking {
    const struct audit_selection *selection;
    audit_select_take *take;
    void *context;
};

static int walk_record(void *context, const struct record *record, const struct json *event)
{
    const struct walking *walking = context;
    if (!selected(walking->selection, record, event))
        return 0;
    return walking->take(walking->context, record->time_s, event);
}

int audit_select_walk(const struct trail_files *files, const struct audit_selection *selection,
                      audit_select_take *take, void *context)
{
    struct walking walking = {selection, take, context};
    return read_records(files, walk_record, &walking);
}

/* Texts come from programs and files of others: nothing that a terminal would obey. */
static void print_text(FILE *out, const char *before, const char *text)
{
    if (!text)
        return;
    fputs(before, out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool c1 = *c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0; /* control characters as UTF-8 */
        if (c1)
            c++;
        fputc(c1 || *c < 0x20 || *c == 0x7f ? '?' : *c, out);
    }
}

static void print_who(FILE *out, const struct json *event)
{
    int64_t uid;
    if (!json_get_integer(event, "uid", &uid))
        return;
    fprintf(out, " uid %lld", (long long)uid);
    print_text(out, " as ", json_get_text(event, "role"));
    print_text(out, " program ", json_get_text(event, "unverified_comm"));
}

struct showing {
    const struct audit_selection *selection;
    FILE *out;
    bool json;
};

static int show_record(void *context, const struct record *record, const struct json *event)
{
    const struct showing *showing = context;
    FILE *out = showing->out;
    int64_t sequence = 0, error;
    if (!selected(showing->selection, record, event))
        return 0;
    if (showing->json) {
        fwrite(record->line, 1, record->size, out);
        return 0;
    }
    (void)json_get_integer(event, "seq", &sequence);
    char time[RFC3339_SIZE];
    rfc3339_format(record->time_s, time);
    fprintf(out, "%s %lld", time, (long long)sequence);
    print_text(out, " ", json_get_text(event, "kind"));
    print_text(out, " ", json_get_text(event, "result"));
    print_text(out, " ", json_get_text(event, "name"));
    print_who(out, event);
    print_text(out, " affair ", json_get_text(event, "affair"));
    print_text(out, " reason ", json_get_text(event, "reason"));
    if (json_get_integer(event, "error", &error))
        fprintf(out, " error %lld", (long long)error);
    print_text(out, ": ", json_get_text(event, "text"));
    const struct json *detail = json_get(event, "detail"), *value;
    const char *key;
    void *cursor = NULL;
    while (detail && json_next(detail, &cursor, &key, &value)) {
        print_text(out, " ", key);
        print_text(out, "=", json_text(value));
    }
    fputc('\n', out);
    return 0;
}

int audit_select_show(const struct trail_files *files, const struct audit_selection *selection,
                      bool json, FILE *out)
{
    struct showing showing = {.selection = selection, .out = out, .json = json};
    int status = read_records(files, show_record, &showing);
    if (status == 0 && (fflush(out) != 0 || ferror(out)))
        return EX_CANTCREAT;
    return status;
}

struct exporting {
    const struct audit_selection *selection;
    FILE *out;
    bool begun, ended;
    uint64_t records;
    uint8_t hash[SHA256_SIZE]; /* of the record before */
    bool hash_known;
};

/* The hash that the record builds upon: of the record before, or what a file's first record says.
 */
static bool hash_before(const struct exporting *exporting, const struct json *event,
                        char out[2 * SHA256_SIZE + 1])
{
    const struct json *detail = json_get(event, "detail");
    const char *previous = detail ? json_get_text(detail, AUDIT_DETAIL_PREVIOUS) : NULL;
    if (exporting->hash_known)
        hex_encode(exporting->hash, SHA256_SIZE, out);
    else if (previous && strlen(previous) == 2 * SHA256_SIZE)
        memcpy(out, previous, 2 * SHA256_SIZE + 1);
    else
        return false;
    return true;
}

static int export_record(void *context, const struct record *record, const struct json *event)
{
    struct exporting *exporting = context;
    char previous[2 * SHA256_SIZE + 1];
    if (!exporting->begun && record->time_s >= exporting->selection->since_s) {
        if (!hash_before(exporting, event, previous)) {
            fprintf(stderr, "kosekictl: the first file does not begin with its first line\n");
            return EX_DATAERR;
        }
        fprintf(exporting->out, AUDIT_EXPORT_HEAD "%s\"}\n", previous);
        exporting->begun = true;
    }
    if (exporting->begun && record->time_s > exporting->selection->until_s)
        exporting->ended = true;
    if (exporting->begun && !exporting->ended) {
        fwrite(record->line, 1, record->size, exporting->out);
        exporting->records++;
    }
    memcpy(exporting->hash, record->hash, SHA256_SIZE);
    exporting->hash_known = true;
    return 0;
}

int audit_select_export(const struct trail_files *files, const struct audit_selection *selection,
                        const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out) {
        fprintf(stderr, "kosekictl: %s: %s\n", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return EX_CANTCREAT;
    }
    struct exporting exporting = {.selection = selection, .out = out};
    int status = read_records(files, export_record, &exporting);
    bool failed = fflush(out) != 0 || ferror(out) || fsync(fd) < 0;
    failed |= fclose(out) != 0;
    if (failed) {
        fprintf(stderr, "kosekictl: %s: cannot be written\n", path);
        return EX_CANTCREAT;
    }
    if (status == 0)
        printf("%llu records\n", (unsigned long long)exporting.records);
    return status;
}
