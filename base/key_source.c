/* See base/key_source.h. */
#include "base/key_source.h"

#include <string.h>

static const char credential[] = "credential:";

enum key_source key_source_of(const char *text, const char **ret_place)
{
    *ret_place = text;
    if (*text == '/')
        return KEY_SOURCE_FILE;
    if (strncmp(text, credential, sizeof credential - 1) == 0) {
        *ret_place = text + sizeof credential - 1;
        return KEY_SOURCE_CREDENTIAL;
    }
    return KEY_SOURCE_NONE;
}

/* The names that LoadCredential= takes, less those that a shell or a path would mistake. */
static const char *check_credential(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = strlen(name);
    if (size == 0 || size > KEY_CREDENTIAL_NAME_MAX || *name == '.' || *name == '-' ||
        name[strspn(name, allowed)] != '\0')
        return "is not the name of a credential: 1 to 64 of A-Z a-z 0-9 . _ - (not . or - first)";
    return NULL;
}

const char *key_source_check(const char *text)
{
    const char *place;
    switch (key_source_of(text, &place)) {
    case KEY_SOURCE_FILE:
        return NULL;
    case KEY_SOURCE_CREDENTIAL:
        return check_credential(place);
    default:
        return "is neither an absolute path nor credential:NAME";
    }
}
