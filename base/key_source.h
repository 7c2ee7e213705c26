/*
 * Where section [keys] says that a secret comes from:
 *
 *   /path             a file
 *   credential:NAME   a credential that systemd hands to the service (systemd.exec(5), Credentials)
 *   pkcs11:…          a key on a token (RFC 7512), which stays there
 *
 * The supervisor opens the first two and hands descriptors on.
 *
 * Thread rule: no shared state.
 */
#ifndef BASE_KEY_SOURCE_H
#define BASE_KEY_SOURCE_H

#include <stddef.h>

enum key_source {
    KEY_SOURCE_NONE = 0, /* empty, or none of the forms */
    KEY_SOURCE_FILE,
    KEY_SOURCE_CREDENTIAL,
    KEY_SOURCE_TOKEN,
};

enum { KEY_SOURCE_SIZE = 512, KEY_CREDENTIAL_NAME_MAX = 64 };

/* *ret_place, a part of `text`, is the path, the name or the whole URI. */
enum key_source key_source_of(const char *text, const char **ret_place);

/* NULL, or what is wrong as a phrase that follows the key's name; see base/config_values.h. */
const char *key_source_check(const char *text);
const char *key_source_check_file(const char *text); /* not on a token */
/* "NAME=VALUE" for a PKCS#11 module. */
const char *key_source_check_variable(const char *text);

#endif
