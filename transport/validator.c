/*
 * Entity tags and dates as validators. Obsolete text above ASCII is refused in entity tags: the
 * tag travels to other processes and into messages for the operator.
 */
#include "transport/validator.h"

#include <string.h>

static const char *validator_skip_weak(const char *etag)
{
    return strncmp(etag, "W/", 2) == 0 ? etag + 2 : etag;
}

bool validator_etag_valid(const char *etag)
{
    const char *opaque = validator_skip_weak(etag);
    size_t size = strlen(opaque);
    if (size < 2 || opaque[0] != '"' || opaque[size - 1] != '"')
        return false;
    for (size_t i = 1; i < size - 1; i++) {
        if (opaque[i] < 0x21 || opaque[i] > 0x7e || opaque[i] == '"')
            return false;
    }
    return true;
}

bool validator_is_strong(const struct link_validator *validator)
{
    return validator->etag[0] == '"';
}

bool validator_agrees(const struct link_validator *expected, const struct link_validator *got)
{
    if (expected->etag[0] != '\0') {
        if (strcmp(expected->etag, got->etag) != 0)
            return false;
        if (validator_is_strong(expected))
            return true;
    }
    return expected->last_modified_s == 0 || expected->last_modified_s == got->last_modified_s;
}
