/* See incident_file.h. A line is {"action": …, "at": …, "by": …, …, "previous": "<64 digits>"}. */
#include "tools/incident_file.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { NAME_SIZE = sizeof "incident-0001.jsonl", CLOSED = 1 };

struct incident {
    int fd;
    char path[4096];
    uint8_t last[SHA256_SIZE]; /* digest of the last line; zeros before the first */
    off_t end; /* behind the last whole line; what a crash left behind it does not count */
    struct json *object;
    struct json *fields, *notes; /* members of it */
};

static void incident_done(struct incident *incident)
{
    cleanup_close(&incident->fd);
    json_free(incident->object);
}

static int complain(const char *path, const char *text, int status)
{
    fprintf(stderr, "kosekictl: %s: %s\n", path, text);
    return status;
}

bool incident_is_field(const char *name)
{
#define NAME(field, japanese, english) field,
    static const char *const names[] = {INCIDENT_FIELDS(NAME)};
#undef NAME
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* --- lines ------------------------------------------------------------------------------------ */

static int line_of(const struct json *action, const uint8_t previous[SHA256_SIZE], char **ret_line)
{
    struct json *copy = NULL;
    _cleanup_free_ char *text = json_print(action);
    if (!text || json_parse(text, strlen(text), &copy) < 0)
        return -ENOMEM;
    int error = json_set_hex(copy, "previous", previous, SHA256_SIZE);
    _cleanup_free_ char *line = error < 0 ? NULL : json_print_canonical(copy);
    json_free(copy);
    if (!line)
        return -ENOMEM;
    if (strlen(line) >= INCIDENT_LINE_MAX)
        return -EMSGSIZE;
    *ret_line = steal_ptr(&line);
    return 0;
}

static int write_line(struct incident *incident, const struct json *action,
                      uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_free_ char *line = NULL;
    int error = line_of(action, incident->last, &line);
    if (error == 0)
        error = sha256(line, strlen(line), ret_digest);
    if (error < 0)
        return complain(incident->path, strerror(-error), EX_DATAERR);
    size_t size = strlen(line);
    line[size] = '\n'; /* the terminating zero is not needed any more */
    if (ftruncate(incident->fd, incident->end) < 0)
        return complain(incident->path, strerror(errno), EX_IOERR);
    ssize_t put = write(incident->fd, line, size + 1);
    if (put == (ssize_t)size + 1 && fsync(incident->fd) == 0)
        return 0;
    error = put < 0 ? errno : ENOSPC;
    if (ftruncate(incident->fd, incident->end) < 0)
        error = errno;
    return complain(incident->path, strerror(error), EX_IOERR);
}

static int copy_member(const struct json *from, const char *key, struct json *to)
{
    const struct json *value = json_get(from, key);
    struct json *copy = NULL;
    _cleanup_free_ char *text = value ? json_print(value) : NULL;
    if (!value)
        return 0;
    if (!text)
        return -ENOMEM;
    if (json_text(value))
        return json_set_text(to, key, json_text(value));
    int64_t number;
    if (json_as_integer(value, &number))
        return json_set_integer(to, key, number);
    if (json_parse(text, strlen(text), &copy) < 0)
        return -EBADMSG;
    return json_set(to, key, copy);
}

static int take_open(struct incident *incident, const struct json *line)
{
    static const char *const keys[] = {"kind", "title", "since", "until", "users", "names"};
    int64_t at = 0;
    int error = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && error == 0; i++)
        error = copy_member(line, keys[i], incident->object);
    if (error == 0 && (!json_get_text(line, "by") || !json_get_integer(line, "at", &at)))
        return -EBADMSG;
    if (error == 0 && (json_set_integer(incident->object, "opened_at", at) < 0 ||
                       json_set_text(incident->object, "opened_by", json_get_text(line, "by")) < 0))
        error = -ENOMEM;
    return error;
}

static int take_note(struct incident *incident, const struct json *line)
{
    struct json *note = json_object_new();
    if (!note || copy_member(line, "at", note) < 0 || copy_member(line, "by", note) < 0 ||
        copy_member(line, "text", note) < 0) {
        json_free(note);
        return -ENOMEM;
    }
    return json_append(incident->notes, note);
}

static int take_line(struct incident *incident, const struct json *line, bool first)
{
    const char *action = json_get_text(line, "action");
    const char *field = json_get_text(line, "field"), *text = json_get_text(line, "text");
    int64_t at;
    if (!action || first != (strcmp(action, "open") == 0))
        return -EBADMSG;
    if (first)
        return take_open(incident, line);
    if (strcmp(action, "note") == 0 && text)
        return take_note(incident, line);
    if (strcmp(action, "set") == 0 && text && field && incident_is_field(field))
        return json_set_text(incident->fields, field, text);
    if (strcmp(action, "close") == 0 && json_get_integer(line, "at", &at))
        return json_set_integer(incident->object, "closed_at", at);
    return -EBADMSG;
}

