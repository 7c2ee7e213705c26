/*
 * A private key from an unencrypted PKCS#8 PEM block; the text is wiped.
 */
#ifndef KEYS_TLS_KEY_FILE_H
#define KEYS_TLS_KEY_FILE_H

#include "base/cleanup.h"

#include <openssl/types.h>

/* Reads the whole of `fd`. -EINVAL: no such key; ret_message (KEY_LOAD_MESSAGE_MAX bytes) says why,
 * as for every other failure. */
_must_use_ int tls_key_file_read(int fd, char *ret_message, EVP_PKEY **ret_key);

#endif
