/*
 * Reads the policy file: entries come one by one from base/inifile, mistakes are told as they are
 * met, and what needs the whole file (missing keys, dates in local time) is looked at in the end.
 */
#include "fs/access_policy.h"
#include "fs/access_policy_value.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* Keys of one section, as bits: repeated and missing ones show. */
enum policy_key { POLICY_VERSION = 1, POLICY_UTC_OFFSET = 2 };
enum roles_key {
    ROLES_BACKUP = 1,
    ROLES_SCANNER = 2,
    ROLES_SCANNER_AS = 4,
    ROLES_ROOT = 8,
    ROLES_SECOND_PERSON = 16,
    ROLES_CONTROL = 32, /* and the three bits above it, in the order of enum access_control */
};
enum affair_key {
    AFFAIR_READERS = 1,
    AFFAIR_IDS = 2,
    AFFAIR_FORMATS = 4,
    AFFAIR_HOURS = 8,
    AFFAIR_FROM = 16,
    AFFAIR_TO = 32,
    AFFAIR_OPENS = 64,
    AFFAIR_PURPOSE = 128,
    AFFAIR_KEEP = 256,
};

struct reading {
    const char *path;
    inifile_report *report;
    void *report_context;
    bool mistaken;
    struct access_policy *policy;
    char section[INIFILE_NAME_MAX + 1]; /* of the last entry */
    char key[INIFILE_NAME_MAX + 1];
    unsigned policy_keys, roles_keys; /* bits of keys met */
    struct {
        unsigned keys;
        bool from_local, to_local;
    } affairs[ACCESS_AFFAIRS_MAX];
    struct access_affair *affair; /* of the section being read; NULL: a refused one */
    bool needs_offset;
};

_printf_(3, 4) static void mistake(struct reading *reading, int line, const char *format, ...)
{
    char text[POLICY_WHY_SIZE + 100];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reading->report(reading->report_context, reading->path, line, text);
    reading->mistaken = true;
}

/* inifile's own reports, under the path that the caller knows. */
static void pass_report(void *context, const char *file, int line, const char *text)
{
    (void)file;
    mistake(context, line, "%s", text);
}

struct entry {
    int line;
    const char *key;
    const char *value;
    bool again; /* the line before had the same key: more of a list, or a continuation */
};

/* A list may go on, anything else may be there once. False: this entry is refused. */
static bool once(struct reading *reading, const struct entry *entry, unsigned *keys, unsigned key,
                 bool list)
{
    if ((*keys & key) && !(list && entry->again)) {
        mistake(reading, entry->line, "%s is there twice", entry->key);
        return false;
    }
    *keys |= key;
    return true;
}

static void take_policy(struct reading *reading, const struct entry *entry)
{
    struct access_policy *policy = reading->policy;
    const char *wrong = NULL;
    if (strcmp(entry->key, "version") == 0) {
        if (once(reading, entry, &reading->policy_keys, POLICY_VERSION, false))
            wrong = policy_value_text(entry->value, policy->version, sizeof policy->version);
    } else if (strcmp(entry->key, "utc_offset") == 0) {
        if (once(reading, entry, &reading->policy_keys, POLICY_UTC_OFFSET, false))
            wrong = policy_value_utc_offset(entry->value, &policy->utc_offset_s);
    } else {
        wrong = "unknown key";
    }
    if (wrong)
        mistake(reading, entry->line, "%s: %s", entry->key, wrong);
}

static bool take_role_subjects(struct reading *reading, const struct entry *entry)
{
    static const struct {
        const char *key;
        unsigned bit;
    } lists[] = {{"backup", ROLES_BACKUP},         {"scanner", ROLES_SCANNER},
                 {"viewer", ROLES_CONTROL},        {"operator", ROLES_CONTROL << 1},
                 {"approver", ROLES_CONTROL << 2}, {"auditor", ROLES_CONTROL << 3}};
    struct access_policy *policy = reading->policy;
    struct access_subjects *targets[] = {&policy->backup,     &policy->scanner,
                                         &policy->control[0], &policy->control[1],
                                         &policy->control[2], &policy->control[3]};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (strcmp(entry->key, lists[i].key) != 0)
            continue;
        char why[POLICY_WHY_SIZE];
        const char *wrong = NULL;
        if (once(reading, entry, &reading->roles_keys, lists[i].bit, true))
            wrong = policy_value_subjects(entry->value, targets[i], why);
        if (wrong)
            mistake(reading, entry->line, "%s: %s", entry->key, wrong);
        return true;
    }
    return false;
}

static void take_roles(struct reading *reading, const struct entry *entry)
{
    if (take_role_subjects(reading, entry))
        return;
    struct access_policy *policy = reading->policy;
    unsigned *keys = &reading->roles_keys;
    const char *wrong = NULL;
    if (strcmp(entry->key, "root") == 0) {
        if (once(reading, entry, keys, ROLES_ROOT, false))
            wrong = policy_value_as(entry->value, true, &policy->root_as);
    } else if (strcmp(entry->key, "scanner_access") == 0) {
        if (once(reading, entry, keys, ROLES_SCANNER_AS, false))
            wrong = policy_value_as(entry->value, false, &policy->scanner_as);
    } else if (strcmp(entry->key, "second_person") == 0) {
        if (once(reading, entry, keys, ROLES_SECOND_PERSON, true))
            wrong = policy_value_commands(entry->value, policy);
    } else {
        wrong = "unknown key";
    }
    if (wrong)
        mistake(reading, entry->line, "%s: %s", entry->key, wrong);
}

