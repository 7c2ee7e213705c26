/*
 * A template is judged once, at start; what it may hold is narrow enough that putting a name in
 * can never change host, scheme or the number of path segments.
 */
#include "transport/request_url.h"

#include <errno.h>
#include <string.h>

static const char scheme[] = "https://";
static const char placeholder[] = "{name}";

static const char *request_url_character_fault(const char *template)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "-._~:/?[]!$&'()*+,;=%{}";
    for (const char *c = template; *c != '\0'; c++) {
        if (*c == '#')
            return "a fragment (#) is never sent to a server";
        if (*c == '@')
            return "user names and passwords do not belong into a URL";
        if (!strchr(allowed, *c))
            return "holds a character that no URL has";
    }
    return NULL;
}

const char *request_url_fault(const char *template)
{
    if (strncmp(template, scheme, sizeof scheme - 1) != 0)
        return "does not begin with https://";
    const char *fault = request_url_character_fault(template);
    if (fault)
        return fault;

    const char *authority = template + sizeof scheme - 1;
    size_t authority_size = strcspn(authority, "/?");
    if (authority_size == 0 || authority[0] == ':')
        return "names no host";
    if (authority[authority_size] != '/')
        return "has no path";
    const char *name = strstr(template, placeholder);
    if (!name)
        return "does not say where {name} stands";
    if (name < authority + authority_size)
        return "has {name} in the place of the host";
    const char *behind = name + sizeof placeholder - 1;
    if (strpbrk(behind, "{}") || strcspn(template, "{}") != (size_t)(name - template))
        return "has braces besides one {name}";
    if (strlen(template) + CERTNAME_MAX >= REQUEST_URL_MAX)
        return "is too long";
    return NULL;
}

int request_url_build(const char *template, const struct certname *name,
                      char ret_url[REQUEST_URL_MAX])
{
    const char *place = strstr(template, placeholder);
    if (!place)
        return -EINVAL;
    const char *behind = place + sizeof placeholder - 1;
    int size = snprintf(NULL, 0, "%.*s%s%s", (int)(place - template), template, name->text, behind);
    if (size < 0 || size >= REQUEST_URL_MAX)
        return -ENAMETOOLONG;
    (void)snprintf(ret_url, REQUEST_URL_MAX, "%.*s%s%s", (int)(place - template), template,
                   name->text, behind);
    return 0;
}
