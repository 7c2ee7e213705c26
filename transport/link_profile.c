/*
 * Three tables: methods, headers, meanings. What a profile cannot say is as important: no redirect
 * (3xx never means anything), no other success than 200 and 206, no header that frames the body.
 */
#include "transport/link_profile.h"

#include "base/inifile.h"
#include "base/ipc.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

static const char *const method_names[LINK_METHOD_COUNT] = {
    [LINK_METHOD_HEAD] = "HEAD", [LINK_METHOD_GET] = "GET", [LINK_METHOD_POST] = "POST"};

static const char *const meaning_names[LINK_MEANS_COUNT] = {[LINK_MEANS_NOTHING] = "protocol",
                                                            [LINK_MEANS_NOT_FOUND] = "not-found",
                                                            [LINK_MEANS_GONE] = "gone",
                                                            [LINK_MEANS_FORBIDDEN] = "forbidden",
                                                            [LINK_MEANS_NOT_READY] = "not-ready",
                                                            [LINK_MEANS_BUSY] = "busy",
                                                            [LINK_MEANS_UNAVAILABLE] =
                                                                "unavailable"};

/* Key in the file, and the name that the header has by default. */
static const struct {
    const char *key, *name;
} header_rows[LINK_HEADER_COUNT] = {
    [LINK_HEADER_ETAG] = {"etag", "ETag"},
    [LINK_HEADER_LAST_MODIFIED] = {"last_modified", "Last-Modified"},
    [LINK_HEADER_DATE] = {"date", "Date"},
    [LINK_HEADER_RETRY_AFTER] = {"retry_after", "Retry-After"},
    [LINK_HEADER_REPR_DIGEST] = {"repr_digest", "Repr-Digest"},
    [LINK_HEADER_DIGEST] = {"digest", "Digest"},
};

/* What we say ourselves, what frames a message, and what names a person. */
static const char *const reserved_headers[] = {
    "Host",       "Range",   "If-Range", "Content-Length",  "Transfer-Encoding",
    "Connection", "TE",      "Upgrade",  "Accept-Encoding", "Content-Encoding",
    "Expect",     "Trailer", "Cookie",   "User-Agent",      "Content-Range",
};

const char *link_method_text(enum link_method method)
{
    return method_names[method];
}

void link_profile_default(struct link_profile *ret_profile)
{
    static const struct {
        uint16_t status;
        enum link_meaning meaning;
    } rows[] = {
        {202, LINK_MEANS_NOT_READY},   {401, LINK_MEANS_FORBIDDEN}, {403, LINK_MEANS_FORBIDDEN},
        {404, LINK_MEANS_NOT_FOUND},   {410, LINK_MEANS_GONE},      {429, LINK_MEANS_BUSY},
        {502, LINK_MEANS_UNAVAILABLE}, {503, LINK_MEANS_BUSY},      {504, LINK_MEANS_UNAVAILABLE}};
    struct link_profile profile = {
        .title = "default", .lookup = LINK_METHOD_HEAD, .fetch = LINK_METHOD_GET};
    for (size_t i = 0; i < LINK_HEADER_COUNT; i++)
        snprintf(profile.names[i], sizeof profile.names[i], "%s", header_rows[i].name);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        profile.meanings[rows[i].status] = (uint8_t)rows[i].meaning;
    *ret_profile = profile;
}