static bool affair_name_ok(const char *name)
{
    char copy[ACCESS_NAME_SIZE];
    if (policy_value_text(name, copy, sizeof copy))
        return false;
    return strpbrk(name, " \t,\"\\") == NULL;
}

/* The affair whose section begins or goes on; NULL after a mistake. */
static struct access_affair *affair_of(struct reading *reading, const char *name, int line)
{
    struct access_policy *policy = reading->policy;
    if (!affair_name_ok(name)) {
        mistake(reading, line,
                "[affair %s]: a name has 1 to %d bytes of UTF-8 without blank, comma, quotation "
                "mark or backslash",
                name, ACCESS_NAME_SIZE - 1);
        return NULL;
    }
    for (uint32_t i = 0; i < policy->affair_count; i++) {
        if (strcmp(policy->affairs[i].name, name) == 0) {
            mistake(reading, line, "[affair %s] is there twice", name);
            return NULL;
        }
    }
    if (policy->affair_count == ACCESS_AFFAIRS_MAX) {
        mistake(reading, line, "more than %d affairs", ACCESS_AFFAIRS_MAX);
        return NULL;
    }
    struct access_affair *affair = &policy->affairs[policy->affair_count++];
    memcpy(affair->name, name, strlen(name) + 1);
    affair->line = (uint32_t)line;
    affair->formats = 1u << CERTFORMAT_PDF | 1u << CERTFORMAT_XML;
    affair->valid_from_s = INT64_MIN;
    affair->valid_until_s = INT64_MAX;
    return affair;
}

static const char *take_affair_limit(struct reading *reading, const struct entry *entry,
                                     struct access_affair *affair, unsigned *keys)
{
    size_t index = (size_t)(affair - reading->policy->affairs);
    if (strcmp(entry->key, "valid_from") == 0) {
        if (once(reading, entry, keys, AFFAIR_FROM, false))
            return policy_value_time(entry->value, false, &affair->valid_from_s,
                                     &reading->affairs[index].from_local);
    } else if (strcmp(entry->key, "valid_to") == 0) {
        if (once(reading, entry, keys, AFFAIR_TO, false))
            return policy_value_time(entry->value, true, &affair->valid_until_s,
                                     &reading->affairs[index].to_local);
    } else if (strcmp(entry->key, "opens_per_day") == 0) {
        if (once(reading, entry, keys, AFFAIR_OPENS, false))
            return policy_value_number(entry->value, ACCESS_OPENS_MAX, &affair->opens_per_day);
    } else if (strcmp(entry->key, "keep_days") == 0) {
        if (once(reading, entry, keys, AFFAIR_KEEP, false))
            return policy_value_number(entry->value, ACCESS_KEEP_DAYS_MAX, &affair->keep_days);
    } else if (strcmp(entry->key, "purpose") == 0) {
        if (once(reading, entry, keys, AFFAIR_PURPOSE, false))
            return policy_value_text(entry->value, affair->purpose, sizeof affair->purpose);
    } else {
        return "unknown key";
    }
    return NULL;
}

static void take_affair(struct reading *reading, const struct entry *entry)
{
    struct access_affair *affair = reading->affair;
    unsigned *keys = &reading->affairs[affair - reading->policy->affairs].keys;
    char why[POLICY_WHY_SIZE];
    const char *wrong = NULL;
    if (strcmp(entry->key, "readers") == 0) {
        if (once(reading, entry, keys, AFFAIR_READERS, true))
            wrong = policy_value_subjects(entry->value, &affair->readers, why);
    } else if (strcmp(entry->key, "ids") == 0) {
        if (once(reading, entry, keys, AFFAIR_IDS, true))
            wrong = policy_value_patterns(entry->value, affair, why);
    } else if (strcmp(entry->key, "formats") == 0) {
        if (once(reading, entry, keys, AFFAIR_FORMATS, false))
            wrong = policy_value_formats(entry->value, &affair->formats);
    } else if (strcmp(entry->key, "hours") == 0) {
        if (once(reading, entry, keys, AFFAIR_HOURS, true))
            wrong = policy_value_hours(entry->value, affair);
    } else {
        wrong = take_affair_limit(reading, entry, affair, keys);
    }
    if (wrong)
        mistake(reading, entry->line, "%s: %s", entry->key, wrong);
}

