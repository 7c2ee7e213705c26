/*
 * A template is judged once, at start; what it may hold is narrow enough that putting a name in
 * can never change host, scheme or the number of path segments.
 */
#include "base/link_url.h"

#include <errno.h>
#include <string.h>

static const char secure[] = "https://";
static const char plain[] = "http://";

/* What may stand in braces, in the words of RFC 6570. */
enum variable { VARIABLE_NAME, VARIABLE_ID, VARIABLE_TYPE, VARIABLE_COUNT };
static const char *const variables[VARIABLE_COUNT] = {"{name}", "{id}", "{type}"};

/* What stands behind the scheme, or NULL. */
static const char *authority_of(const char *template)
{
    if (strncmp(template, secure, sizeof secure - 1) == 0)
        return template + sizeof secure - 1;
    if (strncmp(template, plain, sizeof plain - 1) == 0)
        return template + sizeof plain - 1;
    return NULL;
}

static const char *character_fault(const char *template)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "-._~:/?[]!$&'()*+,;=%{}";
    for (const char *c = template; *c != '\0'; c++) {
        if (*c == '#')
            return "has a fragment (#), which is never sent to a server";
        if (*c == '@')
            return "contains a user name; the link system knows us by our TLS certificate";
        if (!strchr(allowed, *c))
            return "contains a character that no URL may contain";
    }
    return NULL;
}

/* Splits HOST[:PORT] or [ADDRESS][:PORT] of `size` bytes. */
static bool split_authority(const char *authority, size_t size, struct link_url_host *ret_host)
{
    const char *end = authority + size, *host = authority;
    size_t host_size;
    if (size > 0 && *authority == '[') {
        const char *close = memchr(authority, ']', size);
        if (!close)
            return false;
        host++;
        host_size = (size_t)(close - host);
        authority = close + 1;
    } else {
        host_size = strcspn(authority, ":/");
        authority += host_size;
    }
    if (host_size == 0 || host_size >= sizeof ret_host->host || memchr(host, '[', host_size) ||
        memchr(host, '{', host_size))
        return false;
    if (authority < end) {
        uint32_t port = 0;
        size_t digits = 0;
        if (*authority++ != ':')
            return false;
        for (; authority < end && *authority >= '0' && *authority <= '9' && digits < 6; digits++)
            port = port * 10 + (uint32_t)(*authority++ - '0');
        if (authority != end || port == 0 || port > UINT16_MAX)
            return false;
        ret_host->port = (uint16_t)port;
    }
    memcpy(ret_host->host, host, host_size);
    ret_host->host[host_size] = '\0';
    return true;
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;
    while ((text = strstr(text, part))) {
        text += strlen(part);
        count++;
    }
    return count;
}

static const char *variable_fault(const char *path)
{
    unsigned counts[VARIABLE_COUNT], braces = 0;
    for (enum variable i = 0; i < VARIABLE_COUNT; i++)
        braces += counts[i] = count_of(path, variables[i]);
    bool by_name = counts[VARIABLE_NAME] == 1 && counts[VARIABLE_ID] + counts[VARIABLE_TYPE] == 0;
    bool by_parts =
        counts[VARIABLE_NAME] == 0 && counts[VARIABLE_ID] == 1 && counts[VARIABLE_TYPE] == 1;
    if (braces == 0)
        return "does not contain {name} in its path";
    if (!by_name && !by_parts)
        return "contains other than {name} once, or {id} and {type} once each";
    if (count_of(path, "{") != braces || count_of(path, "}") != braces)
        return "contains braces besides these variables";
    return NULL;
}

const char *link_url_fault(const char *template)
{
    struct link_url_host host;
    const char *authority = authority_of(template);
    if (!authority)
        return "starts with neither https:// nor http://";
    const char *fault = character_fault(template);
    if (fault)
        return fault;
    size_t authority_size = strcspn(authority, "/?");
    if (authority_size == 0 || authority[authority_size] != '/')
        return "has no host or no path";
    if (!split_authority(authority, authority_size, &host))
        return "has a malformed host or port";
    fault = variable_fault(authority + authority_size);
    if (!fault && strlen(template) + CERTNAME_MAX >= LINK_URL_MAX)
        fault = "is too long";
    return fault;
}

void link_url_host(const char *template, struct link_url_host *ret_host)
{
    const char *authority = authority_of(template);
    struct link_url_host host = {.plain = strncmp(template, plain, sizeof plain - 1) == 0};
    host.port = host.plain ? 80 : 443;
    if (authority && split_authority(authority, strcspn(authority, "/?"), &host))
        *ret_host = host;
}

/* The variable that `text` begins with, or VARIABLE_COUNT. */
static enum variable variable_at(const char *text)
{
    enum variable i = 0;
    while (i < VARIABLE_COUNT && strncmp(text, variables[i], strlen(variables[i])) != 0)
        i++;
    return i;
}

int link_url_build(const char *template, const struct certname *name, char ret_url[LINK_URL_MAX])
{
    char url[LINK_URL_MAX];
    size_t used = 0, id_size = certname_id_size(name);
    while (*template != '\0') {
        const char *part = template;
        size_t size = 1, consumed = 1;
        enum variable variable = variable_at(template);
        if (variable != VARIABLE_COUNT) {
            part = variable == VARIABLE_TYPE ? name->text + id_size + 1 : name->text;
            size = variable == VARIABLE_ID ? id_size : strlen(part);
            consumed = strlen(variables[variable]);
        }
        if (size >= sizeof url - used)
            return -ENAMETOOLONG;
        memcpy(url + used, part, size);
        used += size;
        template += consumed;
    }
    url[used] = '\0';
    memcpy(ret_url, url, used + 1);
    return 0;
}