/* field-name of RFC 9110 5.1, not one of ours. */
static bool header_name_ok(const char *name, size_t size)
{
    static const char token[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "!#$%&'*+-.^_`|~";
    if (size == 0 || size >= LINK_PROFILE_NAME_MAX || strspn(name, token) < size)
        return false;
    for (size_t i = 0; i < sizeof reserved_headers / sizeof reserved_headers[0]; i++)
        if (strlen(reserved_headers[i]) == size &&
            strncasecmp(name, reserved_headers[i], size) == 0)
            return false;
    return true;
}

/* "Name: value", of visible ASCII. */
static bool header_line_ok(const char *line)
{
    size_t name_size = strcspn(line, ":");
    if (!header_name_ok(line, name_size) || line[name_size] != ':' || line[name_size + 1] != ' ' ||
        line[name_size + 2] == '\0')
        return false;
    for (const char *c = line; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            return false;
    return true;
}

static bool status_may_mean(uint32_t status, enum link_meaning meaning)
{
    if (status < 201 || status > LINK_PROFILE_STATUS_MAX || status == 206 || status == 416)
        return false;
    if (status < 300)
        return meaning == LINK_MEANS_NOT_READY || meaning == LINK_MEANS_NOTHING;
    return status >= 400;
}

static bool names_differ(const struct link_profile *profile)
{
    for (size_t i = 0; i < LINK_HEADER_COUNT; i++)
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(profile->names[i], profile->names[j]) == 0)
                return false;
    return true;
}

bool link_profile_valid(const struct link_profile *profile)
{
    if (!ipc_text_ok(profile->title, sizeof profile->title) ||
        profile->lookup >= LINK_METHOD_COUNT || profile->fetch >= LINK_METHOD_COUNT ||
        profile->fetch == LINK_METHOD_HEAD || profile->header_count > LINK_PROFILE_HEADERS_MAX)
        return false;
    for (size_t i = 0; i < profile->header_count; i++)
        if (!ipc_text_ok(profile->headers[i], sizeof profile->headers[i]) ||
            !header_line_ok(profile->headers[i]))
            return false;
    for (size_t i = 0; i < LINK_HEADER_COUNT; i++)
        if (!ipc_text_ok(profile->names[i], sizeof profile->names[i]) ||
            !header_name_ok(profile->names[i], strlen(profile->names[i])))
            return false;
    for (uint32_t status = 0; status <= LINK_PROFILE_STATUS_MAX; status++)
        if (profile->meanings[status] >= LINK_MEANS_COUNT ||
            (profile->meanings[status] != LINK_MEANS_NOTHING &&
             !status_may_mean(status, profile->meanings[status])))
            return false;
    return names_differ(profile);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reading {
    struct link_profile profile;
    const char *path;
    bool mistaken;
    config_report *report;
    void *context;
};

static void mistake(struct reading *reading, int line, const char *format, ...) _printf_(3, 4);

static void mistake(struct reading *reading, int line, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reading->report(reading->context, reading->path, line, text);
    reading->mistaken = true;
}

static void take_method(struct reading *reading, int line, const char *key, const char *value,
                        uint8_t *ret_method)
{
    for (uint8_t i = 0; i < LINK_METHOD_COUNT; i++)
        if (strcmp(value, method_names[i]) == 0) {
            *ret_method = i;
            return;
        }
    mistake(reading, line, "[request] %s is none of HEAD, GET, POST", key);
}

static void take_request(struct reading *reading, int line, const char *key, const char *value)
{
    struct link_profile *profile = &reading->profile;
    if (strcmp(key, "lookup") == 0) {
        take_method(reading, line, key, value, &profile->lookup);
    } else if (strcmp(key, "fetch") == 0) {
        take_method(reading, line, key, value, &profile->fetch);
        if (profile->fetch == LINK_METHOD_HEAD)
            mistake(reading, line, "[request] fetch is HEAD, which brings no certificate");
    } else if (strcmp(key, "header") != 0) {
        mistake(reading, line, "unknown key %.64s in section [request]", key);
    } else if (profile->header_count == LINK_PROFILE_HEADERS_MAX) {
        mistake(reading, line, "[request] header: more than %d", LINK_PROFILE_HEADERS_MAX);
    } else if (strlen(value) >= LINK_PROFILE_HEADER_MAX || !header_line_ok(value)) {
        mistake(reading, line,
                "[request] header: not \"Name: value\" of visible ASCII and at most %d bytes, or "
                "a header that is not the profile's to set",
                LINK_PROFILE_HEADER_MAX - 1);
    } else {
        memcpy(profile->headers[profile->header_count++], value, strlen(value) + 1);
    }
}

static void take_header_name(struct reading *reading, int line, const char *key, const char *value)
{
    for (size_t i = 0; i < LINK_HEADER_COUNT; i++) {
        if (strcmp(key, header_rows[i].key) != 0)
            continue;
        if (header_name_ok(value, strlen(value)))
            memcpy(reading->profile.names[i], value, strlen(value) + 1);
        else
            mistake(reading, line,
                    "[headers] %s: not the name of a header, or of one that is not "
                    "the profile's to choose",
                    key);
        return;
    }
    mistake(reading, line, "unknown key %.64s in section [headers]", key);
}

static void take_status(struct reading *reading, int line, const char *key, const char *value)
{
    uint32_t status = 0;
    if (strlen(key) == 3 && strspn(key, "0123456789") == 3)
        status = (uint32_t)strtoul(key, NULL, 10);
    for (uint8_t i = 0; i < LINK_MEANS_COUNT; i++) {
        if (strcmp(value, meaning_names[i]) != 0)
            continue;
        if (status_may_mean(status, i))
            reading->profile.meanings[status] = i;
        else
            mistake(reading, line, "[status] %.64s cannot mean %s", key, value);
        return;
    }
    mistake(reading, line,
            "[status] %.64s: \"%.64s\" is none of not-found, gone, forbidden, not-ready, busy, "
            "unavailable, protocol",
            key, value);
}

static void take_entry(void *context, int line, const char *section, const char *key,
                       const char *value)
{
    struct reading *reading = context;
    if (strcmp(section, "profile") == 0 && strcmp(key, "title") == 0) {
        if (*value == '\0' || strlen(value) >= LINK_PROFILE_TITLE_MAX)
            mistake(reading, line, "[profile] title: 1 to %d bytes", LINK_PROFILE_TITLE_MAX - 1);
        else
            memcpy(reading->profile.title, value, strlen(value) + 1);
    } else if (strcmp(section, "request") == 0) {
        take_request(reading, line, key, value);
    } else if (strcmp(section, "headers") == 0) {
        take_header_name(reading, line, key, value);
    } else if (strcmp(section, "status") == 0) {
        take_status(reading, line, key, value);
    } else {
        mistake(reading, line, "unknown key %.64s in section [%.64s]", key, section);
    }
}

int link_profile_read(const char *path, config_report *report, void *context,
                      struct link_profile *ret_profile)
{
    struct reading reading = {.path = path, .report = report, .context = context};
    link_profile_default(&reading.profile);
    snprintf(reading.profile.title, sizeof reading.profile.title, "%s", "of the site");
    int r = inifile_read(path, take_entry, &reading, report, context);
    if (r < 0 && r != -EINVAL)
        return r;
    if (!reading.mistaken && !names_differ(&reading.profile))
        mistake(&reading, 0, "[headers]: two headers have one name");
    if (r < 0 || reading.mistaken)
        return -EINVAL;
    *ret_profile = reading.profile;
    return 0;
}
