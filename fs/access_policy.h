/*
 * The access policy: who may read which certificate, when, and which role a caller has. Written by
 * people (docs/access-policy.md), read and checked by the supervisor, which resolves all names to
 * numbers, and handed to kosekifs-mount as this flat struct in a sealed memory file. A reload
 * replaces it as a whole.
 *
 * Whatever the policy does not grant is refused.
 */
#ifndef FS_ACCESS_POLICY_H
#define FS_ACCESS_POLICY_H

#include "base/certname.h"
#include "base/cleanup.h"
#include "base/crypto.h"
#include "base/inifile.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    ACCESS_AFFAIRS_MAX = 256,
    ACCESS_SUBJECTS_MAX = 128, /* users and groups in one list */
    ACCESS_PATTERNS_MAX = 32,
    ACCESS_PATTERN_SIZE = 80,
    ACCESS_STARS_MAX = 4, /* in one pattern: bounds the time that matching takes */
    ACCESS_WINDOWS_MAX = 16,
    ACCESS_NAME_SIZE = 40, /* of an affair; it goes into attribute, audit and JSON */
    ACCESS_PURPOSE_SIZE = 256,
    ACCESS_VERSION_SIZE = 64,
    ACCESS_USER_SIZE = 64,
    ACCESS_COMMANDS_MAX = 32,
    ACCESS_COMMAND_SIZE = 24,
    ACCESS_OPENS_MAX = 1000000,
    ACCESS_KEEP_DAYS_MAX = 36500,
    ACCESS_MINUTES_PER_DAY = 24 * 60,
};

struct access_subject {
    uint32_t id;
    uint8_t is_group;
    char name[ACCESS_USER_SIZE]; /* as written, without @ */
};

struct access_subjects {
    uint32_t count;
    struct access_subject list[ACCESS_SUBJECTS_MAX];
};

/* A span of minutes of the local day: begin <= minute < end. */
struct access_window {
    uint8_t days; /* bit 0 = Monday */
    uint16_t begin;
    uint16_t end;
};

struct access_affair {
    char name[ACCESS_NAME_SIZE];
    char purpose[ACCESS_PURPOSE_SIZE];
    uint32_t line;          /* where the section begins */
    uint32_t formats;       /* bits 1 << enum certformat */
    uint32_t opens_per_day; /* of one reader; 0 = without limit */
    uint32_t keep_days;     /* how long its certificates are kept; 0 = as [retention] says */
    uint32_t pattern_count;
    uint32_t window_count; /* 0 = at any time */
    int64_t valid_from_s;  /* INT64_MIN = always */
    int64_t valid_until_s; /* the first second that is no longer valid; INT64_MAX = for ever */
    struct access_subjects readers;
    char patterns[ACCESS_PATTERNS_MAX][ACCESS_PATTERN_SIZE];
    struct access_window windows[ACCESS_WINDOWS_MAX];
};

/* What a role of callers that are no readers may do. */
enum access_as {
    ACCESS_AS_NONE = 0,
    ACCESS_AS_BACKUP = 1, /* read what is stored, never cause a fetch */
    ACCESS_AS_READER = 2, /* as anybody: what an affair or a grant gives them */
};

/* Roles on the control socket; bits. */
enum access_control {
    ACCESS_VIEWER = 1,
    ACCESS_OPERATOR = 2,
    ACCESS_APPROVER = 4,
    ACCESS_AUDITOR = 8,
    ACCESS_CONTROL_COUNT = 4,
};

struct access_policy {
    char
        version[ACCESS_VERSION_SIZE]; /* the operator's; goes into every audit record of a reload */
    uint8_t sha256[SHA256_SIZE];      /* of the file as it was read */
    int32_t utc_offset_s;             /* what hours, dates and days are counted in */
    uint32_t root_as;                 /* enum access_as, of uid 0 */
    uint32_t scanner_as;              /* enum access_as */
    struct access_subjects backup;
    struct access_subjects scanner;
    struct access_subjects control[ACCESS_CONTROL_COUNT]; /* in the order of enum access_control */
    uint32_t command_count;
    char second_person[ACCESS_COMMANDS_MAX][ACCESS_COMMAND_SIZE];
    uint32_t affair_count;
    struct access_affair affairs[ACCESS_AFFAIRS_MAX];
};

/*
 * Reads the file. Every mistake is reported as FILE:LINE, not only the first: unknown section, key,
 * user or group, repeated key, wrong form or range, missing key, a file that others than its owner
 * may change. Returns 0, -EINVAL after at least one report, or another negative errno if the file
 * cannot be read (reported too). Asks NSS for names, so it belongs into the supervisor and
 * kosekictl only.
 */
_must_use_ int access_policy_read(const char *path, inifile_report *report, void *context,
                                  struct access_policy *ret_policy);

/* For a policy out of a message: all counts, texts and ranges are checked. */
_must_use_ bool access_policy_valid(const struct access_policy *policy);

/* True if the pattern (`*`, `?`, `[a-z]`, `[!a-z]`) matches the whole of the request id. */
bool access_pattern_match(const char *pattern, const char *id, size_t id_size);

/* The day in the policy's offset, counted from 1970-01-01. */
int64_t access_policy_day(const struct access_policy *policy, int64_t now_s);

/* True if `now_s` is inside one of the affair's windows, or it has none. */
bool access_affair_in_hours(const struct access_policy *policy, const struct access_affair *affair,
                            int64_t now_s);

#endif