static void take_entry(void *context, int line, const char *section, const char *key,
                       const char *value)
{
    struct reading *reading = context;
    bool begins = strcmp(section, reading->section) != 0;
    struct entry entry = {.line = line,
                          .key = key,
                          .value = value,
                          .again = !begins && strcmp(key, reading->key) == 0};
    snprintf(reading->section, sizeof reading->section, "%s", section);
    snprintf(reading->key, sizeof reading->key, "%s", key);

    bool affair = strncmp(section, "affair ", 7) == 0;
    if (strcmp(section, "policy") == 0) {
        take_policy(reading, &entry);
    } else if (strcmp(section, "roles") == 0) {
        take_roles(reading, &entry);
    } else if (affair) {
        if (begins)
            reading->affair = affair_of(reading, section + 7 + strspn(section + 7, " "), line);
        if (reading->affair) /* else the section was refused and told of once */
            take_affair(reading, &entry);
    } else if (begins || *section == '\0') {
        mistake(reading, line, "sections are [policy], [roles] and [affair NAME], not [%s]",
                section);
    }
}

static bool names_root(const struct access_subjects *subjects)
{
    for (uint32_t i = 0; i < subjects->count; i++) {
        if (!subjects->list[i].is_group && subjects->list[i].id == 0)
            return true;
    }
    return false;
}

static void finish_affair(struct reading *reading, uint32_t index)
{
    struct access_affair *affair = &reading->policy->affairs[index];
    unsigned keys = reading->affairs[index].keys;
    int line = (int)affair->line;
    if (!(keys & AFFAIR_READERS) || (affair->readers.count == 0 && !reading->mistaken))
        mistake(reading, line, "[affair %s] has no readers", affair->name);
    if (!(keys & AFFAIR_IDS) || (affair->pattern_count == 0 && !reading->mistaken))
        mistake(reading, line, "[affair %s] has no ids; \"ids = *\" means all", affair->name);
    if (names_root(&affair->readers) && reading->policy->root_as != ACCESS_AS_READER)
        mistake(reading, line, "[affair %s] names root, but [roles] root is not reader",
                affair->name);

    if (reading->affairs[index].from_local)
        affair->valid_from_s -= reading->policy->utc_offset_s;
    if (reading->affairs[index].to_local)
        affair->valid_until_s -= reading->policy->utc_offset_s;
    if (affair->valid_from_s >= affair->valid_until_s)
        mistake(reading, line, "[affair %s] ends before it begins", affair->name);
    if (reading->affairs[index].from_local || reading->affairs[index].to_local ||
        affair->window_count > 0 || affair->opens_per_day > 0)
        reading->needs_offset = true;
}

static void finish(struct reading *reading)
{
    for (uint32_t i = 0; i < reading->policy->affair_count; i++)
        finish_affair(reading, i);
    if (!(reading->policy_keys & POLICY_VERSION))
        mistake(reading, 0, "[policy] version is missing");
    if (reading->needs_offset && !(reading->policy_keys & POLICY_UTC_OFFSET))
        mistake(reading, 0,
                "[policy] utc_offset is missing: hours, dates and opens_per_day are counted in it, "
                "+09:00 in Japan");
}

/* Who may change the policy may read every certificate. */
static void check_owner(struct reading *reading, const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        mistake(reading, 0, "is not a regular file");
    if (status->st_uid != 0 && status->st_uid != geteuid())
        mistake(reading, 0, "belongs to uid %u: it must belong to root", (unsigned)status->st_uid);
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        mistake(reading, 0, "can be changed by others than its owner: chmod go-w");
}

static int digest(int fd, uint8_t ret_sha256[SHA256_SIZE])
{
    _cleanup_sha256_stream_ struct sha256_stream *stream = sha256_stream_new();
    if (!stream)
        return -ENOMEM;
    uint8_t block[16 * 1024];
    for (off_t offset = 0;;) {
        ssize_t got = pread(fd, block, sizeof block, offset);
        if (got < 0)
            return -errno;
        if (got == 0)
            return sha256_stream_finish(stream, ret_sha256);
        int r = sha256_stream_update(stream, block, (size_t)got);
        if (r < 0)
            return r;
        offset += got;
    }
}

static int read_open(struct reading *reading, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    check_owner(reading, &status);
    int r = digest(fd, reading->policy->sha256);
    if (r < 0)
        return r;
    /* Through the descriptor: a file put in its place meanwhile is not mixed in. */
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    r = inifile_read(path, take_entry, reading, pass_report, reading);
    if (r < 0 && r != -EINVAL)
        return r;
    finish(reading);
    return reading->mistaken ? -EINVAL : 0;
}

int access_policy_read(const char *path, inifile_report *report, void *context,
                       struct access_policy *ret_policy)
{
    _cleanup_free_ struct access_policy *policy = calloc(1, sizeof *policy);
    _cleanup_free_ struct reading *reading = calloc(1, sizeof *reading);
    if (!policy || !reading) {
        report(context, path, 0, "cannot be read: out of memory");
        return -ENOMEM;
    }
    reading->path = path;
    reading->report = report;
    reading->report_context = context;
    reading->policy = policy;

    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int r = fd < 0 ? -errno : read_open(reading, fd);
    if (r < 0) {
        if (!reading->mistaken)
            mistake(reading, 0, "cannot be read: %s", strerror(-r));
        return r;
    }
    memcpy(ret_policy, policy, sizeof *policy);
    return 0;
}
