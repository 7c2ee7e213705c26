/*
 * Names of certificates: <request-id>.pdf or <request-id>.xml, where the request id is
 * [A-Za-z0-9][A-Za-z0-9_-]{0,63}. Whatever else is asked for does not exist.
 */
#ifndef BASE_CERTNAME_H
#define BASE_CERTNAME_H

#include <stdbool.h>
#include <stddef.h>

enum {
    REQUEST_ID_MAX = 64,
    CERTNAME_SUFFIX = 4,
    CERTNAME_MAX = REQUEST_ID_MAX + CERTNAME_SUFFIX,
};

enum certformat {
    CERTFORMAT_PDF = 1,
    CERTFORMAT_XML = 2,
};

struct certname {
    char text[CERTNAME_MAX + 1]; /* the whole name, NUL-terminated, zeros behind it */
};

/* False, and ret_name untouched, if `text` is not such a name. */
bool certname_parse(const char *text, struct certname *ret_name);
/* For names out of a message: all of the array is checked. */
bool certname_valid(const struct certname *name);
enum certformat certname_format(const struct certname *name);
/* Length of the request id, the part before the dot. */
size_t certname_id_size(const struct certname *name);

#endif
