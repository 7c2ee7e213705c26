/* See base/key_source.h. */
#include "base/key_source.h"

#include <string.h>

static const char credential[] = "credential:";
static const char token[] = "pkcs11:";

enum key_source key_source_of(const char *text, const char **ret_place)
{
    *ret_place = text;
    if (*text == '/')
        return KEY_SOURCE_FILE;
    if (strncmp(text, credential, sizeof credential - 1) == 0) {
        *ret_place = text + sizeof credential - 1;
        return KEY_SOURCE_CREDENTIAL;
    }
    return strncmp(text, token, sizeof token - 1) == 0 ? KEY_SOURCE_TOKEN : KEY_SOURCE_NONE;
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
    case KEY_SOURCE_TOKEN:
        return NULL; /* what it says is known with the module loaded */
    default:
        return "is neither an absolute path nor credential:NAME nor pkcs11:URI";
    }
}

const char *key_source_check_file(const char *text)
{
    const char *place;
    if (key_source_of(text, &place) == KEY_SOURCE_TOKEN)
        return "cannot be on a token; an absolute path or credential:NAME is needed";
    return key_source_check(text);
}

/* Names that would make the loader load, or the C library write, something else; the configuration
 * is root's, but a line copied from a manual should not do that either. */
const char *key_source_check_variable(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    static const char *const refused[] = {"GCONV_PATH",      "OPENSSL_CONF", "OPENSSL_MODULES",
                                          "OPENSSL_ENGINES", "MALLOC_TRACE", "TZ"};
    size_t size = strspn(text, allowed);
    if (size == 0 || text[size] != '=')
        return "is not of the form NAME=VALUE";
    if (strncmp(text, "LD_", 3) == 0 || strncmp(text, "GLIBC_", 6) == 0)
        return "would change the loader or the C library";
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strlen(refused[i]) == size && strncmp(text, refused[i], size) == 0)
            return "would change the libraries that we use";
    return NULL;
}