static int read_line(struct incident *incident, const char *text, bool first)
{
    char previous[2 * SHA256_SIZE + 1];
    _cleanup_json_ struct json *line = NULL;
    size_t size = strlen(text);
    if (size == 0 || text[size - 1] != '\n' || json_parse(text, size - 1, &line) < 0)
        return -EBADMSG;
    const char *told = json_get_text(line, "previous");
    hex_encode(incident->last, SHA256_SIZE, previous);
    if (!told || strcmp(told, previous) != 0)
        return -EBADMSG;
    int error = take_line(incident, line, first);
    return error < 0 ? error : sha256(text, size - 1, incident->last);
}

/* --- files ------------------------------------------------------------------------------------ */

static int set_path(struct incident *incident, const char *directory, unsigned number)
{
    int size = snprintf(incident->path, sizeof incident->path, "%s/incident-%04u.jsonl", directory,
                        number);
    return size >= (int)sizeof incident->path ? complain(directory, "too long a path", EX_USAGE)
                                              : 0;
}

static int read_lines(struct incident *incident)
{
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    struct stat status;
    _cleanup_fclose_ FILE *in = fdopen(dup(incident->fd), "r");
    if (!in || fstat(incident->fd, &status) < 0)
        return -errno;
    if (status.st_size > INCIDENT_FILE_MAX)
        return -EFBIG;
    rewind(in);
    while ((size = getline(&line, &capacity, in)) > 0) {
        if (line[size - 1] != '\n' && incident->end + size == status.st_size)
            break; /* torn by a crash */
        int error = strlen(line) == (size_t)size && size <= INCIDENT_LINE_MAX
                        ? read_line(incident, line, incident->end == 0)
                        : -EBADMSG;
        if (error < 0)
            return error;
        incident->end += size;
    }
    return incident->end == 0 ? -EBADMSG : 0;
}

static int open_incident(const char *directory, unsigned number, int flags,
                         struct incident *incident)
{
    char id[8];
    int status = set_path(incident, directory, number);
    if (status != 0)
        return status;
    incident->fd = open(incident->path, flags | O_CLOEXEC | O_NOFOLLOW);
    if (incident->fd < 0)
        return complain(incident->path, strerror(errno), EX_NOINPUT);
    if (flock(incident->fd, flags == O_RDONLY ? LOCK_SH : LOCK_EX) < 0)
        return complain(incident->path, strerror(errno), EX_OSERR);
    snprintf(id, sizeof id, "%04u", number);
    incident->object = json_object_new();
    incident->fields = json_object_new();
    incident->notes = json_array_new();
    if (!incident->object || json_set_text(incident->object, "id", id) < 0 ||
        json_set(incident->object, "fields", incident->fields) < 0 ||
        json_set(incident->object, "notes", incident->notes) < 0)
        return complain(incident->path, strerror(ENOMEM), EX_OSERR);
    int error = read_lines(incident);
    if (error < 0)
        return complain(incident->path,
                        error == -EBADMSG ? "damaged: somebody changed it, or a disk"
                                          : strerror(-error),
                        EX_DATAERR);
    return 0;
}

int incident_create(const char *directory, const struct json *opening, unsigned *ret_number,
                    uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_(incident_done) struct incident incident = {.fd = -1};
    for (unsigned number = 1; number <= INCIDENT_MAX; number++) {
        int status = set_path(&incident, directory, number);
        if (status != 0)
            return status;
        incident.fd = open(incident.path,
                           O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0660);
        if (incident.fd < 0 && errno == EEXIST)
            continue;
        if (incident.fd < 0)
            return complain(incident.path, strerror(errno), EX_CANTCREAT);
        status = write_line(&incident, opening, ret_digest);
        if (status != 0)
            unlink(incident.path);
        else
            *ret_number = number;
        return status;
    }
    return complain(directory, "no number is left", EX_CANTCREAT);
}

int incident_append(const char *directory, unsigned number, const struct json *action,
                    uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_(incident_done) struct incident incident = {.fd = -1};
    int status = open_incident(directory, number, O_RDWR | O_APPEND, &incident);
    if (status != 0)
        return status;
    if (json_get(incident.object, "closed_at"))
        return complain(incident.path, "the incident is closed", CLOSED);
    return write_line(&incident, action, ret_digest);
}

int incident_read(const char *directory, unsigned number, struct json **ret_incident)
{
    _cleanup_(incident_done) struct incident incident = {.fd = -1};
    int status = open_incident(directory, number, O_RDONLY, &incident);
    if (status == 0)
        *ret_incident = steal_ptr(&incident.object);
    return status;
}

unsigned incident_next(const char *directory, unsigned from)
{
    struct incident incident = {.fd = -1};
    for (unsigned number = from; number <= INCIDENT_MAX; number++)
        if (set_path(&incident, directory, number) == 0 && access(incident.path, F_OK) == 0)
            return number;
    return 0;
}
